import { randomBytes } from 'node:crypto'
import type { Fault } from '../processor/fault.ts'
import type {
  Grant,
  Observation,
  ObserveRange,
  Position,
  ReserveRange,
  StateRefusal,
  StateStore,
} from '../processor/ports.ts'
import { Backlog } from './backlog.ts'
import type { Connection } from './connection.ts'
import { readGrants, readObservations } from './replies.ts'
import { claimArgs, foreign, isLost, ownerOf, rangeArgs, readable, textsOf, wholeMs, zip } from './state-calls.ts'
import type { Claim, Owner } from './state-calls.ts'
import { observeSegment, reserveSegment } from './segment.ts'
import type { Segment } from './segment.ts'

export type RedisStateConfig = {
  /** The input topic, of which decision ids are made. */
  readonly topic: string
  /** The consumer group that decides; no two may share a deployment's state. */
  readonly group: string
  readonly deployment: string
  /** One call, and all of one `observe`, is answered within this, milliseconds. */
  readonly deadlineMs: number
  /** How many events are remembered while Redis is away; beyond that, the outage counts as lost state. */
  readonly backlogEvents: number
}

/** A process that has nothing to tell for so long asks whether state still knows it, and so learns of a loss. */
const REMIND_MS = 1_000
/** Who finds state to be another group's decides without it for so long before it asks again. */
const FOREIGN_MS = 5_000
/** Events told to Redis in one catch-up call. */
const CATCH_UP_EVENTS = 2_000

type Acquired = Awaited<ReturnType<StateStore['acquire']>>
type Observed = Awaited<ReturnType<StateStore['observe']>>
type Reserved = Awaited<ReturnType<StateStore['reserve']>>

/**
 * What this process owns: the token, the watermark that state is known to have reached, and the offset from which on all
 * was observed over the present connection.
 */
type Owned = { readonly token: number; readonly reached: number; readonly since: number }

/**
 * StateStore over the function library. An `observe` that gets no answer is remembered, and told to Redis in order
 * before the partition's next observe, so a short outage is not lost state; telling it twice is harmless. While it
 * catches up, for at most the deadline a call, observe is `unavailable` still; so it is for all partitions until what
 * any of them missed is told, since they share their counters. A partition without a token (0) is remembered likewise
 * until Redis answers, and then refused as fenced, so that it gets acquired; so is a process that asks for nothing.
 *
 * Behind a new connection may be a server that lacks the last writes: a replica that took over, or a restart. So how far
 * each partition had come is told to it before anything else, and what it lacks is then noticed as loss. Until the owners
 * of all partitions have done so, what is observed there counts as lost.
 */
export class RedisStateStore implements StateStore {
  readonly #config: RedisStateConfig
  readonly #connection: Connection
  readonly #backlog: Backlog
  readonly #owned = new Map<number, Owned>()
  /** Per partition the offset after the last whose claim was answered: what state must know of at the least. */
  readonly #reserved = new Map<number, number>()
  /** What state has ever given to this process: it must know of these, though nothing of them is committed yet. */
  readonly #known = new Set<number>()
  /** Per partition that is assigned to this process the last generation in which it was. */
  readonly #generations = new Map<number, number>()
  /** Whether what is assigned was acquired. */
  #isAcquired = false
  /** Whether this process may say what it knows of `#owned`. */
  #isConfirmed = false
  /** The connection that `#owned` was last told to. */
  #session = -1
  /** When state last knew this process as the owner of `#owned`, ms. */
  #confirmedAt = 0
  /** How many partitions the input has. */
  #partitions = 0
  #turn: Promise<unknown> = Promise.resolve()
  #isIncomplete = false
  #trouble: Fault | null = null
  /** While there is trouble, when this process asks again whether it may use this state, ms. */
  #asksAgainAt = 0

  constructor(config: RedisStateConfig, connection: Connection) {
    this.#config = config
    this.#connection = connection
    this.#backlog = new Backlog(config.backlogEvents)
  }

  /** Events remembered and not yet told to Redis. */
  get backlogEvents(): number {
    return this.#backlog.events
  }

