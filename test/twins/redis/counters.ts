const BUCKETS = 16

/**
 * Counts in buckets of time, as sluice.lua packs them: [width, bucket, count, bucket, count, ...], and the memory of a wider
 * window, where there is one.
 */
export type Buckets = readonly number[]

/** A stored value and when it expires, milliseconds of the server's clock. */
export type Stored<T> = { readonly value: T; readonly until: number }

/** A counter as one window sees it. */
export type Counter = { readonly held: Held; sum: number }

/** What a call holds of one counter. */
type Held = {
  readonly key: string
  readonly buckets: number[]
  readonly memory: number | null
  /** By window. */
  readonly views: Map<number, Counter>
  isDirty: boolean
}

/** The counters of one call, each read once: the Lua functions `load_counters`, `counters_of` and `store_counters`. */
export class CounterBook {
  readonly #byKey = new Map<string, Held>()
  readonly #now: number
  readonly #keysMs: number

  /** `now`: the functions' clock; `keysMs`: the one keys expire by. */
  constructor(
    stored: ReadonlyMap<string, Stored<Buckets>>,
    segments: readonly (readonly unknown[])[],
    now: number,
    keysMs: number,
  ) {
    this.#now = now
    this.#keysMs = keysMs
    const windows = new Map<string, number>()
    for (const named of segments)
      for (const [key, window] of namesOf(named)) windows.set(key, Math.max(window, windows.get(key) ?? 0))
    for (const [key, window] of windows) this.#byKey.set(key, this.#load(key, window, stored.get(key)))
  }

  /** A segment's counters by their index in it, from 0. */
  of(named: readonly unknown[]): readonly Counter[] {
    return namesOf(named).map(([key, window]) => {
      const held = this.#byKey.get(key)
      if (held === undefined) throw new Error('a counter that no segment names')
      const view = held.views.get(window) ?? { held, sum: this.#sum(held.buckets, window) }
      held.views.set(window, view)
      return view
    })
  }

  add({ held }: Counter): void {
    const { buckets, views } = held
    const current = Math.floor(this.#now / (buckets[0] ?? 0))
    const last = buckets.length - 2
    if (last > 0 && (buckets[last] ?? 0) >= current) buckets[last + 1] = (buckets[last + 1] ?? 0) + 1
    else buckets.push(current, 1)
    for (const view of views.values()) view.sum++
    held.isDirty = true
  }

  store(into: Map<string, Stored<Buckets>>): void {
    for (const { key, buckets, memory, isDirty } of this.#byKey.values()) {
      const until = this.#keysMs + (BUCKETS + 2) * (buckets[0] ?? 0)
      if (isDirty) into.set(key, { value: memory === null ? [...buckets] : [...buckets, memory], until })
    }
  }

  #load(key: string, window: number, stored: Stored<Buckets> | undefined): Held {
    const width = Math.ceil(window / BUCKETS)
    const isThere = stored !== undefined && this.#keysMs <= stored.until
    const { buckets, memory, isChanged } = isThere
      ? shaped(stored.value, width, this.#now)
      : { buckets: [width], memory: null, isChanged: false }
    return { key, buckets: this.#kept(buckets), memory, views: new Map(), isDirty: isChanged }
  }

  #kept([width = 0, ...flat]: Buckets): number[] {
    const oldest = Math.floor(this.#now / width) - BUCKETS
    const first = flat.findIndex((bucket, at) => at % 2 === 0 && bucket >= oldest)
    return [width, ...(first === -1 ? [] : flat.slice(first))]
  }

  #sum([width = 0, ...flat]: Buckets, window: number): number {
    const oldest = Math.floor((this.#now - window) / width)
    return flat.reduce((sum, count, at) => (at % 2 === 1 && (flat[at - 1] ?? 0) >= oldest ? sum + count : sum), 0)
  }
}

type Shaped = { readonly buckets: Buckets; readonly memory: number | null; readonly isChanged: boolean }

function shaped(stored: Buckets, width: number, now: number): Shaped {
  const { buckets, memory } = apart(stored)
  const held = buckets[0] ?? 0
  if (held === width) return { buckets, memory: null, isChanged: memory !== null }
  if (held < width) return { buckets: moved(buckets, width), memory: null, isChanged: true }
  const present = Math.floor(now / held)
  const since = memory === null ? present : Math.floor(memory / held)
  const widest = memory === null ? width : Math.max(memory % held, width)
  if (since >= present - BUCKETS) {
    const wanted = since * held + widest
    return { buckets, memory: wanted, isChanged: wanted !== memory }
  }
  const next = widest > width ? Math.floor(now / widest) * widest + width : null
  return { buckets: moved(buckets, widest), memory: next, isChanged: true }
}

/** Buckets, and the memory behind them. */
export function apart(stored: Buckets): { readonly buckets: Buckets; readonly memory: number | null } {
  return stored.length % 2 === 1
    ? { buckets: stored, memory: null }
    : { buckets: stored.slice(0, -1), memory: stored.at(-1) ?? null }
}

function moved([held = 0, ...flat]: Buckets, width: number): Buckets {
  const counts = new Map<number, number>()
  for (let at = 0; at < flat.length; at += 2) {
    const bucket = Math.floor((((flat[at] ?? 0) + 1) * held - 1) / width)
    counts.set(bucket, (counts.get(bucket) ?? 0) + (flat[at + 1] ?? 0))
  }
  return [width, ...[...counts].flat()]
}

/** Key and window of each counter that a segment names. */
function namesOf(named: readonly unknown[]): readonly (readonly [string, number])[] {
  const names: (readonly [string, number])[] = []
  for (let i = 0; i < named.length; i += 4) names.push([named[i] as string, named[i + 1] as number])
  return names
}
