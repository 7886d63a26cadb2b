import { NO_CALIBRATION } from '../../src/decision/calibration.ts'
import { NO_CERTIFICATES } from '../../src/decision/certificate.ts'
import type { Policy } from '../../src/decision/policy.ts'
import { recompute } from '../../src/decision/recompute.ts'
import type { Route } from '../../src/decision/route.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import type { Deployment } from '../scenarios/support/deployment.ts'
import { headerOf, readByLibrdkafka } from './kcat.ts'
import type { Shown } from './kcat.ts'
import { markOf } from './recount.ts'
import type { Mark } from './recount.ts'
import { add } from './tally.ts'

/** What librdkafka shows of a deployment; lists are of positions, or what is wrong with them. */
export type Seen = {
  readonly events: number
  /** Topic's route, `dead letters` or UNREAD, to its records. */
  readonly outputs: ReadonlyMap<string, number>
  /** Inputs without verdict and dead letter. */
  readonly lost: readonly string[]
  /** Outputs beyond one per input. */
  readonly doubled: readonly string[]
  /** Outputs whose bytes are not those of their input, or that their own recorded facts do not give again. */
  readonly changed: readonly string[]
  /** Execute verdicts beyond one per action key, but for those whose policy accepts a double while state is away. */
  readonly executedTwice: readonly string[]
  readonly executeKeys: ReadonlySet<string>
  /** Verdicts by the state that they were decided with. */
  readonly states: ReadonlyMap<Verdict['facts']['state'], number>
  /** Places of what was set aside unread. */
  readonly unread: ReadonlySet<string>
  /** By partition and offset. */
  readonly marks: readonly Mark[]
}

/** Dead letters for no fault of their own: processes were killed three times in a row with them in hand. */
const UNREAD = 'set aside unread after three kills'

type Input = { readonly key: Buffer | null; readonly value: Buffer | null; answers: number }

const ROUTES = ['execute', 'review', 'reject'] as const satisfies readonly Route[]

/** Reads everything with librdkafka, read_committed, and holds each output against its input and against itself. */
export async function verify(deployment: Deployment, policy: Policy): Promise<Seen> {
  const verifier = new Verifier(deployment, policy)
  return await verifier.verify()
}

class Verifier {
  readonly #deployment: Deployment
  readonly #policy: Policy
  readonly #inputs = new Map<string, Input>()
  readonly #outputs = new Map<string, number>()
  readonly #unread = new Set<string>()
  readonly #doubled: string[] = []
  readonly #changed: string[] = []
  readonly #executions = new Map<string, number>()
  readonly #executeKeys = new Set<string>()
  readonly #states = new Map<Verdict['facts']['state'], number>()
  readonly #marks: Mark[] = []

  constructor(deployment: Deployment, policy: Policy) {
    this.#deployment = deployment
    this.#policy = policy
  }

  async verify(): Promise<Seen> {
    const { topics } = this.#deployment
    await this.#read(topics.input, ({ partition, offset, key, value }) => {
      this.#inputs.set(`${topics.input}:${partition}:${offset}`, { key, value, answers: 0 })
    })
    await this.#read(topics.deadLetters, (record) => this.#deadLetter(record))
    for (const route of ROUTES) await this.#verdicts(route)
    this.#marks.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
    return {
      events: this.#inputs.size,
      outputs: this.#outputs,
      lost: [...this.#inputs].filter(([, { answers }]) => answers === 0).map(([position]) => position),
      doubled: this.#doubled,
      changed: this.#changed,
      executedTwice: [...this.#executions].filter(([, times]) => times > 1).map(([key]) => key),
      executeKeys: this.#executeKeys,
      states: this.#states,
      unread: this.#unread,
      marks: this.#marks,
    }
  }

  #read(topic: string, onRecord: (record: Shown) => void): Promise<void> {
    return readByLibrdkafka(this.#deployment.connection.brokers, topic, onRecord)
  }

  #deadLetter({ key, value, headers }: Shown): void {
    const position = ['topic', 'partition', 'offset']
      .map((part) => headerOf(headers, `__connect.errors.${part}`))
      .join(':')
    const isUnread = headerOf(headers, 'sluice.error.code') === 'record.poison'
    add(this.#outputs, isUnread ? UNREAD : 'dead letters')
    if (isUnread) this.#unread.add(position)
    const input = this.#answer(position)
    if (input !== null && !(sameBytes(key, input.key) && sameBytes(value, input.value)))
      this.#changed.push(`${position}: the dead letter holds other bytes`)
  }

  /** Bodies are kept until the topic is read, since a schema may have to be asked for before they can be decoded. */
  async #verdicts(route: Route): Promise<void> {
    const topic = this.#deployment.topics[route]
    const { decode } = this.#deployment.records
    const pending: Promise<void>[] = []
    await this.#read(topic, (record) => {
      const read = decode('Verdict', topic, record.value)
      if (read instanceof Promise) pending.push(read.then((it) => this.#verdict(it, record, route)))
      else this.#verdict(read, record, route)
    })
    await Promise.all(pending)
  }

  #verdict(read: Awaited<ReturnType<Deployment['records']['decode']>>, record: Shown, route: Route): void {
    const position = headerOf(record.headers, 'ce_id')
    add(this.#outputs, route)
    const input = this.#answer(position)
    if (read.kind === 'fault') return void this.#changed.push(`${position}: ${read.fault.detail}`)
    const verdict = read.value as Verdict
    const problem = this.#problemOf(verdict, record, position, route, input)
    if (problem !== null) this.#changed.push(`${position}: ${problem}`)
    add(this.#states, verdict.facts.state)
    if (route === 'execute') this.#execution(verdict)
    this.#marks.push(markOf(verdict, this.#policy))
  }

  #execution({ actionKey, mode }: Verdict): void {
    this.#executeKeys.add(actionKey)
    if (mode === 'normal') add(this.#executions, actionKey)
  }

  #problemOf(verdict: Verdict, record: Shown, position: string, route: Route, input: Input | null): string | null {
    const { topic, partition, offset } = verdict.source
    if (verdict.decisionId !== position || `${topic}:${partition}:${offset}` !== position)
      return `header, id and source differ: ${verdict.decisionId}, ${topic}:${partition}:${offset}`
    if (verdict.route !== route) return `a verdict to ${verdict.route} in the topic for ${route}`
    if (record.partition !== partition) return `it lies in partition ${record.partition}`
    const body = input?.value?.subarray(WIRE_BYTES)
    if (body !== undefined && record.value?.subarray(-body.length).equals(body) !== true)
      return 'it ends with another event than was sent'
    const { equal, differences } = recompute(verdict, this.#policy, NO_CALIBRATION, NO_CERTIFICATES)
    return equal ? null : `computed anew it differs in ${differences.join(', ')}`
  }

  #answer(position: string): Input | null {
    const input = this.#inputs.get(position)
    if (input === undefined) {
      this.#doubled.push(`${position}: an answer to no input`)
      return null
    }
    input.answers++
    if (input.answers > 1) this.#doubled.push(position)
    return input
  }
}

/** Magic byte and schema id. */
const WIRE_BYTES = 5

const sameBytes = (a: Buffer | null, b: Buffer | null): boolean => (a === null || b === null ? a === b : a.equals(b))
