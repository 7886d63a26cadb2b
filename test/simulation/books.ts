import { hash } from 'node:crypto'
import { bundled } from '../../src/avro/schemas.ts'
import { NO_CALIBRATION } from '../../src/decision/calibration.ts'
import { NO_CERTIFICATES } from '../../src/decision/certificate.ts'
import { inquire } from '../../src/decision/inquire.ts'
import type { Policy } from '../../src/decision/policy.ts'
import { recompute } from '../../src/decision/recompute.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { FAULTS } from '../../src/processor/fault.ts'
import type { KafkaTwin, TwinRecord } from '../twins/kafka/kafka-twin.ts'
import type { Plan } from './plan.ts'
import { GROUP, TOPICS } from './process.ts'
import type { RedisServer } from './redis-server.ts'

/** Something that must never be so. */
export class Violation extends Error {
  readonly invariant: string

  constructor(invariant: string, detail: string) {
    super(detail)
    this.name = 'Violation'
    this.invariant = invariant
  }
}

const OUTPUTS = [TOPICS.execute, TOPICS.review, TOPICS.reject, TOPICS.deadLetters] as const

/** What was recorded of one input: every different answer state ever gave, in which epoch and after how many losses. */
type Recorded = { readonly line: string; readonly losses: number; readonly epoch: string | null }

type Answered = { readonly verdict: Verdict | null; readonly place: string }

/** Watches the servers from outside, and knows what must hold. */
export class Books {
  readonly #plan: Plan
  readonly #kafka: KafkaTwin
  readonly #redis: () => RedisServer
  readonly #policies: ReadonlyMap<string, Policy>
  readonly #answered = new Map<string, Answered>()
  readonly #executed = new Map<string, Verdict>()
  readonly #observed = new Map<string, Recorded[]>()
  readonly #granted = new Map<string, Recorded[]>()
  readonly #versions = new Map<string, number>()
  readonly #cursors = new Map<string, number>()
  readonly #committed: number[]
  sells = 0
  /** Whether state was ever known to be lost: then counts were restored from verdicts. */
  #wasLost = false
  verdicts = 0
  deadLetters = 0
  degraded = 0

  constructor(plan: Plan, kafka: KafkaTwin, redis: () => RedisServer, policies: readonly Policy[]) {
    this.#plan = plan
    this.#kafka = kafka
    this.#redis = redis
    this.#policies = new Map(policies.map((policy) => [policy.digest, policy]))
    this.#committed = Array.from({ length: plan.partitions }, () => 0)
  }

