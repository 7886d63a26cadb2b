import type { ContextValue } from '../../src/decision/facts.ts'
import type { CounterInquiry, Inquiry } from '../../src/decision/inquiry.ts'
import type { Grant, Observation, ObserveRange, Position, StateStore } from '../../src/processor/ports.ts'

/** A state store under test, its clock in the test's hand. */
export type StateSubject = {
  readonly store: StateStore
  /** Moves the store's clock on. */
  readonly advance: (ms: number) => Promise<void>
  /** Forgets everything, as a server that lost its memory has. */
  readonly flush: () => Promise<void>
  readonly putContext: (hash: string, value: ContextValue | null) => Promise<void>
  /** Takes the store away and brings it back; resolves when calls meet the change. */
  readonly away: () => Promise<void>
  readonly back: () => Promise<void>
  /** The next call has its effect, and its caller hears nothing. */
  readonly loseNextReply: () => Promise<void>
  readonly close: () => Promise<void>
}

/** How many events a subject remembers while its store is away. */
export const BACKLOG_EVENTS = 50

export const HOUR = 3_600_000
export const DAY = 24 * HOUR

/** What an event asks for, where it differs from the usual. */
export type Wish = Partial<Omit<Inquiry, 'offset'>>

export const velocity = (key = 'ann', windowMs = HOUR): CounterInquiry => ({
  limit: 'velocity',
  count: 'proposals',
  key: `v-${key}`,
  max: 3,
  windowMs,
})

export const blast = (key = 'm1', max = 2, limit = 'blast'): CounterInquiry => ({
  limit,
  count: 'executions',
  key: `${limit}-${key}`,
  max,
  windowMs: HOUR,
})

export const inquiryAt = (offset: number, wish: Wish = {}): Inquiry => ({
  offset,
  actionKey: wish.actionKey ?? `key-${offset}`,
  digest: wish.digest ?? 'd1',
  counters: wish.counters ?? [velocity()],
  context: wish.context ?? [],
})

export const counts = (observations: readonly Observation[]): (number | undefined)[] =>
  observations.map((it) => it.counters.get('velocity'))
export const lost = (observations: readonly Observation[]): boolean[] => observations.map((it) => it.lost)
export const some = (n: number, wish: Wish = {}): Wish[] => Array.from({ length: n }, () => wish)

/** A caller that owns partitions and observes runs of them. */
export class Caller {
  readonly tokens = new Map<number, number>()
  readonly store: StateStore
  /** How many partitions there are, its own and others'. */
  readonly partitions: number
  /** Of the group, in which it acquires. */
  generation = 1

  constructor(store: StateStore, partitions = 1) {
    this.store = store
    this.partitions = partitions
  }

  async own(partition = 0, start = 0, committed: number | null = null): Promise<number> {
    return this.ownAll(new Map([[partition, { start, committed }]]))
  }

  async ownAll(positions: ReadonlyMap<number, Position>): Promise<number> {
    const answer = await this.store.acquire(positions, this.partitions, this.generation)
    if (answer.kind !== 'owned') throw new Error(`acquire was ${answer.kind}`)
    for (const [partition, token] of answer.tokens) this.tokens.set(partition, token)
    return [...answer.tokens.values()][0]!
  }

  range(from: number, wishes: readonly Wish[], { partition = 0, committed = from }: Where = {}): ObserveRange {
    const inquiries = wishes.map((wish, at) => inquiryAt(from + at, wish))
    const token = this.tokens.get(partition) ?? 0
    return { partition, token, from, next: from + wishes.length, committed: Math.min(committed, from), inquiries }
  }

  ask(ranges: readonly ObserveRange[], duplicatesMs = DAY): ReturnType<StateStore['observe']> {
    return this.store.observe(ranges, duplicatesMs, DAY)
  }

  async observe(from: number, wishes: readonly Wish[], where: Where = {}, duplicatesMs = DAY): Promise<Observation[]> {
    const answer = await this.ask([this.range(from, wishes, where)], duplicatesMs)
    if (answer.kind !== 'observed') throw new Error(`observe was ${JSON.stringify(answer)}`)
    return [...answer.observations.get(where.partition ?? 0)!.values()]
  }

  async reserve(from: number, wishes: readonly Wish[], partition = 0): Promise<Grant[]> {
    const claims = wishes.map((wish, at) => ({ offset: from + at, inquiry: inquiryAt(from + at, wish) }))
    const answer = await this.store.reserve([{ partition, token: this.tokens.get(partition) ?? 0, claims }])
    if (answer.kind !== 'reserved') throw new Error(`reserve was ${answer.kind}`)
    return [...answer.grants.get(partition)!.values()]
  }
}

type Where = { readonly partition?: number; readonly committed?: number }
