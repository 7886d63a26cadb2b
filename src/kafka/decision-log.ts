import assert from 'node:assert'
import type { Assignment, CommitResult, OutputRecord, PartitionBatch, Position } from '../processor/ports.ts'
import { Cluster } from './cluster.ts'
import { endDeadTransactions, transactionalId } from './dead-slots.ts'
import { codeOf, KafkaRefusal, messageOf, NoAnswer, RecordTooLarge, remedyOf, SlotTaken } from './errors.ts'
import { DEFAULTS, verifyOptions } from './decision-log-options.ts'
import type {
  DecisionLogOptions,
  DecisionLogStats,
  KafkaDecisionLog,
  LogStatus,
  Tuning,
} from './decision-log-options.ts'
import { Fetcher } from './fetcher.ts'
import { Membership } from './membership.ts'
import type { Place } from './membership.ts'
import { logBounds, stableOffsets, standing } from './positions.ts'
import type { Committed, Standing } from './positions.ts'
import { TransactionClient } from './transaction-client.ts'
import { Backoff, pause, unlessAborted } from './waiting.ts'

export type { DecisionLogOptions, DecisionLogStats, KafkaDecisionLog, LogStatus } from './decision-log-options.ts'

/** Nothing is connected before the first `acquire`. Throws for a slot or time that cannot be. */
export function openDecisionLog(options: DecisionLogOptions): KafkaDecisionLog {
  const log = new Log({ ...DEFAULTS, ...options })
  return {
    acquire: (signal) => log.acquire(signal),
    confirm: (assignment) => log.confirm(assignment),
    poll: (assignment, maxRecords, waitMs) => log.poll(assignment, maxRecords, waitMs),
    putBack: (assignment, batch, delayMs) => log.putBack(assignment, batch, delayMs),
    commit: (outputs, offsets, assignment) => log.commit(outputs, offsets, assignment),
    close: () => log.close(),
    stats: () => log.stats(),
  }
}

/** An assignment, and what belongs to it. */
type Held = {
  readonly assignment: Assignment
  readonly place: Place
  readonly fetcher: Fetcher
  readonly ending: AbortController
}

/** More often in a row than others can have fenced us by mistake. */
const FENCED_MAX = 5

class Log {
  readonly #options: DecisionLogOptions & Tuning
  readonly #cluster: Cluster
  readonly #membership: Membership
  readonly #transactions: TransactionClient
  readonly #closing = new AbortController()
  #held: Held | null = null
  /** The place for whose generation dead transactions were looked for. */
  #sweptFor: Place | null = null
  #fencedInARow = 0
  #committing: Promise<void> | null = null
  /** By partition an offset that was committed beyond the log's end: however long it grows, it is not the one that was read. */
  readonly #ahead = new Map<number, number>()
  #committed = 0
  #discarded = 0
  #discardedInARow = 0
  /** The input was deleted under the last assignment. */
  #inputIsGone = false
  #refresher: NodeJS.Timeout | null = null