  /** After every step: what has become visible, and what is committed by now. */
  look(): void {
    for (const topic of OUTPUTS)
      for (let partition = 0; partition < this.#plan.partitions; partition++) this.#lookAt(topic, partition)
    for (let partition = 0; partition < this.#plan.partitions; partition++) this.#lookBelow(partition)
  }

  /** Every input has its answer, and nothing is under way. */
  get isComplete(): boolean {
    for (let partition = 0; partition < this.#plan.partitions; partition++) {
      const { end } = this.#kafka.edges(TOPICS.input, partition)
      if (end > 0 && this.#kafka.committed(GROUP, TOPICS.input, partition) !== end) return false
      for (const topic of OUTPUTS) {
        const edges = this.#kafka.edges(topic, partition)
        if (edges.stable !== edges.end) return false
      }
    }
    return true
  }

  /**
   * State is proven on the server it lies on, and has come as far as the log in every partition. What was lost is restored,
   * or no window reaches back to it any more.
   */
  get isCaughtUp(): boolean {
    const redis = this.#redis()
    const { library } = redis
    const longest = Math.max(...[...this.#policies.values()].map(({ longestWindowMs }) => longestWindowMs))
    const isFelt = library.lostAt !== null && redis.nowMicros() / 1000 < library.lostAt + longest
    if (library.unproven || isFelt) return false
    return this.#committed.every((committed, at) => {
      const own = library.partitions.get(String(at))
      return committed === 0 || (own?.epoch === library.epoch && own.watermark >= committed)
    })
  }

  /** What Redis answered to a call. */
  called(name: string, args: readonly (string | Buffer)[], reply: unknown): void {
    if (this.#redis().library.lostAt !== null) this.#wasLost = true
    if (name !== 'observe' && name !== 'reserve') return
    const [kind, ...texts] = reply as readonly string[]
    if (kind !== 'ok') return
    const [first, size] = name === 'observe' ? [2, 7] : [0, 3]
    texts.forEach((text, at) => {
      const partition = String(args[first + at * size])
      this.#checkToken(name, partition, String(args[first + at * size + 1]))
      if (text === '') return
      for (const line of text.split(',\n')) if (line !== 'null') this.#record(name, partition, line)
    })
  }

  #checkToken(name: string, partition: string, token: string): void {
    const present = String(this.#redis().library.partitions.get(partition)?.token)
    if (token !== present)
      throw new Violation(
        'only the owner changes state',
        `${name} of partition ${partition} with ${token}, not ${present}`,
      )
  }

  #record(name: 'observe' | 'reserve', partition: string, line: string): void {
    const offset = line.slice(1, line.indexOf(','))
    const place = `${partition}:${offset}`
    const watermark = this.#redis().library.partitions.get(partition)?.watermark ?? 0
    if (name === 'reserve' && Number(offset) >= watermark)
      throw new Violation(
        'places are for what was observed',
        `${place} has a place, and ${watermark} is to be observed next`,
      )
    const all = name === 'observe' ? this.#observed : this.#granted
    const known = all.get(place) ?? []
    all.set(place, known)
    if (known.some((it) => it.line === line)) return
    const { losses, library } = this.#redis()
    const before = known.at(-1)
    if (before !== undefined && before.losses === losses && before.epoch === library.epoch)
      throw new Violation('facts are recorded once', `${place} was recorded as ${before.line} and then as ${line}`)
    known.push({ line, losses, epoch: library.epoch })
  }

  #lookAt(topic: string, partition: number): void {
    const name = `${topic}/${partition}`
    const { version, stable } = this.#kafka.edges(topic, partition)
    if (this.#versions.get(name) === version) return
    this.#versions.set(name, version)
    for (const record of this.#kafka.visible(topic, partition, this.#cursors.get(name) ?? 0))
      this.#check(topic, partition, record)
    this.#cursors.set(name, stable)
  }

  #check(topic: string, partition: number, record: TwinRecord): void {
    const verdict = topic === TOPICS.deadLetters ? null : verdictOf(record)
    const place = verdict?.decisionId ?? placeOfLetter(record)
    const earlier = this.#answered.get(place)
    if (earlier !== undefined)
      throw new Violation(
        'exactly one answer',
        `${place} has ${earlier.place} and ${topic}-${partition}:${record.offset}`,
      )
    this.#answered.set(place, { verdict, place: `${topic}-${partition}:${record.offset}` })
    if (!place.startsWith(`${TOPICS.input}:${partition}:`))
      throw new Violation('an answer has its source’s partition', `${place} is in ${topic}-${partition}`)
    if (verdict === null) this.#checkLetter(place, record)
    else this.#checkVerdict(verdict, topic)
  }

  #checkLetter(place: string, { headers, value }: TwinRecord): void {
    this.deadLetters++
    const code = text(headers.get('sluice.error.code'))
    const reason = text(headers.get('__connect.errors.exception.message'))
    if (!Object.hasOwn(FAULTS, code) || reason === '')
      throw new Violation('a dead letter says why', `${place} has the code “${code}” and the reason “${reason}”`)
    const input = this.#input(place)
    if (input === undefined || !same(input.value, value))
      throw new Violation('a dead letter keeps the bytes', `${place} is not what was sent`)
  }

  #checkVerdict(verdict: Verdict, topic: string): void {
    this.verdicts++
    const { decisionId, route, mode, facts, event, actionKey } = verdict
    if (topic !== TOPICS[route]) throw new Violation('a verdict lies in its topic', `${decisionId} is in ${topic}`)
    const policy = this.#policies.get(verdict.policy.digest)
    if (policy === undefined) throw new Violation('a verdict names its policy', decisionId)
    const { equal, differences } = recompute(verdict, policy, NO_CALIBRATION, NO_CERTIFICATES)
    if (!equal)
      throw new Violation('a verdict recomputes', `${decisionId} differs in ${differences.slice(0, 5).join(', ')}`)
    if (mode === 'degraded') this.degraded++
    const stateless = policy.actions.get(event.action)?.stateless === true
    if (mode === 'degraded' && route === 'execute' && !stateless)
      throw new Violation('nothing that needs state executes without it', `${decisionId}: ${event.action}`)
    if (facts.state !== 'unavailable') this.#checkFacts(verdict)
    if (route === 'execute' && !stateless) this.#checkExecute(verdict, actionKey)
  }

  /** What it says it knew is what state has recorded for it. */
  #checkFacts({ decisionId, facts, source }: Verdict): void {
    const place = `${source.partition}:${source.offset}`
    const observed = this.#observed.get(place) ?? []
    const grants = this.#granted.get(place) ?? []
    const reserved = facts.counters.filter(({ granted }) => granted !== null)
    const proposals = facts.counters.filter(({ granted }) => granted === null)
    const isObserved = observed.some(({ line }) => {
      const [, now, lost, first, counters] = JSON.parse(line) as [number, number, number, string | null, unknown[]]
      const before = pairs(counters)
      return (
        now === facts.now &&
        (lost === 1) === (facts.state === 'lost') &&
        (first === null ? facts.first === null : facts.first?.decisionId === decisionOf(first)) &&
        proposals.every((it) => before.get(labelOf(it.limit, it.key)) === it.before)
      )
    })
    if (!isObserved)
      throw new Violation(
        'facts are the recorded ones',
        `${decisionId}: ${JSON.stringify(facts)} of ${linesOf(observed)}`,
      )
    if (reserved.length === 0) return
    const isGranted = grants.some(({ line }) => {
      const [, granted, counters] = JSON.parse(line) as [number, number, unknown[]]
      const before = pairs(counters)
      return reserved.every(
        (it) => it.granted === (granted === 1) && before.get(labelOf(it.limit, it.key)) === it.before,
      )
    })
    if (!isGranted)
      throw new Violation(
        'grants are the recorded ones',
        `${decisionId}: ${JSON.stringify(reserved)} of ${linesOf(grants)}`,
      )
  }

