import type { CounterFact } from '../decision/facts.ts'
import type { Policy } from '../decision/policy.ts'
import type { Count } from '../decision/recount.ts'
import { tracesOf } from '../decision/recount.ts'
import type { Verdict } from '../decision/verdict.ts'

/** As state counts: a window is counted in 16 parts, the oldest of which counts whole. */
const PARTS = 16
/** Beyond so many counters the one that was begun first is forgotten, and is then checked from its next count on. */
const COUNTERS_MAX = 200_000

/** What state holds of one counter: how many counts lie in each part of its window. */
type Held = { readonly widthMs: number; readonly counts: ReadonlyMap<number, number> }

type Counter = { readonly windowMs: number; readonly counts: Map<number, number> }

/**
 * Recounts every limit from the verdicts, and holds what each decision was told against it. Verdicts of several partitions
 * come in no order, so only counts of parts that were over by then are held against it: what was told may be more, and
 * must not be less.
 */
export class CounterLedger {
  readonly #counters = new Map<string, Counter>()
  #turn = 0

  get counters(): number {
    return this.#counters.size
  }

  /** The next counters in turn, at most so many, as `held` names them. */
  some(max: number): readonly string[] {
    const names: string[] = []
    for (const name of this.#counters.keys())
      if (this.#turn++ % this.#every(max) === 0 && names.length < max) names.push(name)
    return names
  }

  /**
   * What state holds, against what the verdicts counted by `now` (ms): a sentence for each counter that is too low. A
   * counter whose window was changed lately is passed over.
   */
  hold(names: readonly string[], held: ReadonlyMap<string, Held>, now: number): readonly string[] {
    return names.flatMap((name) => {
      const counter = this.#counters.get(name)
      const other = held.get(name)
      if (counter === undefined || (other !== undefined && other.widthMs !== widthOf(counter.windowMs))) return []
      const least = atLeast(counter, now, 1)
      const sum = [...(other?.counts ?? [])].reduce((total, [, count]) => total + count, 0)
      return sum < least ? [`state holds ${sum} in counter ${name}, and the verdicts counted at least ${least}`] : []
    })
  }

  #every(max: number): number {
    return Math.max(1, Math.ceil(this.#counters.size / max))
  }

  /** A sentence for each limit of which the verdict was told too low a count. */
  enter(verdict: Verdict, policy: Policy): readonly string[] {
    const told = verdict.facts.state === 'ok' ? verdict.facts.counters : []
    const problems = told.flatMap((fact) => this.#check(fact, verdict.facts.now, policy))
    for (const { count, key, windowMs, at } of tracesOf(verdict, policy, Infinity).counts) {
      // When state counts a blind decision, no record tells.
      if (verdict.facts.clock === 'redis') this.#count(nameOf(count, key), windowMs, at)
    }
    return problems
  }

  #check({ limit: id, key, before }: CounterFact, now: number, policy: Policy): readonly string[] {
    const limit = policy.limits.find((it) => it.id === id)
    if (limit === undefined) return []
    const counter = this.#counters.get(nameOf(limit.count, key))
    if (counter === undefined || counter.windowMs !== limit.windowMs) return []
    // A reservation reads its counter a little later than `now`.
    const least = atLeast(counter, now, limit.count === 'executions' ? 1 : 0)
    return before < least
      ? [`limit \`${id}\` was told ${before}, and the verdicts before it counted at least ${least}`]
      : []
  }

  #count(name: string, windowMs: number, at: number): void {
    const known = this.#counters.get(name)
    const counter = known?.windowMs === windowMs ? known : this.#begin(name, windowMs)
    const part = Math.floor(at / widthOf(windowMs))
    counter.counts.set(part, (counter.counts.get(part) ?? 0) + 1)
    if (counter.counts.size <= 4 * PARTS) return
    const latest = Math.max(...counter.counts.keys())
    for (const old of counter.counts.keys()) if (old < latest - 2 * PARTS) counter.counts.delete(old)
  }

  #begin(name: string, windowMs: number): Counter {
    this.#counters.delete(name)
    const counter = { windowMs, counts: new Map<number, number>() }
    this.#counters.set(name, counter)
    const [first] = this.#counters.keys()
    if (this.#counters.size > COUNTERS_MAX && first !== undefined) this.#counters.delete(first)
    return counter
  }
}

/** As state names it: by the kind of what is counted, and the key. */
const nameOf = (count: Count['count'], key: string): string => `${count === 'proposals' ? 'p' : 'e'}${key}`

const widthOf = (windowMs: number): number => Math.ceil(Math.ceil(windowMs) / PARTS)

function atLeast({ windowMs, counts }: Counter, now: number, slack: number): number {
  const width = widthOf(windowMs)
  const oldest = Math.floor((now - windowMs) / width) + slack
  const current = Math.floor(now / width)
  let sum = 0
  for (const [part, count] of counts) if (part >= oldest && part < current) sum += count
  return sum
}
