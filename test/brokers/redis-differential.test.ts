import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CounterInquiry, Inquiry } from '../../src/decision/inquiry.ts'
import type { ObserveRange, Position, ReserveRange, StateStore } from '../../src/processor/ports.ts'
import { BACKLOG_EVENTS, DAY, HOUR } from '../conformance/state-caller.ts'
import type { StateSubject } from '../conformance/state-caller.ts'
import { realSubject } from '../redis/real-subject.ts'
import { startRedis } from '../redis/server.ts'
import type { RedisServer } from '../redis/server.ts'
import { StateStoreTwin } from '../twins/state-store.ts'
import { dice } from './support/dice.ts'

let server: RedisServer

beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())

const PARTITIONS = 3
const WINDOWS = [HOUR, 2 * HOUR + 7, DAY, 60_000, HOUR / 2]

/** Both stores, driven alike by chance; `log` is the input, of which every offset always asks the same. */
class Pair {
  readonly answers: Record<string, number> = {}
  readonly #roll: (sides: number) => number
  readonly #real: StateSubject
  readonly #twin: StateStoreTwin
  readonly #log = new Map<string, Inquiry>()
  readonly #committed = new Map<number, number>()
  readonly #next = new Map<number, number>()
  #generation = 1
  #realTokens: ReadonlyMap<number, number> = new Map()
  #twinTokens: ReadonlyMap<number, number> = new Map()
  #now = 1_700_000_000_000
  #version = 0
  #isAway = false

  constructor(seed: number, real: StateSubject) {
    this.#roll = dice(seed)
    this.#real = real
    this.#twin = new StateStoreTwin(() => this.#now, 'model.outputs', BACKLOG_EVENTS)
  }

  async step(): Promise<void> {
    const roll = this.#roll(100)
    if (roll < 45) await this.#observe()
    else if (roll < 65) await this.#reserve()
    else if (roll < 75) this.#commit()
    else if (roll < 83) await this.#acquire()
    else if (roll < 94) await this.#advance()
    else if (roll < 96) await this.#putContext()
    else if (roll < 99) await this.#cutOrMend()
    else await this.#flush()
  }