  #checkExecute(verdict: Verdict, actionKey: string): void {
    const { decisionId, event, facts } = verdict
    if (event.action === 'item.sell') this.sells++
    const earlier = this.#executed.get(actionKey)
    this.#executed.set(actionKey, verdict)
    if (earlier === undefined) return
    const { longWindows, faults } = this.#plan
    const apart = Math.abs(earlier.facts.now - facts.now)
    // After its window an action key is forgotten, as the policy says.
    if (!longWindows && (apart >= 8_000 || faults.includes('redis clock jumps'))) return
    throw new Violation('one execute for an action', `${actionKey} by ${earlier.decisionId} and ${decisionId}`)
  }

  #lookBelow(partition: number): void {
    const committed = this.#kafka.committed(GROUP, TOPICS.input, partition) ?? 0
    const before = this.#committed[partition] ?? 0
    if (committed === before) return
    if (committed < before)
      throw new Violation('offsets go on', `partition ${partition} went back from ${before} to ${committed}`)
    this.#committed[partition] = committed
    const waiting = new Set<string>()
    for (const topic of OUTPUTS) {
      for (const record of this.#kafka.decided(topic, partition, this.#cursors.get(`${topic}/${partition}`) ?? 0))
        waiting.add(topic === TOPICS.deadLetters ? placeOfLetter(record) : verdictOf(record).decisionId)
    }
    for (let offset = before; offset < committed; offset++) {
      const place = `${TOPICS.input}:${partition}:${offset}`
      if (!this.#answered.has(place) && !waiting.has(place))
        throw new Violation('nothing is lost', `${place} is below the committed offset ${committed} without an answer`)
    }
    this.#checkAhead(partition, committed)
  }

  /** At most three batches are in flight. */
  #checkAhead(partition: number, committed: number): void {
    const own = this.#redis().library.partitions.get(String(partition))
    if (own === undefined) return
    const ahead = own.watermark - committed
    if (ahead > 3 * this.#plan.batchRecords)
      throw new Violation('few are in flight', `partition ${partition} is observed ${ahead} beyond what is committed`)
  }

  /** When all is done: counters are what was recorded, or, where something was lost, not less than the verdicts say. */
  close(): void {
    for (let partition = 0; partition < this.#plan.partitions; partition++) {
      const { end } = this.#kafka.edges(TOPICS.input, partition)
      for (let offset = 0; offset < end; offset++)
        if (!this.#answered.has(`${TOPICS.input}:${partition}:${offset}`))
          throw new Violation('nothing is lost', `${TOPICS.input}:${partition}:${offset} has no answer`)
    }
    if (!this.isCaughtUp)
      throw new Violation(
        'state comes as far as the log',
        `committed ${this.#committed.join(' ')}, state ${this.#watermarks()}`,
      )
    if (this.#plan.longWindows) this.#recount()
  }

  /** How far everything is, for a report. */
  standing(): string {
    const partitions = this.#committed.map(
      (committed, at) => `partition ${at} ${committed}/${this.#kafka.edges(TOPICS.input, at).end}`,
    )
    return `${partitions.join(', ')}; state has come to ${this.#watermarks()}`
  }

  #watermarks(): string {
    const { library } = this.#redis()
    return [...library.partitions]
      .map(
        ([name, { watermark, epoch }]) => `${name}: ${watermark}${epoch === library.epoch ? '' : ' in another epoch'}`,
      )
      .join(', ')
  }

  #recount(): void {
    const { library, losses } = this.#redis()
    const isRestored = this.#wasLost || losses > 0
    const counted = (key: string): number => {
      const [, ...buckets] = library.counters.get(key)?.value ?? []
      return buckets.reduce((sum, count, at) => (at % 2 === 1 ? sum + count : sum), 0)
    }
    const grants = [...this.#granted.values()].filter((all) => all.some(({ line }) => /^\[\d+,1,/.test(line))).length
    // What processes died of was observed, and may have been counted, before it was set aside unread.
    const unread = [...this.#answered].filter(([place, { verdict }]) => verdict === null && this.#wasObserved(place))
    const unreadDigests = new Set(unread.map(([place]) => bodyDigestOf(this.#input(place))))
    const proposals = new Map<string, { events: number; readonly digests: Map<string, Set<string>> }>()
    let sold = 0
    for (const { verdict } of this.#answered.values()) {
      if (verdict === null) continue
      const policy = this.#policies.get(verdict.policy.digest)
      if (policy === undefined) continue
      if (verdict.facts.counters.some(({ granted }) => granted === true)) sold++
      for (const { count, key } of inquire(verdict, policy).counters) {
        // Its copy repeats what is known by the same key, though no verdict tells of that.
        if (count === 'proposals' && (!isRestored || !unreadDigests.has(verdict.source.digest)))
          tally(proposals, key, verdict)
      }
    }
    // There is one limit on executions; what took a place may have been set aside unread after that.
    const sales = [...library.counters.keys()].reduce((sum, it) => sum + (it.startsWith('e') ? counted(it) : 0), 0)
    if (isRestored ? sales < sold : sales !== grants)
      throw new Violation('a count is its recorded events', `sales: ${sales} counted, ${grants} granted, ${sold} sold`)
    const most = Math.max(
      ...[...this.#policies.values()].flatMap(({ limits }) =>
        limits.filter(({ id }) => id === 'sales').map(({ max }) => max),
      ),
    )
    if (this.sells > most) throw new Violation('limits hold', `${this.sells} sales of at most ${most}`)
    for (const [key, { events, digests }] of proposals) {
      const least = digests.size
      const hasConflict = [...digests.values()].some(({ size }) => size > 1)
      const count = counted(`p${key}`)
      const isTooHigh = !isRestored && count > (hasConflict ? events : least) + unread.length
      if (count < least || isTooHigh)
        throw new Violation(
          'a count is its recorded events',
          `burst ${key}: ${count} counted, ${least} to ${events} events`,
        )
    }
  }

  #wasObserved(place: string): boolean {
    return this.#observed.has(place.slice(TOPICS.input.length + 1))
  }

  #input(place: string): TwinRecord | undefined {
    const [, partition, offset] = /:(\d+):(\d+)$/.exec(place) ?? []
    return this.#kafka.all(TOPICS.input, Number(partition), Number(offset))[0]
  }
}

function tally(
  into: Map<string, { events: number; readonly digests: Map<string, Set<string>> }>,
  key: string,
  { actionKey, source }: Verdict,
): void {
  const entry = into.get(key) ?? { events: 0, digests: new Map<string, Set<string>>() }
  into.set(key, entry)
  entry.events++
  const digests = entry.digests.get(actionKey) ?? new Set()
  entry.digests.set(actionKey, digests.add(source.digest))
}

const bodyDigestOf = (record: TwinRecord | undefined): string =>
  hash('sha256', record?.value?.subarray(5) ?? '').slice(0, 32)

const text = (value: Uint8Array | undefined): string => (value === undefined ? '' : Buffer.from(value).toString())

const verdictOf = ({ value }: TwinRecord): Verdict =>
  bundled('Verdict').type.decode(value ?? Buffer.alloc(0), 5).value as Verdict

const placeOfLetter = ({ headers }: TwinRecord): string =>
  ['topic', 'partition', 'offset'].map((part) => text(headers.get(`__connect.errors.${part}`))).join(':')

/** What sluice.lua calls a count in its records: the limit, and the beginning of the hash of what it counts per. */
const labelOf = (limit: string, key: string): string => `${limit} ${key.slice(0, 8)}`

const decisionOf = (first: string): string => `${TOPICS.input}:${first.split(':').slice(0, 2).join(':')}`

const linesOf = (recorded: readonly Recorded[]): string => recorded.map(({ line }) => line).join(' | ')

const same = (a: Buffer | null, b: Buffer | null): boolean => (a === null || b === null ? a === b : a.equals(b))

function pairs(flat: readonly unknown[]): ReadonlyMap<string, number> {
  const map = new Map<string, number>()
  for (let at = 0; at < flat.length; at += 2) map.set(flat[at] as string, flat[at + 1] as number)
  return map
}
