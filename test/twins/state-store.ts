import { isDeepStrictEqual } from 'node:util'
import type { ContextValue } from '../../src/decision/facts.ts'
import type { CounterInquiry, Inquiry } from '../../src/decision/inquiry.ts'
import type {
  Grant,
  Observation,
  ObserveRange,
  Owned,
  Position,
  ReserveRange,
  StateRefusal,
  StateStore,
} from '../../src/processor/ports.ts'

type Partition = {
  token: number
  watermark: number
  committed: number
  /** The furthest that was ever committed. */
  decided: number
  epoch: number
  /** After the last offset that asked for places. */
  reserved: number
  readonly observations: Map<number, Observation>
  readonly grants: Map<number, Grant>
  /** Offsets that asked for nothing when they were observed. */
  readonly unasked: Set<number>
}

/** What an acquisition asks of one partition. */
type Claim = Position & { readonly needed: number; readonly reserved: number }

/** How many of what happened in each bucket of time; a bucket is `widthMs` long. */
type Counter = {
  readonly widthMs: number
  readonly buckets: Map<number, number>
  /** Where windows are narrower than the buckets are for: in which bucket they became so, and the widest since. */
  readonly narrower: { readonly since: number; readonly widthMs: number } | null
  forgottenAt: number
}

type Earlier = {
  readonly partition: number
  readonly offset: number
  readonly digest: string
  readonly forgottenAt: number
}

const BUCKETS = 16

/**
 * The state store in memory, by the same algorithm as the function library and its client; held to them by
 * test/conformance/state-store.ts. Time is the caller's.
 */
export class StateStoreTwin implements StateStore {
  /** Calls so far, answered or not. */
  calls = 0
  readonly #now: () => number
  readonly #topic: string
  readonly #backlogEvents: number
  readonly #context = new Map<string, ContextValue>()
  readonly #partitions = new Map<number, Partition>()
  readonly #counters = new Map<string, Counter>()
  readonly #events = new Map<string, Earlier>()
  readonly #backlog = new Map<number, ObserveRange[]>()
  #epoch = 0
  #hasEpoch = false
  #lostAt: number | null = null
  /** Whether an epoch began with nothing known to be missing, and the owner of some partition was not met since. */
  #isUnproven = false
  /** Partitions whose owner was met. */
  readonly #met = new Set<number>()
  #partitionCount = 0
  #reach: 'there' | 'away' | 'deaf' = 'there'
  /** Tokens as of the last acquire that was answered. */
  #tokens: ReadonlyMap<number, number> = new Map()
  /** Per partition the watermark this process knows of, and the offset since which all came over one connection. */
  #reached = new Map<number, number>()
  #since = new Map<number, number>()
  /** Per partition the offset after the last claim that this process knows to be answered. */
  readonly #reserved = new Map<number, number>()
  /** Partitions that this process has ever been given. */
  readonly #known = new Set<number>()
  /** Per partition that this process has the last generation in which it was given it. */
  readonly #generations = new Map<number, number>()
  /** Whether the connection is another one than that which `#tokens` were told to. */
  #isNew = true

  constructor(now: () => number, topic = 'model.outputs', backlogEvents = 200_000) {
    this.#now = now
    this.#topic = topic
    this.#backlogEvents = backlogEvents
  }

  /** Calls have no answer while this is `away`; with `deaf` they have their effect all the same. */
  get reach(): 'there' | 'away' | 'deaf' {
    return this.#reach
  }

