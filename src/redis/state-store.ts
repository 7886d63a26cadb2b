import { randomUUID } from 'node:crypto'
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
import type { Answer, Connection } from './connection.ts'
import { readGrants, readObservations } from './replies.ts'
import { observeSegment, reserveSegment } from './segment.ts'
import type { Segment } from './segment.ts'

export type RedisStateConfig = {
  /** The input topic, of which decision ids are made. */
  readonly topic: string
  /** One call, and all of one `observe`, is answered within this, milliseconds. */
  readonly deadlineMs: number
  /** How many events are remembered while Redis is away; beyond that, the outage counts as lost state. */
  readonly backlogEvents: number
}

/** Events told to Redis in one catch-up call. */
const CATCH_UP_EVENTS = 2_000

type Acquired = Awaited<ReturnType<StateStore['acquire']>>
type Observed = Awaited<ReturnType<StateStore['observe']>>
type Reserved = Awaited<ReturnType<StateStore['reserve']>>

/** How one partition is acquired: see `acquire` in sluice.lua. */
type Claim = { readonly partition: number; readonly position: Position; readonly needed: number }

/**
 * StateStore over the function library. An `observe` that gets no answer is remembered, and told to Redis in order
 * before the partition's next observe, so a short outage is not lost state; telling it twice is harmless. While it
 * catches up, for at most the deadline a call, observe is `unavailable` still. A partition without a token (0) is
 * remembered likewise until Redis answers, and then refused as fenced, so that it gets acquired.
 */
export class RedisStateStore implements StateStore {
  readonly #config: RedisStateConfig
  readonly #connection: Connection
  readonly #backlog: Backlog
  #turn: Promise<unknown> = Promise.resolve()

  constructor(config: RedisStateConfig, connection: Connection) {
    this.#config = config
    this.#connection = connection
    this.#backlog = new Backlog(config.backlogEvents)
  }

  /** Events remembered and not yet told to Redis. */
  get backlogEvents(): number {
    return this.#backlog.events
  }

