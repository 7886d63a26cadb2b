import type { Answer, InputEvent, VerdictAnswer } from './answer.ts'
import { contradiction, flawOf } from './compare.ts'
import { CounterLedger } from './counter-ledger.ts'
import { AUDIT_FINDINGS } from './finding.ts'
import type { AuditFinding, FindingKind } from './finding.ts'
import { PartitionLedger } from './partition-ledger.ts'
import type { LedgerState } from './partition-ledger.ts'

/** What an audit has to say by now. `recent`: the last findings, oldest first. */
export type AuditReport = {
  readonly ok: boolean
  readonly partitions: readonly (LedgerState & { readonly partition: number })[]
  readonly findings: Readonly<Record<FindingKind, number>>
  readonly recent: readonly AuditFinding[]
  readonly verdicts: number
  readonly deadLetters: number
  /** Verdicts whose policy, calibration or certificates are not published, so that they cannot be decided again. */
  readonly unrepeatable: number
  /** Answers that were not held against their event, which was deleted or came too far apart from them. */
  readonly uncompared: number
}

/** How many of a partition may wait for their other half. */
const WAITING_MAX = 5000
/** Stands for the partition where a finding is about state. */
const STATE = -1
const RECENT_MAX = 200

type Account = {
  readonly ledger: PartitionLedger
  readonly inputs: Map<number, InputEvent>
  readonly answers: Map<number, Answer>
  readonly start: number
}

/**
 * Holds the answers of all partitions against the input, whatever is read first. Memory is bounded: offsets are kept as
 * runs, events and answers only until the other half is there.
 */
export class Auditor {
  readonly #accounts = new Map<number, Account>()
  readonly #counters = new CounterLedger()
  readonly #recent: AuditFinding[] = []
  readonly #counts = new Map<FindingKind, number>()
  readonly #onFinding: (finding: AuditFinding) => void
  #verdicts = 0
  #deadLetters = 0
  #unrepeatable = 0
  #uncompared = 0

  constructor(onFinding: (finding: AuditFinding) => void = () => undefined) {
    this.#onFinding = onFinding
  }

  /** `start`: the first offset of the partition that the input still has. */
  begin(partition: number, start: number): void {
    if (this.#accounts.has(partition)) return
    this.#accounts.set(partition, { ledger: new PartitionLedger(start), inputs: new Map(), answers: new Map(), start })
  }

  /** The input was read from `from` to before `next`, and `events` is all there is. */
  inputRead(partition: number, from: number, next: number, events: readonly InputEvent[]): void {
    const account = this.#account(partition)
    const offsets = events.map(({ offset }) => offset)
    for (const offset of account.ledger.inputRead(from, next, offsets)) {
      this.#found('orphan', partition, offset, offset + 1, AUDIT_FINDINGS.orphan)
      account.answers.delete(offset)
    }
    for (const event of events) {
      const answer = account.answers.get(event.offset)
      if (answer === undefined) this.#wait(account.inputs, event.offset, event)
      else this.#compare(answer, event, partition)
      account.answers.delete(event.offset)
    }
  }

  answered(partition: number, answer: Answer): void {
    const account = this.#account(partition)
    const { offset } = answer
    if (!account.ledger.answered(offset)) {
      return this.#found(
        'doubled',
        partition,
        offset,
        offset + 1,
        `${AUDIT_FINDINGS.doubled}; the later is a ${nameOf(answer)}`,
      )
    }
    if (answer.kind === 'deadLetter') this.#deadLetters++
    else this.#verdicts++
    const isFlawed = this.#isFlawed(answer, partition)
    const input = account.inputs.get(offset)
    if (isFlawed) account.inputs.delete(offset)
    else if (input !== undefined) this.#compare(answer, input, partition)
    else if (offset < account.ledger.state.read) this.#uncompared++
    else this.#wait(account.answers, offset, answer)
    account.inputs.delete(offset)
  }

  /** A record among the answers of the partition that is no answer to anything. */
  stranger(partition: number, detail: string): void {
    this.#found('orphan', partition, 0, 1, detail)
  }

  /** Answers to events before `offset` may have been deleted. */
  raiseFloor(partition: number, offset: number): void {
    this.#account(partition).ledger.raiseFloor(offset)
  }

  /** All answers to the partition's events below `committed` were read. */
  settle(partition: number, committed: number): void {
    const { ledger, inputs } = this.#account(partition)
    for (const { from, next } of ledger.settle(committed))
      this.#found('lost', partition, from, next, AUDIT_FINDINGS.lost)
    for (const offset of inputs.keys()) {
      if (offset >= ledger.state.sure) break
      inputs.delete(offset)
    }
  }

  /** Counters to be held against state, at most so many; in turn all of them. */
  countersToHold(max: number): readonly string[] {
    return this.#counters.some(max)
  }

  /** `held`: what state has of those, as of `now` (ms). All that was decided by then need not have been read. */
  holdCounters(...[names, held, now]: Parameters<CounterLedger['hold']>): void {
    for (const problem of this.#counters.hold(names, held, now)) this.#found('counter', STATE, 0, 1, problem)
  }

  report(): AuditReport {
    const kinds = Object.keys(AUDIT_FINDINGS) as FindingKind[]
    return {
      ok: this.#counts.size === 0,
      partitions: [...this.#accounts].map(([partition, { ledger }]) => ({ partition, ...ledger.state })),
      findings: Object.fromEntries(kinds.map((kind) => [kind, this.#counts.get(kind) ?? 0])) as Record<
        FindingKind,
        number
      >,
      recent: [...this.#recent],
      verdicts: this.#verdicts,
      deadLetters: this.#deadLetters,
      unrepeatable: this.#unrepeatable,
      uncompared: this.#uncompared,
    }
  }

  #account(partition: number): Account {
    const account = this.#accounts.get(partition)
    if (account !== undefined) return account
    this.begin(partition, 0)
    return this.#account(partition)
  }

  #isFlawed(answer: Answer, partition: number): boolean {
    const flaw = flawOf(answer)
    if (flaw !== null) this.#found('altered', partition, answer.offset, answer.offset + 1, flaw)
    else if (answer.kind === 'verdict') this.#recount(answer, partition)
    return flaw !== null
  }

  #recount(answer: VerdictAnswer, partition: number): void {
    if (answer.rulebook === null) return void this.#unrepeatable++
    for (const problem of this.#counters.enter(answer.verdict, answer.rulebook.policy))
      this.#found('counter', partition, answer.offset, answer.offset + 1, problem)
  }

  #compare(answer: Answer, input: InputEvent, partition: number): void {
    const problem = contradiction(answer, input)
    if (problem !== null) this.#found('altered', partition, input.offset, input.offset + 1, problem)
  }

  #wait<T>(waiting: Map<number, T>, offset: number, half: T): void {
    waiting.set(offset, half)
    const [oldest] = waiting.keys()
    if (waiting.size <= WAITING_MAX || oldest === undefined) return
    waiting.delete(oldest)
    this.#uncompared++
  }

  #found(kind: FindingKind, partition: number, from: number, next: number, detail: string): void {
    const finding = { kind, partition, from, next, detail }
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + next - from)
    this.#recent.push(finding)
    if (this.#recent.length > RECENT_MAX) this.#recent.shift()
    this.#onFinding(finding)
  }
}

const nameOf = (answer: Answer): string =>
  answer.kind === 'verdict'
    ? `verdict to ${answer.route}`
    : answer.kind === 'deadLetter'
      ? 'dead letter'
      : 'record that cannot be read'