  /** Whether state was known to lack what was counted before a loss, when it last answered. */
  get isIncomplete(): boolean {
    return this.#isIncomplete
  }

  /** Null, or why this process may not use this state although Redis answers. */
  get trouble(): Fault | null {
    return this.#trouble
  }

  /** State was made whole again. */
  completed(): void {
    this.#isIncomplete = false
  }

  /**
   * A partition this process kept keeps what is remembered of it, as long as that reaches up to where it now starts.
   * Otherwise it is forgotten, and whoever observes next finds the watermark too low. So it is where a generation lies in
   * between: another owner of that may have committed the same events and taken places for them, of which this process
   * knows nothing, and where state has lost them, only the verdicts can tell.
   */
  acquire(positions: ReadonlyMap<number, Position>, partitions: number, generation: number): Promise<Acquired> {
    return this.#inTurn(async () => {
      this.#assign([...positions.keys()], generation)
      this.#isAcquired = false
      for (const partition of this.#reserved.keys()) if (!positions.has(partition)) this.#reserved.delete(partition)
      for (const partition of this.#owned.keys()) if (!positions.has(partition)) this.#owned.delete(partition)
      // What this process knows of a partition that it keeps is more than what the group has committed; but it must not vouch for
      // what the group has not confirmed since.
      const deadline = Date.now() + this.#config.deadlineMs
      const met = this.#isConfirmed ? await this.#remind(new Set(), deadline) : null
      if (met?.kind === 'unavailable') return met
      this.#partitions = partitions
      const claims = [...positions].map(([partition, position]) => this.#claim(partition, position))
      this.#owned.clear()
      this.#session = this.#connection.session
      const args = [randomBytes(6).toString('base64url'), ownerOf(this.#config), ...claims.flatMap(claimArgs)]
      const answer = await this.#connection.call('acquire', args, this.#config.deadlineMs)
      if (answer.kind === 'unavailable') return answer
      const [kind, figure, unproven, ...given] = answer.reply as readonly string[]
      this.#trouble = kind === 'foreign' ? foreign(figure ?? '', this.#config) : null
      if (this.#trouble !== null) {
        this.#asksAgainAt = Date.now() + FOREIGN_MS
        return { kind: 'unavailable', fault: this.#trouble }
      }
      this.#isIncomplete = figure === '1' || unproven === '1'
      this.#isAcquired = true
      this.#keepOnly(claims)
      for (const [at, { partition, needed }] of claims.entries())
        this.#owned.set(partition, { token: Number(given[2 * at]), reached: needed, since: 0 })
      for (const { partition } of claims) this.#known.add(partition)
      // Whoever is not the owner any more must not vouch for a partition: that waits until the group has confirmed us.
      this.#isConfirmed = unproven !== '1'
      if (unproven === '1') this.#session = -1
      const tokens = new Map([...this.#owned].map(([partition, { token }]) => [partition, token]))
      const decided = new Map(claims.map(({ partition }, at) => [partition, Number(given[2 * at + 1])]))
      return { kind: 'owned', tokens, decided }
    })
  }

  observe(ranges: readonly ObserveRange[], duplicatesMs: number, longestWindowMs: number): Promise<Observed> {
    return this.#inTurn(async () => {
      const segments = ranges.map(observeSegment)
      const result = await this.#observe(ranges, segments, wholeMs(duplicatesMs), wholeMs(longestWindowMs))
      if (result.kind === 'unavailable') {
        for (const segment of segments) if (segment.next > segment.from) this.#backlog.add(segment)
      }
      return result
    })
  }

  /** Over another connection than the events were observed, counters may lack what these facts rest on: `unavailable`. */
  async reserve(ranges: readonly ReserveRange[]): Promise<Reserved> {
    if (this.#session !== this.#connection.session || ranges.some((it) => this.#isFromBefore(it)))
      return { kind: 'unavailable', fault: this.#connection.fault() }
    const args = ranges.flatMap((it) => [String(it.partition), String(it.token), reserveSegment(it)])
    const answer = await this.#connection.call('reserve', args, this.#config.deadlineMs)
    const texts = textsOf(answer)
    if (texts.kind !== 'ok') return texts
    return readable((): Reserved => {
      const grants = new Map<number, ReadonlyMap<number, Grant>>()
      for (const [at, { partition, claims }] of ranges.entries()) {
        const byOffset = zip(claims, readGrants(texts.all[at] ?? '', claims))
        if (byOffset === null) return { kind: 'fenced', partition }
        grants.set(partition, byOffset)
        this.#reservedTo(partition, (claims.at(-1)?.offset ?? -1) + 1)
      }
      return { kind: 'reserved', grants }
    })
  }

  async #observe(
    ranges: readonly ObserveRange[],
    segments: readonly Segment[],
    duplicatesMs: string,
    longestWindowMs: string,
  ): Promise<Observed> {
    if (!this.#connection.isServing) return { kind: 'unavailable', fault: this.#connection.fault() }
    if (this.#trouble !== null && Date.now() < this.#asksAgainAt) return { kind: 'unavailable', fault: this.#trouble }
    const unowned = this.#unowned(ranges)
    if (unowned !== undefined) return { kind: 'fenced', partition: unowned }
    const deadline = Date.now() + this.#config.deadlineMs
    const refusal = await this.#settle(ranges, [duplicatesMs, longestWindowMs], deadline)
    if (refusal !== null) return refusal
    if (ranges.length === 0) return { kind: 'observed', observations: new Map() }
    if (this.#session !== this.#connection.session) return { kind: 'unavailable', fault: this.#connection.fault() }
    const args = ranges.flatMap((range, at) => rangeArgs(range, segments[at], 'answer'))
    const answer = await this.#connection.call(
      'observe',
      [duplicatesMs, longestWindowMs, ...args],
      deadline - Date.now(),
    )
    const texts = textsOf(answer)
    if (texts.kind !== 'ok') return texts
    for (const { partition, next } of ranges) this.#reached(partition, next)
    this.#confirmedAt = Date.now()
    return readable(() => this.#read(ranges, texts.all))
  }

  /** Brings state to where this process believes it to be, for all of its partitions, those of `ranges` first. */
  async #settle(
    ranges: readonly ObserveRange[],
    windows: readonly [duplicatesMs: string, longestWindowMs: string],
    deadline: number,
  ): Promise<StateRefusal | null> {
    const asked = new Set(ranges.map(({ partition }) => partition))
    const isDue = ranges.length === 0 && Date.now() - this.#confirmedAt >= REMIND_MS
    const stranger = await this.#remind(asked, deadline, isDue)
    if (stranger !== null) return stranger
    for (const range of ranges) {
      const refusal = await this.#catchUp(range, range.from, windows, deadline)
      if (refusal !== null) return refusal
    }
    for (const partition of this.#backlog.partitions()) {
      const owned = this.#owned.get(partition)
      if (owned === undefined) return { kind: 'fenced', partition }
      const refusal = await this.#catchUp({ partition, token: owned.token }, Infinity, windows, deadline)
      if (refusal !== null) return refusal
    }
    return null
  }

  /** Tells a new connection how far each partition had come, those of `first` first; the same one only where it is due. */
  async #remind(first: ReadonlySet<number>, deadline: number, isDue = false): Promise<StateRefusal | null> {
    const { session } = this.#connection
    if ((this.#session === session && !isDue) || this.#owned.size === 0) {
      this.#session = session
      return null
    }
    const owned = [...this.#owned].toSorted(([a], [b]) => Number(first.has(b)) - Number(first.has(a)))
    const args = owned.flatMap(([partition, { token, reached }]) =>
      [partition, token, reached, this.#reserved.get(partition) ?? 0].map(String),
    )
    const answer = await this.#connection.call('remind', [String(this.#partitions), ...args], deadline - Date.now())
    const texts = textsOf(answer)
    if (texts.kind !== 'ok') return texts
    if (this.#session !== session)
      for (const [partition, it] of owned) this.#owned.set(partition, { ...it, since: it.reached })
    this.#session = session
    this.#isConfirmed = true
    this.#confirmedAt = Date.now()
    return null
  }

  #isFromBefore({ partition, claims }: ReserveRange): boolean {
    const since = this.#owned.get(partition)?.since ?? 0
    return claims.some(({ offset }) => offset < since)
  }

  #reached(partition: number, next: number): void {
    const owned = this.#owned.get(partition)
    if (owned !== undefined && next > owned.reached) this.#owned.set(partition, { ...owned, reached: next })
  }

  #reservedTo(partition: number, next: number): void {
    if (next > (this.#reserved.get(partition) ?? 0)) this.#reserved.set(partition, next)
  }

  /** Tells Redis what is remembered from before `from`, in order; half of the time is left for what is asked itself. */
  async #catchUp(
    owner: Owner,
    from: number,
    windows: readonly string[],
    deadline: number,
  ): Promise<StateRefusal | null> {
    const { partition } = owner
    let chunk = this.#backlog.first(partition, from, CATCH_UP_EVENTS)
    while (chunk.length > 0) {
      const left = deadline - Date.now()
      if (left < this.#config.deadlineMs / 2) return { kind: 'unavailable', fault: this.#stillCatchingUp() }
      // Nothing is told of what is committed, since what is recorded of it may be needed for the next chunk.
      const args = chunk.flatMap((segment) => rangeArgs({ ...owner, committed: 0 }, segment, 'quiet'))
      const answer = await this.#connection.call('observe', [...windows, ...args], left)
      const texts = textsOf(answer)
      if (texts.kind !== 'ok') return texts
      const next = chunk.at(-1)?.next ?? from
      this.#reached(partition, next)
      this.#backlog.settle(partition, next)
      chunk = this.#backlog.first(partition, from, CATCH_UP_EVENTS)
    }
    this.#backlog.forget(partition)
    return null
  }

  #read(ranges: readonly ObserveRange[], texts: readonly string[]): Observed {
    const observations = new Map<number, ReadonlyMap<number, Observation>>()
    for (const [at, { partition, inquiries }] of ranges.entries()) {
      const byOffset = zip(inquiries, readObservations(texts[at] ?? '', inquiries, this.#config.topic))
      if (byOffset === null) return { kind: 'fenced', partition }
      this.#isIncomplete = inquiries.length > 0 ? isLost(byOffset) : this.#isIncomplete
      observations.set(partition, byOffset)
    }
    return { kind: 'observed', observations }
  }

  #assign(partitions: readonly number[], generation: number): void {
    const before = new Map(this.#generations)
    this.#generations.clear()
    for (const partition of partitions) {
      const last = before.get(partition)
      if (last !== generation && last !== generation - 1) this.#backlog.forget(partition)
      this.#generations.set(partition, generation)
    }
  }

  /** A partition that must be acquired first; where nothing is asked, one that was asked for without an answer. */
  #unowned(ranges: readonly ObserveRange[]): number | undefined {
    if (ranges.length > 0) return ranges.find((it) => !(it.token > 0))?.partition
    return this.#isAcquired ? undefined : this.#generations.keys().next().value
  }

  #claim(partition: number, position: Position): Claim {
    const remembered = this.#backlog.startOf(partition, position.start)
    const reserved = this.#reserved.get(partition) ?? 0
    const committed = position.committed ?? (this.#known.has(partition) ? position.start : null)
    return { partition, position: { ...position, committed }, needed: remembered ?? position.start, reserved }
  }

  #keepOnly(claims: readonly Claim[]): void {
    const kept = new Set(claims.filter((it) => it.needed < it.position.start).map((it) => it.partition))
    for (const partition of this.#backlog.partitions()) if (!kept.has(partition)) this.#backlog.forget(partition)
  }

  #stillCatchingUp(): Fault {
    const detail = `catching up: ${this.#backlog.events} events of an outage are still to be counted`
    return { code: 'state.unavailable', detail, retry: true }
  }

  /** One after the other: a later range must not overtake an earlier one that is then remembered. */
  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(run)
    this.#turn = result.catch(() => undefined)
    return result
  }
}