  /**
   * A partition this process kept keeps what is remembered of it, as long as that reaches up to where it now starts:
   * nobody else observed in between, or what is remembered has been observed since and is passed over. Otherwise, and
   * for partitions given away, it is forgotten, and whoever observes next finds the watermark too low.
   */
  acquire(positions: ReadonlyMap<number, Position>, _longestWindowMs: number): Promise<Acquired> {
    return this.#inTurn(async () => {
      const claims = [...positions].map(([partition, position]) => this.#claim(partition, position))
      const answer = await this.#connection.call('acquire', acquireArgs(claims), this.#config.deadlineMs)
      if (answer.kind === 'unavailable') return answer
      const [, ...tokens] = answer.reply as readonly string[]
      this.#keepOnly(claims)
      return { kind: 'owned', tokens: new Map(claims.map((it, at) => [it.partition, Number(tokens[at])])) }
    })
  }

  observe(ranges: readonly ObserveRange[], duplicatesMs: number, longestWindowMs: number): Promise<Observed> {
    return this.#inTurn(async () => {
      const segments = ranges.map(observeSegment)
      const result = await this.#observe(ranges, segments, wholeMs(duplicatesMs), wholeMs(longestWindowMs))
      if (result.kind === 'unavailable') for (const segment of segments) this.#backlog.add(segment)
      return result
    })
  }

  async reserve(ranges: readonly ReserveRange[]): Promise<Reserved> {
    const args = ranges.flatMap((it) => [String(it.partition), String(it.token), reserveSegment(it)])
    const answer = await this.#connection.call('reserve', args, this.#config.deadlineMs)
    const texts = textsOf(answer)
    if (texts.kind !== 'ok') return texts
    return readable((): Reserved => {
      const grants = new Map<number, ReadonlyMap<number, Grant>>()
      for (const [at, { partition, claims }] of ranges.entries()) {
        const byOffset = zip(claims, readGrants(texts.all[at] ?? ''))
        if (byOffset === null) return { kind: 'fenced', partition }
        grants.set(partition, byOffset)
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
    const unowned = ranges.find((it) => !(it.token > 0))
    if (unowned !== undefined) return { kind: 'fenced', partition: unowned.partition }
    const deadline = Date.now() + this.#config.deadlineMs
    for (const range of ranges) {
      const refusal = await this.#catchUp(range, duplicatesMs, longestWindowMs, deadline)
      if (refusal !== null) return refusal
    }
    const args = ranges.flatMap((range, at) => rangeArgs(range, segments[at], 'answer'))
    const answer = await this.#connection.call(
      'observe',
      [duplicatesMs, longestWindowMs, ...args],
      deadline - Date.now(),
    )
    const texts = textsOf(answer)
    return texts.kind === 'ok' ? readable(() => this.#read(ranges, texts.all)) : texts
  }

  /** Tells Redis what is remembered from before the range, in order; half of the time is left for the range itself. */
  async #catchUp(
    range: ObserveRange,
    duplicatesMs: string,
    longestWindowMs: string,
    deadline: number,
  ): Promise<StateRefusal | null> {
    const { partition, from } = range
    let chunk = this.#backlog.first(partition, from, CATCH_UP_EVENTS)
    while (chunk.length > 0) {
      const left = deadline - Date.now()
      if (left < this.#config.deadlineMs / 2) return { kind: 'unavailable', fault: this.#stillCatchingUp() }
      const args = chunk.flatMap((segment) => rangeArgs(range, segment, 'quiet'))
      const answer = await this.#connection.call('observe', [duplicatesMs, longestWindowMs, ...args], left)
      const texts = textsOf(answer)
      if (texts.kind !== 'ok') return texts
      this.#backlog.settle(partition, chunk.at(-1)?.next ?? from)
      chunk = this.#backlog.first(partition, from, CATCH_UP_EVENTS)
    }
    this.#backlog.forget(partition)
    return null
  }

  #read(ranges: readonly ObserveRange[], texts: readonly string[]): Observed {
    const observations = new Map<number, ReadonlyMap<number, Observation>>()
    for (const [at, { partition, inquiries }] of ranges.entries()) {
      const byOffset = zip(inquiries, readObservations(texts[at] ?? '', this.#config.topic))
      if (byOffset === null) return { kind: 'fenced', partition }
      observations.set(partition, byOffset)
    }
    return { kind: 'observed', observations }
  }

  #claim(partition: number, position: Position): Claim {
    const remembered = this.#backlog.startOf(partition, position.start)
    return { partition, position, needed: remembered ?? position.start }
  }

  #keepOnly(claims: readonly Claim[]): void {
    const kept = new Set(claims.filter((it) => it.needed < it.position.start).map((it) => it.partition))
    for (const partition of this.#backlog.partitions()) if (!kept.has(partition)) this.#backlog.forget(partition)
  }

  #stillCatchingUp(): { readonly code: 'state.unavailable'; readonly detail: string; readonly retry: true } {
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

function acquireArgs(claims: readonly Claim[]): string[] {
  const perPartition = claims.flatMap(({ partition, position, needed }) => [
    String(partition),
    position.committed === null ? '' : String(position.committed),
    String(position.start),
    String(needed),
  ])
  return [randomUUID(), ...perPartition]
}

function rangeArgs(range: ObserveRange, segment: Segment | undefined, mode: 'answer' | 'quiet'): (string | Buffer)[] {
  if (segment === undefined) return []
  const { partition, token, committed } = range
  const { from, next, bytes } = segment
  return [String(partition), String(token), String(from), String(next), String(committed), mode, bytes]
}

type Texts = { readonly kind: 'ok'; readonly all: readonly string[] } | StateRefusal

function textsOf(answer: Answer): Texts {
  if (answer.kind === 'unavailable') return answer
  const [kind = '', ...all] = answer.reply as readonly string[]
  return kind === 'fenced' ? { kind, partition: Number(all[0]) } : { kind: 'ok', all }
}

/** What was read, or a fault where something else than this library has written to our keys. */
function readable<T>(read: () => T): T | StateRefusal {
  try {
    return read()
  } catch (cause) {
    const detail = 'Redis holds facts that cannot be read; somebody else has written to this deployment’s keys'
    return { kind: 'unavailable', fault: { code: 'state.unavailable', detail, retry: true, cause } }
  }
}

/** Null when an answer is missing: state holds the offset committed, so this call comes from a past it has left. */
function zip<T>(asked: readonly { readonly offset: number }[], answers: readonly (T | null)[]): Map<number, T> | null {
  const byOffset = new Map<number, T>()
  let at = 0
  for (const { offset } of asked) {
    const answer = answers[at++]
    if (answer === undefined || answer === null) return null
    byOffset.set(offset, answer)
  }
  return byOffset
}

/** Redis takes whole milliseconds; rounded up, so that nothing is forgotten early. */
const wholeMs = (ms: number): string => String(Math.max(0, Math.ceil(ms)))