  constructor(options: DecisionLogOptions & Tuning) {
    verifyOptions(options)
    const { group, slot } = options
    this.#options = options
    this.#cluster = new Cluster(options.connection, options)
    this.#membership = new Membership(this.#cluster, options, (why) => this.#endHeld(why))
    this.#transactions = new TransactionClient(this.#cluster, {
      ...options,
      transactionalId: transactionalId(group, slot),
    })
  }

  async acquire(signal: AbortSignal): Promise<Assignment> {
    this.#endHeld('acquired anew')
    this.#held = null
    const either = AbortSignal.any([signal, this.#closing.signal])
    if (this.#isStuck || this.#inputIsGone) await pause(STUCK_PAUSE_MS, either).catch(() => undefined)
    this.#inputIsGone = false
    for (const backoff = new Backoff(20, 1_000); ; await pause(backoff.next(), either)) {
      try {
        either.throwIfAborted()
        const held = await this.#attempt(either)
        if (held !== null) return held.assignment
      } catch (error) {
        either.throwIfAborted()
        if (error instanceof SlotTaken) throw error
        this.#membership.heed(error)
        this.#status({ kind: 'waiting', text: messageOf(error), code: codeOf(error) })
      }
    }
  }

  async confirm(assignment: Assignment): Promise<boolean> {
    try {
      if (this.#heldBy(assignment) !== null) await this.#membership.confirm()
    } catch (error) {
      this.#membership.heed(error)
      if (this.#held?.assignment === assignment) this.#endHeld('not confirmed')
    }
    return this.#heldBy(assignment) !== null
  }

  async poll(assignment: Assignment, maxRecords: number, waitMs: number): Promise<readonly PartitionBatch[]> {
    const held = this.#heldBy(assignment)
    return held === null ? [] : await held.fetcher.poll(maxRecords, waitMs)
  }

  putBack(assignment: Assignment, batch: PartitionBatch, delayMs: number): void {
    this.#heldBy(assignment)?.fetcher.putBack(batch, delayMs)
  }

  /**
   * An assignment that a rebalance has ended may still commit what was decided with it: until the group has moved on,
   * the coordinator takes its generation, and after that it refuses it.
   */
  async commit(
    outputs: readonly OutputRecord[],
    offsets: ReadonlyMap<number, number>,
    assignment: Assignment,
  ): Promise<CommitResult> {
    const held = this.#held
    if (held?.assignment !== assignment || this.#transactions.state !== 'ready') {
      assert(this.#committing === null, 'two commits at once')
      return { kind: 'discarded', code: 'ENDED', reason: 'the assignment has ended' }
    }
    for (const offset of offsets.values()) assert(Number.isSafeInteger(offset) && offset >= 0, `offset ${offset}`)
    try {
      this.#committing = this.#transactions.commit(outputs, offsets, held.place.seat)
      await this.#committing
    } catch (error) {
      if (error instanceof NoAnswer) this.#membership.spend(held.place)
      return this.#discard(error)
    } finally {
      this.#committing = null
    }
    this.#committed++
    this.#fencedInARow = 0
    const wasStuck = this.#isStuck
    this.#discardedInARow = 0
    if (wasStuck) this.#tellAcquired(held)
    return { kind: 'committed' }
  }

  /** Waits for the transaction under way, ends what a discarded one may have left open, and leaves the group. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the decision log was closed'))
    this.#endHeld('closed')
    if (this.#refresher !== null) clearInterval(this.#refresher)
    const underWay = this.#committing
    if (underWay !== null) await unlessAborted(underWay, AbortSignal.timeout(CLOSE_MS)).catch(() => undefined)
    const open = this.#transactions.state === 'unknown' && !this.#membership.replaced
    if (open) await this.#transactions.fence('newcomer', AbortSignal.timeout(CLOSE_MS)).catch(() => undefined)
    await this.#membership.leave(CLOSE_MS).catch(() => undefined)
    this.#cluster.close()
  }

  stats(): DecisionLogStats {
    return {
      committed: this.#committed,
      discarded: this.#discarded,
      markerWaits: this.#transactions.markerWaits,
      requests: this.#cluster.requestCounts,
      lag: this.#held?.fetcher.lag ?? [],
      held: this.#held?.fetcher.held ?? 0,
    }
  }

  /** Join, fence, stable offsets, in this order; null when the group moved on meanwhile. */
  async #attempt(signal: AbortSignal): Promise<Held | null> {
    const { group, input } = this.#options
    await this.#cluster.refresh([input])
    this.#cluster.partitions(input)
    const place = await this.#membership.place(signal)
    void this.#sweep(place)
    await this.#telling(OUR_LAST, this.#fence(signal))
    const asking = stableOffsets(this.#cluster, group, input, place.partitions, signal)
    const committed = await this.#telling(heldOffsets(group), asking)
    const positions = await this.#positions(committed)
    if (!this.#membership.holds(place)) return null
    return this.#hold(place, positions)
  }

  /** What is waited for, again and again while it takes longer than usual. */
  async #telling<T>(what: { readonly text: string; readonly code: string }, work: Promise<T>): Promise<T> {
    const timer = setInterval(() => this.#status({ kind: 'waiting', ...what }), TELL_MS)
    return await work.finally(() => clearInterval(timer))
  }

  /**
   * As the owner of the last epoch when nothing of ours can be open, and else, or when that fails, as a newcomer, once
   * the group has confirmed that we still have the slot. Being fenced has several causes, and the group tells them
   * apart: it answers FENCED_INSTANCE_ID when another process has our slot, for that one joined before it fenced us.
   * Otherwise the bump was ours with its reply lost, or ended our own open transaction, or was a survivor's that took
   * us for dead.
   */
  async #fence(signal: AbortSignal): Promise<void> {
    const { known, state } = this.#transactions
    if (known && state !== 'unknown') {
      if ((await this.#transactions.fence('owner', signal)) === 'held') return
      this.#countFenced()
    }
    if (known) await this.#membership.confirm()
    if ((await this.#transactions.fence('newcomer', signal)) === 'held') return
    this.#countFenced()
    throw new KafkaRefusal('InitProducerId', PRODUCER_FENCED)
  }

  /** Something outside the group that uses our transactional id would fence us for ever, and we it. */
  #countFenced(): void {
    const { group, slot } = this.#options
    if (++this.#fencedInARow > FENCED_MAX) {
      throw new SlotTaken(slot, group, 'its transactional id was fenced again and again')
    }
  }

  async #positions(committed: ReadonlyMap<number, Committed | null>): Promise<ReadonlyMap<number, Position>> {
    const bounds = await logBounds(this.#cluster, this.#options.input, [...committed.keys()])
    const positions = new Map<number, Position>()
    for (const [partition, offset] of committed) {
      const position = this.#position(partition, standing(offset, bounds.get(partition)))
      if (position !== null) positions.set(partition, position)
    }
    return positions
  }

  #position(partition: number, found: Standing): Position | null {
    const name = `${this.#options.input}-${partition}`
    switch (found.kind) {
      case 'at': {
        const { committed } = found.position
        if (committed === null || this.#ahead.get(partition) !== committed) return found.position
        const text = `${name} has been shorter than ${committed}, which is committed, so other events lie below that now; use another group id, or reset the group’s offset with kafka-consumer-groups`
        this.#status({ kind: 'stalled', text, partition })
        return null
      }
      case 'gap': {
        const to = found.position.start
        const text = `${name}: offsets ${found.from} to ${to - 1} were deleted by retention before they were read; they get no verdict`
        this.#status({ kind: 'gap', text, partition, from: found.from, to })
        return found.position
      }
      case 'ahead': {
        this.#ahead.set(partition, found.committed)
        const text = `${name} ends at ${found.end} but ${found.committed} is committed: the topic was made anew or lost its tail; use another group id, or reset the group’s offset with kafka-consumer-groups`
        this.#status({ kind: 'stalled', text, partition })
        return null
      }
      default:
        this.#status({ kind: 'stalled', text: `${name}: its leader does not say where it begins`, partition })
        return null
    }
  }

  #hold(place: Place, positions: ReadonlyMap<number, Position>): Held {
    const ending = new AbortController()
    const partitions = this.#cluster.partitions(this.#options.input).length
    const assignment = { generation: place.seat.generation, positions, partitions, ended: ending.signal }
    const starts = new Map([...positions].map(([partition, { start }]) => [partition, start]))
    const fetcher = new Fetcher(this.#cluster, this.#options, starts, ending.signal, {
      outOfRange: (partition, offset) => this.#outOfRange(ending, partition, offset),
      gone: (partition) => this.#gone(ending, partition),
      stalled: (partition, reason) => this.#stalled(partition, reason),
    })
    this.#held = { assignment, place, fetcher, ending }
    this.#refresher ??= setInterval(() => void this.#lookAround(), this.#options.metadataMs)
    if (positions.size < place.partitions.length) this.#endAfter(ending, MISSING_MS)
    if (!this.#isStuck) this.#tellAcquired(this.#held)
    return this.#held
  }

  #tellAcquired({ assignment }: Held): void {
    const partitions = [...assignment.positions.keys()]
    const text = `generation ${assignment.generation}, partitions ${partitions.join(' ')}`
    this.#status({ kind: 'acquired', text, partitions })
  }

  /** What is acquired again and again without a commit is of no use to anybody. */
  get #isStuck(): boolean {
    return this.#discardedInARow > STUCK_AFTER
  }

  /** What was left out is asked for again by acquiring anew, which costs no rebalance. */
  #endAfter(ending: AbortController, ms: number): void {
    const timer = setTimeout(() => this.#endOnly(ending, 'some partitions were left out'), ms)
    ending.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  }

  #outOfRange(ending: AbortController, partition: number, offset: number): void {
    this.#stalled(partition, `the log does not have offset ${offset} any more, or not yet`)
    this.#endOnly(ending, 'offset out of range')
  }

  /** Offsets of the old log are committed no more, since they would count for a new one. A broker may be late to know it. */
  #gone(ending: AbortController, partition: number | null): void {
    this.#stalled(partition, 'it does not exist any more, or not yet')
    this.#inputIsGone = true
    if (this.#held?.ending === ending) this.#held = null
    this.#endOnly(ending, 'the input is gone')
  }

  #stalled(partition: number | null, reason: string): void {
    const what = partition === null ? this.#options.input : `${this.#options.input}-${partition}`
    this.#status({ kind: 'stalled', text: `${what} cannot be fetched: ${reason}`, partition })
  }

  /** Once per generation, by the group's leader; in the background, since our own offsets may wait for it. */
  async #sweep(place: Place): Promise<void> {
    if (place.slots === null || this.#sweptFor === place) return
    this.#sweptFor = place
    const { group, transactionTimeoutMs } = this.#options
    const { signal } = this.#closing
    try {
      const slots = await endDeadTransactions(this.#cluster, group, place.slots, transactionTimeoutMs, signal)
      for (const slot of slots) {
        this.#status({ kind: 'ended', text: `ended the open transaction of dead slot ${slot}`, slot })
      }
    } catch {
      // The transaction time-out does it later.
    }
  }

  async #lookAround(): Promise<void> {
    try {
      await this.#cluster.refresh()
      this.#membership.heedPartitions(this.#cluster.partitions(this.#options.input).length)
    } catch (error) {
      if (!(error instanceof NoAnswer)) this.#stalled(null, messageOf(error))
    }
  }

  #heldBy(assignment: Assignment): Held | null {
    return this.#held?.assignment === assignment && !assignment.ended.aborted ? this.#held : null
  }

  #endHeld(why: string): void {
    this.#held?.ending.abort(new Error(why))
  }

  #endOnly(ending: AbortController, why: string): void {
    ending.abort(new Error(why))
  }

  #discard(problem: unknown): CommitResult {
    this.#discarded++
    this.#discardedInARow++
    if (remedyOf(problem) === 'fenced') this.#fencedInARow++
    this.#membership.heed(problem)
    this.#endHeld('discarded')
    if (this.#isStuck)
      this.#status({ kind: 'waiting', text: `nothing can be committed: ${messageOf(problem)}`, code: codeOf(problem) })
    const discarded = { kind: 'discarded', reason: messageOf(problem), code: codeOf(problem) } as const
    if (!(problem instanceof RecordTooLarge)) return discarded
    return { ...discarded, tooLarge: { topic: problem.topic, partition: problem.partition } }
  }

  #status(status: LogStatus): void {
    this.#options.onStatus?.(status)
  }
}

const PRODUCER_FENCED = 90
/** So many discards in a row are not a fault of the moment any more; then it is told, and tried again less often. */
const STUCK_AFTER = 3
const STUCK_PAUSE_MS = 500
/** How often is told of a wait, milliseconds. */
const TELL_MS = 2_000

const OUR_LAST = {
  code: 'CONCURRENT_TRANSACTIONS',
  text: 'waiting for the transaction coordinator: our last transaction has not ended there, or it is not ready yet',
}

/**
 * Brokers that all died at once may have forgotten to mark a transaction that they had accepted the end of: 4.3.1 does,
 * now and then. What is decided again after its abort was visible to nobody.
 */
const heldOffsets = (group: string) => ({
  code: 'UNSTABLE_OFFSET_COMMIT',
  text:
    `a transaction that has not ended holds offsets of group ${group}; it ends by its time-out at the latest. ` +
    'If it outlasts that, the brokers have lost its end: abort it in every partition that ' +
    '`kafka-transactions.sh find-hanging` names; the events in it are then decided again',
})

/** How long `close` may take for each of its steps. */
const CLOSE_MS = 1_500
/** After how long partitions that were left out are asked for again. */
const MISSING_MS = 1_000