  async #acquire(): Promise<void> {
    // Sometimes with a generation left out, in which another one may have been the owner.
    this.#generation += this.#roll(6) === 0 ? 2 : this.#roll(2)
    const positions = new Map<number, Position>()
    for (let partition = 0; partition < PARTITIONS; partition++) {
      if (this.#roll(5) === 0) continue
      const committed = this.#committed.get(partition) ?? null
      const start = committed ?? 0
      positions.set(partition, { start, committed })
      this.#next.set(partition, start)
    }
    const [real, twin] = await this.#both((store) => store.acquire(positions, PARTITIONS, this.#generation))
    // Sometimes the caller goes on with the tokens it had, as an owner does that was overtaken.
    if (this.#roll(4) === 0 || real.kind !== 'owned' || twin.kind !== 'owned') return
    this.#realTokens = new Map(real.tokens)
    this.#twinTokens = new Map(twin.tokens)
  }

  async #observe(): Promise<void> {
    const asked = [...this.#next.keys()].filter(() => this.#roll(3) > 0)
    // Without any, what is done depends on how long the process was idle, by its own clock.
    if (asked.length === 0) return
    const ranges = asked.map((partition) => this.#range(partition))
    const [real, twin] = await this.#both((store, tokens) =>
      store.observe(
        ranges.map((it) => ({ ...it, token: tokens.get(it.partition) ?? 0 })),
        HOUR,
        DAY,
      ),
    )
    expect(twin).toEqual(real)
    if (real.kind !== 'fenced') for (const { partition, next } of ranges) this.#next.set(partition, next)
  }

  #range(partition: number): ObserveRange {
    const committed = this.#committed.get(partition) ?? 0
    const reached = this.#next.get(partition) ?? committed
    const from =
      this.#roll(4) === 0
        ? committed + this.#roll(Math.max(1, reached - committed))
        : reached + (this.#roll(40) === 0 ? 2 : 0)
    const next = from + this.#roll(9)
    const inquiries = Array.from({ length: next - from }, (_, at) => this.#inquiry(partition, from + at)).filter(
      () => this.#roll(20) > 0,
    )
    return { partition, token: 0, from, next, committed, inquiries }
  }

  async #reserve(): Promise<void> {
    const ranges = [...this.#next.keys()].map((partition): ReserveRange => {
      const committed = this.#committed.get(partition) ?? 0
      const offsets = Array.from(
        { length: Math.max(0, (this.#next.get(partition) ?? 0) - committed) },
        (_, n) => committed + n,
      )
      const claims = offsets
        .filter(() => this.#roll(2) === 0)
        .map((offset) => ({ offset, inquiry: this.#inquiry(partition, offset) }))
      return { partition, token: 0, claims }
    })
    const [real, twin] = await this.#both((store, tokens) =>
      store.reserve(ranges.map((it) => ({ ...it, token: tokens.get(it.partition) ?? 0 }))),
    )
    expect(twin).toEqual(real)
  }

  #commit(): void {
    for (const [partition, next] of this.#next) {
      const committed = this.#committed.get(partition) ?? 0
      if (this.#roll(2) === 0)
        this.#committed.set(partition, Math.max(committed, next - (this.#roll(3) === 0 ? this.#roll(4) : 0)))
    }
  }

  async #advance(): Promise<void> {
    const ms = [1, 1000, 60_000, HOUR / 3, DAY][this.#roll(40) === 0 ? 4 : this.#roll(4)]!
    this.#now += ms
    await this.#real.advance(ms)
  }

  async #putContext(): Promise<void> {
    if (this.#isAway) return
    const value =
      this.#roll(3) === 0
        ? null
        : { source: 's', version: ++this.#version, time: this.#now, attributes: { n: this.#roll(9) } }
    this.#twin.putContext('h1', value)
    await this.#real.putContext('h1', value)
  }

  async #cutOrMend(): Promise<void> {
    this.#isAway = !this.#isAway
    this.#twin.reach = this.#isAway ? 'away' : 'there'
    await (this.#isAway ? this.#real.away() : this.#real.back())
  }

  async #flush(): Promise<void> {
    this.#twin.flush()
    await this.#real.flush()
  }

  #inquiry(partition: number, offset: number): Inquiry {
    const place = `${partition}:${offset}`
    const known = this.#log.get(place)
    if (known !== undefined) return known
    const counter = (count: CounterInquiry['count'], n: number): CounterInquiry => {
      const limit = `${count}-${n}`
      return {
        limit,
        count,
        key: `${limit}-${this.#roll(3)}`,
        max: 2 + this.#roll(4),
        // Now and then another one, as after a change of policy.
        windowMs: WINDOWS[offset % 7 === 0 ? (offset + n) % WINDOWS.length : n]!,
      }
    }
    const counters = [0, 1, 2]
      .flatMap((n) => [counter('proposals', n), counter('executions', n)])
      .filter(() => this.#roll(2) === 0)
    const context = [{ name: 'seller', key: 'k', hash: this.#roll(2) === 0 ? 'h1' : null }]
    const inquiry = { offset, actionKey: `k${this.#roll(60)}`, digest: `d${this.#roll(2)}`, counters, context }
    this.#log.set(place, inquiry)
    return inquiry
  }

  /** Runs one call on both; they must be answered alike, but for the text of a fault and the value of a token. */
  async #both<T extends { readonly kind: string }>(
    call: (store: StateStore, tokens: ReadonlyMap<number, number>) => Promise<T>,
  ): Promise<[T, T]> {
    const real = await call(this.#real.store, this.#realTokens)
    const twin = await call(this.#twin, this.#twinTokens)
    expect(twin.kind).toBe(real.kind)
    this.answers[real.kind] = (this.answers[real.kind] ?? 0) + 1
    return real.kind === 'unavailable' ? [twin, twin] : [real, twin]
  }
}

test.each(Array.from({ length: 8 }, (_, n) => ({ seed: n + 1 })))(
  'Redis and the twin answer alike, seed $seed',
  async ({ seed }) => {
    const real = await realSubject(server)
    const pair = new Pair(seed, real)
    for (let step = 0; step < 1000; step++) await pair.step()
    await real.close()
    const { observed = 0, reserved = 0, owned = 0, fenced = 0, unavailable = 0 } = pair.answers
    expect(Math.min(observed, reserved, owned, fenced, unavailable)).toBeGreaterThan(0)
  },
)