  set reach(reach: 'there' | 'away' | 'deaf') {
    if (reach === 'there' && this.#reach !== 'there') this.#isNew = true
    this.#reach = reach
  }

  /** Events and runs remembered and not yet told. */
  get backlogEvents(): number {
    return [...this.#backlog.values()].flat().reduce((sum, it) => sum + it.inquiries.length + 1, 0)
  }

  /** Forgets everything, as a Redis that was flushed has. */
  flush(): void {
    for (const map of [this.#partitions, this.#counters, this.#events, this.#context, this.#met]) map.clear()
    this.#hasEpoch = false
    this.#lostAt = null
    this.#isUnproven = false
  }

  /** What is known of an entity from now on; null forgets it. */
  putContext(hash: string, value: ContextValue | null): void {
    if (value === null) this.#context.delete(hash)
    else this.#context.set(hash, value)
  }

  async acquire(
    positions: ReadonlyMap<number, Position>,
    partitions: number,
    generation: number,
  ): Promise<Owned | StateRefusal> {
    this.calls++
    const before = new Map(this.#generations)
    this.#generations.clear()
    for (const partition of positions.keys()) {
      const passed = generation - (before.get(partition) ?? -Infinity)
      if (passed !== 0 && passed !== 1) this.#backlog.delete(partition)
      this.#generations.set(partition, generation)
    }
    this.#tokens = new Map()
    this.#since = new Map()
    this.#isNew = false
    this.#partitionCount = partitions
    for (const partition of this.#reserved.keys()) if (!positions.has(partition)) this.#reserved.delete(partition)
    if (this.reach === 'away') return unavailable()
    const needed = new Map<number, number>(
      [...positions].map(([partition, { start }]) => [partition, this.#remembered(partition, start)]),
    )
    const claims = new Map<number, Claim>(
      [...positions].map(([partition, position]) => [
        partition,
        {
          ...position,
          committed: position.committed ?? (this.#known.has(partition) ? position.start : null),
          needed: needed.get(partition) ?? 0,
          reserved: this.#reserved.get(partition) ?? 0,
        },
      ]),
    )
    const isLost = [...claims].some(([partition, claim]) => this.#isLost(partition, claim))
    const isFirst = !this.#hasEpoch && claims.size > 0
    if (isFirst && !isLost && this.#lostAt === null) this.#isUnproven = true
    if (isLost || isFirst) this.#beginEpoch()
    if (isLost) this.#lostAt = this.#now()
    const isNew = [...claims.keys()].some((it) => this.#partitions.get(it)?.epoch !== this.#epoch)
    const tokens = new Map([...claims].map(([partition, claim]) => [partition, this.#take(partition, claim)]))
    if (this.reach === 'deaf') return unavailable()
    for (const partition of this.#backlog.keys()) {
      const start = positions.get(partition)?.start ?? -1
      if (!((needed.get(partition) ?? start) < start)) this.#backlog.delete(partition)
    }
    this.#tokens = tokens
    this.#isNew = this.#isUnproven || isNew
    for (const partition of tokens.keys()) this.#known.add(partition)
    this.#reached = needed
    return {
      kind: 'owned',
      tokens,
      decided: new Map([...claims.keys()].map((it) => [it, this.#partition(it).decided])),
    }
  }

  async observe(
    ranges: readonly ObserveRange[],
    duplicatesMs: number,
    longestWindowMs: number,
  ): Promise<
    | { readonly kind: 'observed'; readonly observations: ReadonlyMap<number, ReadonlyMap<number, Observation>> }
    | StateRefusal
  > {
    this.calls++
    if (this.reach === 'away') return this.#remember(ranges)
    const unowned =
      ranges.length > 0
        ? ranges.find((it) => !(it.token > 0))?.partition
        : [...this.#generations.keys()].find((it) => !this.#tokens.has(it))
    if (unowned !== undefined) return { kind: 'fenced', partition: unowned }
    const refused = this.#settle(ranges, duplicatesMs, longestWindowMs)
    if (refused !== null) return { kind: 'fenced', partition: refused }
    if (ranges.length === 0) return { kind: 'observed', observations: new Map() }
    const stranger = ranges.find((it) => !this.#owns(it))
    if (stranger !== undefined) return { kind: 'fenced', partition: stranger.partition }
    const gap = ranges.find((it) => this.#showsLoss(it))
    if (gap !== undefined) {
      this.#lose()
      return this.reach === 'deaf' ? this.#remember(ranges) : { kind: 'fenced', partition: gap.partition }
    }
    const overtaken = ranges.find((it) => this.#isOvertaken(it))
    const observations = new Map<number, ReadonlyMap<number, Observation>>()
    this.#shape(ranges.flatMap(countersAsked))
    for (const range of ranges) observations.set(range.partition, this.#apply(range, duplicatesMs, longestWindowMs))
    if (this.reach === 'deaf') return this.#remember(ranges)
    for (const { partition, next } of ranges) this.#reachedTo(partition, next)
    return overtaken === undefined
      ? { kind: 'observed', observations }
      : { kind: 'fenced', partition: overtaken.partition }
  }

  async reserve(
    ranges: readonly ReserveRange[],
  ): Promise<
    { readonly kind: 'reserved'; readonly grants: ReadonlyMap<number, ReadonlyMap<number, Grant>> } | StateRefusal
  > {
    this.calls++
    const isFromBefore = ({ partition, claims }: ReserveRange): boolean =>
      claims.some(({ offset }) => offset < (this.#since.get(partition) ?? 0))
    if (this.reach === 'away' || this.#isNew || ranges.some(isFromBefore)) return unavailable()
    const stranger = ranges.find((it) => !this.#owns(it))
    if (stranger !== undefined) return { kind: 'fenced', partition: stranger.partition }
    if (this.#isUnproven) return unavailable()
    const grants = new Map<number, ReadonlyMap<number, Grant>>()
    this.#shape(ranges.flatMap(({ claims }) => claims.flatMap(({ inquiry }) => executionsOf(inquiry))))
    for (const { partition, claims } of ranges) {
      const own = this.#partition(partition)
      for (const { offset, inquiry } of claims) {
        if (own.grants.has(offset)) continue
        own.grants.set(offset, this.#claim(inquiry))
        own.reserved = Math.max(own.reserved, offset + 1)
      }
      const answers = claims.map(({ offset, inquiry }) => [offset, asAsked(own.grants.get(offset), inquiry)] as const)
      grants.set(partition, new Map(answers))
    }
    if (this.reach === 'deaf') return unavailable()
    for (const { partition, claims } of ranges) {
      const next = (claims.at(-1)?.offset ?? -1) + 1
      if (next > (this.#reserved.get(partition) ?? 0)) this.#reserved.set(partition, next)
    }
    return { kind: 'reserved', grants }
  }

  // ---- Ownership ----------------------------------------------------------------------------------------------------

  #owns({ partition, token }: { readonly partition: number; readonly token: number }): boolean {
    const own = this.#partitions.get(partition)
    return this.#hasEpoch && own !== undefined && own.token === token && own.epoch === this.#epoch
  }

  #isLost(partition: number, { committed, needed, reserved, isSetByHand }: Claim): boolean {
    const own = this.#partitions.get(partition)
    if (this.#hasEpoch && own?.epoch === this.#epoch)
      return (
        (committed !== null && own.watermark < Math.min(committed, needed)) ||
        (isSetByHand === true &&
          committed !== null &&
          own.watermark > Math.max(own.decided, own.committed, committed)) ||
        own.reserved < reserved
      )
    const isMending = this.#hasEpoch && this.#lostAt !== null
    return !isMending && (own !== undefined || committed !== null)
  }

  /** Nobody may write until the next epoch, which an acquisition begins. */
  #lose(): void {
    this.#hasEpoch = false
    this.#lostAt = this.#now()
  }

  #beginEpoch(): void {
    this.#epoch++
    this.#hasEpoch = true
    this.#counters.clear()
  }

  #take(partition: number, { start, needed, reserved }: Claim): number {
    const own = this.#partitions.get(partition) ?? fresh()
    this.#partitions.set(partition, own)
    own.token = Math.max(own.token + 1, this.#now() * 1000)
    own.decided = Math.max(own.decided, own.committed, start)
    own.committed = start
    if (own.epoch === this.#epoch) own.watermark = Math.max(own.watermark, needed)
    else {
      Object.assign(own, { epoch: this.#epoch, watermark: needed, reserved })
      this.#met.delete(partition)
      own.observations.clear()
      own.grants.clear()
      own.unasked.clear()
    }
    trim(own, Math.min(start, needed))
    return own.token
  }

  #partition(partition: number): Partition {
    return this.#partitions.get(partition)!
  }

  // ---- Observation --------------------------------------------------------------------------------------------------

  #showsLoss({ partition, from, committed, inquiries }: ObserveRange): boolean {
    const own = this.#partition(partition)
    const floor = Math.max(own.committed, committed)
    return (
      from > own.watermark ||
      inquiries.some(
        ({ offset }) =>
          offset < own.watermark && offset >= floor && !own.observations.has(offset) && !own.unasked.has(offset),
      )
    )
  }

  #isGone(partition: number, offset: number): boolean {
    const own = this.#partition(partition)
    return offset < own.watermark && offset < own.committed && !own.observations.has(offset)
  }

  /** Asks for what was observed, committed and forgotten, as only a caller does that has given up on its call. */
  #isOvertaken({ partition, inquiries }: ObserveRange): boolean {
    return inquiries.some(({ offset }) => this.#isGone(partition, offset))
  }

  #apply(
    range: ObserveRange,
    duplicatesMs: number,
    longestWindowMs: number,
    isQuiet = false,
  ): Map<number, Observation> {
    const own = this.#partition(range.partition)
    if (range.committed > own.committed) trim(own, range.committed)
    own.committed = Math.max(own.committed, range.committed)
    const isLost = this.#isUnproven || (this.#lostAt !== null && this.#now() < this.#lostAt + longestWindowMs)
    for (const inquiry of range.inquiries) {
      const isGone = !isQuiet && this.#isGone(range.partition, inquiry.offset)
      if (own.observations.has(inquiry.offset) || isGone) continue
      own.observations.set(inquiry.offset, this.#observation(range.partition, inquiry, duplicatesMs, isLost))
    }
    const asked = new Set(range.inquiries.map(({ offset }) => offset))
    for (let offset = Math.max(range.from, own.watermark); offset < range.next; offset++)
      if (!asked.has(offset)) own.unasked.add(offset)
    own.watermark = Math.max(own.watermark, range.next)
    return new Map(range.inquiries.map((it) => [it.offset, asAsked(own.observations.get(it.offset), it)]))
  }

  #observation(partition: number, inquiry: Inquiry, duplicatesMs: number, lost: boolean): Observation {
    const earlier = this.#earlier(partition, inquiry, duplicatesMs)
    const counters = new Map<string, number>()
    for (const asked of inquiry.counters) {
      counters.set(counterLabel(asked), this.#count(asked))
      if (asked.count === 'proposals' && earlier?.digest !== inquiry.digest) this.#add(asked)
    }
    const context = new Map<string, ContextValue>()
    for (const asked of inquiry.context) {
      const value = asked.hash === null ? undefined : this.#context.get(asked.hash)
      if (value !== undefined) context.set(contextLabel(asked), value)
    }
    const first =
      earlier === null
        ? null
        : { decisionId: `${this.#topic}:${earlier.partition}:${earlier.offset}`, digest: earlier.digest }
    return { now: this.#now(), lost, first, counters, context }
  }

  #earlier(partition: number, { actionKey, digest, offset }: Inquiry, duplicatesMs: number): Earlier | null {
    if (duplicatesMs <= 0) return null
    const known = this.#events.get(actionKey)
    if (known === undefined || !(this.#now() < known.forgottenAt)) {
      this.#events.set(actionKey, { partition, offset, digest, forgottenAt: this.#now() + duplicatesMs })
      return null
    }
    return known.partition === partition && known.offset === offset ? null : known
  }

  // ---- Counters -----------------------------------------------------------------------------------------------------

  /** Before a call counts: each counter takes the shape that the widest window needs by which the call asks for it. */
  #shape(asked: readonly CounterInquiry[]): void {
    const widest = new Map<string, number>()
    for (const it of asked) widest.set(counterName(it), Math.max(widest.get(counterName(it)) ?? 0, widthOf(it)))
    for (const [name, widthMs] of widest) {
      const known = this.#heldCounter(name)
      const next = known === null ? emptyCounter(widthMs) : this.#shaped(known, widthMs)
      if (known !== null && !isDeepStrictEqual(next, known)) this.#written(next)
      this.#counters.set(name, next)
    }
  }

  #shaped(counter: Counter, widthMs: number): Counter {
    const { widthMs: held, narrower } = counter
    if (held === widthMs) return { ...counter, narrower: null }
    if (held < widthMs) return moved(counter, widthMs)
    const present = Math.floor(this.#now() / held)
    const since = narrower?.since ?? present
    const widest = Math.max(narrower?.widthMs ?? 0, widthMs)
    if (since < present - BUCKETS) return this.#shaped(moved(counter, widest), widthMs)
    return { ...counter, narrower: { since, widthMs: widest } }
  }

  #heldCounter(name: string): Counter | null {
    const held = this.#counters.get(name)
    return held !== undefined && this.#now() < held.forgottenAt ? held : null
  }

  /** What is written has lost what left its widest window, and is kept for as long as that. */
  #written(counter: Counter): void {
    const { widthMs, buckets } = counter
    const oldest = Math.floor(this.#now() / widthMs) - BUCKETS
    for (const bucket of buckets.keys()) if (bucket < oldest) buckets.delete(bucket)
    counter.forgottenAt = this.#now() + (BUCKETS + 2) * widthMs
  }

  #count(asked: CounterInquiry): number {
    const { widthMs, buckets } = this.#counters.get(counterName(asked))!
    const oldest = Math.floor((this.#now() - asked.windowMs) / widthMs)
    return [...buckets].reduce((sum, [bucket, n]) => (bucket >= oldest ? sum + n : sum), 0)
  }

  #add(asked: CounterInquiry): void {
    const counter = this.#counters.get(counterName(asked))!
    this.#written(counter)
    const { widthMs, buckets } = counter
    const bucket = Math.max(Math.floor(this.#now() / widthMs), ...buckets.keys())
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1)
  }

  #claim(inquiry: Inquiry): Grant {
    const limits = executionsOf(inquiry)
    const counters = new Map(limits.map((it) => [counterLabel(it), this.#count(it)]))
    const granted = limits.every((it) => (counters.get(counterLabel(it)) ?? 0) + 1 <= it.max)
    if (granted) for (const limit of limits) this.#add(limit)
    return { granted, counters }
  }

  // ---- Outages ------------------------------------------------------------------------------------------------------

  #remember(ranges: readonly ObserveRange[]): StateRefusal {
    for (const range of ranges.filter(({ from, next }) => next > from)) {
      const held = (this.#backlog.get(range.partition) ?? []).filter((it) => it.from < range.from)
      this.#backlog.set(range.partition, [...held.map((it) => until(it, range.from)), range])
      const weights = [...this.#backlog.values()].flat().map((it) => it.inquiries.length + 1)
      if (weights.reduce((sum, n) => sum + n, 0) > this.#backlogEvents) this.#backlog.clear()
    }
    return unavailable()
  }

  /** From where on the backlog reaches without a gap to `start`; `start` if it does not. */
  #remembered(partition: number, start: number): number {
    const held = this.#backlog.get(partition) ?? []
    const from = held[0]?.from ?? start
    const reached = held.reduce((at, it) => (it.from <= at ? Math.max(at, it.next) : at), from)
    return from < start && reached >= start ? from : start
  }

  /** Tells what was missed, of all partitions. Returns the first that is not ours, or null. */
  #settle(ranges: readonly ObserveRange[], duplicatesMs: number, longestWindowMs: number): number | null {
    const asked = new Set(ranges.map(({ partition }) => partition))
    const all = [...this.#tokens].toSorted(([a], [b]) => Number(asked.has(b)) - Number(asked.has(a)))
    const stranger = all.find(([partition, token]) => !this.#owns({ partition, token }))
    if (this.#isNew && stranger !== undefined) return stranger[0]
    const behind = this.#isNew ? all.find(([partition]) => this.#isBehind(partition)) : undefined
    if (behind !== undefined) {
      this.#lose()
      return behind[0]
    }
    if (this.#isNew) this.#vouch()
    for (const range of ranges) {
      if (this.#hasMissed(range) && !this.#owns(range)) return range.partition
      if (!this.#catchUp(range, duplicatesMs, longestWindowMs)) return range.partition
    }
    for (const partition of this.#backlog.keys()) {
      const range = { partition, token: this.#tokens.get(partition) ?? 0, from: Infinity, next: Infinity }
      if (!this.#owns(range)) return partition
      const nothing = { ...range, committed: 0, inquiries: [] }
      if (!this.#catchUp(nothing, duplicatesMs, longestWindowMs)) return partition
    }
    return null
  }

  /** Nothing is missing of what this process knows. */
  #vouch(): void {
    this.#isNew = false
    this.#since = new Map([...this.#tokens.keys()].map((it) => [it, this.#reached.get(it) ?? 0]))
    for (const partition of this.#tokens.keys()) this.#met.add(partition)
    const all = Array.from({ length: this.#partitionCount }, (_, at) => at)
    const isMet = (it: number): boolean => this.#met.has(it) && this.#partitions.get(it)?.epoch === this.#epoch
    if (all.every(isMet)) this.#isUnproven = false
  }

  /** State lacks what this process knows to be in it. */
  #isBehind(partition: number): boolean {
    const own = this.#partition(partition)
    return own.watermark < (this.#reached.get(partition) ?? 0) || own.reserved < (this.#reserved.get(partition) ?? 0)
  }

  #hasMissed({ partition, from }: ObserveRange): boolean {
    return (this.#backlog.get(partition) ?? []).some((it) => it.from < from)
  }

  #reachedTo(partition: number, next: number): void {
    if (this.#tokens.has(partition)) this.#reached.set(partition, Math.max(this.#reached.get(partition) ?? 0, next))
  }

  /** False when a gap shows that state was lost. */
  #catchUp(range: ObserveRange, duplicatesMs: number, longestWindowMs: number): boolean {
    const missedRanges = (this.#backlog.get(range.partition) ?? []).filter((it) => it.from < range.from)
    this.#shape(missedRanges.flatMap(countersAsked))
    for (const held of missedRanges) {
      const own = this.#partition(range.partition)
      const { from, next, inquiries } = until(held, range.from)
      if (from > own.watermark) {
        this.#lose()
        return false
      }
      const missed = inquiries.filter(
        ({ offset }) => (offset >= own.watermark || own.unasked.has(offset)) && offset < next,
      )
      this.#apply({ ...range, committed: 0, from, next, inquiries: missed }, duplicatesMs, longestWindowMs, true)
      this.#reachedTo(range.partition, next)
    }
    this.#backlog.delete(range.partition)
    return true
  }
}

const unavailable = (): StateRefusal => ({
  kind: 'unavailable',
  fault: { code: 'state.unavailable', detail: 'the twin is away', retry: true },
})

const fresh = (): Partition => ({
  token: 0,
  watermark: 0,
  committed: 0,
  decided: 0,
  epoch: 0,
  reserved: 0,
  observations: new Map(),
  grants: new Map(),
  unasked: new Set(),
})

const counterName = ({ count, key }: CounterInquiry): string => `${count} ${key}`
const widthOf = ({ windowMs }: CounterInquiry): number => Math.ceil(windowMs / BUCKETS)
const countersAsked = ({ inquiries }: ObserveRange): readonly CounterInquiry[] =>
  inquiries.flatMap(({ counters }) => counters)
const executionsOf = ({ counters }: Inquiry): readonly CounterInquiry[] =>
  counters.filter(({ count }) => count === 'executions')

/** Nothing is known of it until it is written. */
const emptyCounter = (widthMs: number): Counter => ({
  widthMs,
  buckets: new Map(),
  narrower: null,
  forgottenAt: 0,
})

/** In buckets of another width; each lies where its last millisecond was. */
function moved({ widthMs: held, buckets, forgottenAt }: Counter, widthMs: number): Counter {
  const places = new Map<number, number>()
  for (const [bucket, n] of buckets) {
    const place = Math.floor(((bucket + 1) * held - 1) / widthMs)
    places.set(place, (places.get(place) ?? 0) + n)
  }
  return { widthMs, buckets: places, narrower: null, forgottenAt }
}

/** The name in the policy and the beginning of the hash: what is recorded of one entity is not given for another. */
const counterLabel = ({ limit, key }: CounterInquiry): string => `${limit} ${key.slice(0, 8)}`
const contextLabel = ({ name, hash }: Inquiry['context'][number]): string => `${name} ${(hash ?? '').slice(0, 8)}`

/** What was recorded under labels, by the names of those that are asked for. */
function asAsked<T extends Grant | Observation>(recorded: T | undefined, { counters, context }: Inquiry): T {
  // Forgotten after its commit: the caller is told that it was overtaken.
  if (recorded === undefined) return undefined as never
  const named = <V>(pairs: readonly (readonly [string, V | undefined])[]): Map<string, V> =>
    new Map(pairs.filter((it): it is readonly [string, V] => it[1] !== undefined))
  const counts = named(counters.map((it) => [it.limit, recorded.counters.get(counterLabel(it))]))
  if (!('context' in recorded)) return { ...recorded, counters: counts }
  const contexts = named(context.map((it) => [it.name, recorded.context.get(contextLabel(it))]))
  return { ...recorded, counters: counts, context: contexts }
}

/** Ends at `offset` at the latest; the inquiries beyond it stay, and stay counted as remembered. */
const until = (range: ObserveRange, offset: number): ObserveRange =>
  range.next > offset ? { ...range, next: offset } : range

function trim({ observations, grants, unasked }: Partition, committed: number): void {
  for (const map of [observations, grants, unasked])
    for (const offset of map.keys()) if (offset < committed) map.delete(offset)
}
