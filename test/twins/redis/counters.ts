const BUCKETS = 16

/** Counts in buckets of time, as sluice.lua packs them: [width, bucket, count, bucket, count, ...]. */
export type Buckets = readonly number[]

/** A stored value and when it expires, milliseconds of the server's clock. */
export type Stored<T> = { readonly value: T; readonly until: number }

export type Counter = {
  readonly key: string
  window: number
  width: number
  buckets: number[]
  sum: number
  dirty: boolean
}

/** The counters of one call, each read once: the Lua functions `load_counters`, `counters_of` and `store_counters`. */
export class CounterBook {
  readonly #byKey = new Map<string, Counter>()
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
    for (const named of segments) {
      for (let i = 0; i < named.length; i += 4) {
        const key = named[i] as string
        if (!this.#byKey.has(key)) this.#byKey.set(key, this.#load(key, named[i + 1] as number, stored.get(key)))
      }
    }
  }

  /** A segment's counters by their index in it, from 0. */
  of(named: readonly unknown[]): readonly Counter[] {
    const counters: Counter[] = []
    for (let i = 0; i < named.length; i += 4) {
      const counter = this.#byKey.get(named[i] as string)
      if (counter === undefined) throw new Error('a counter that no segment names')
      const window = named[i + 1] as number
      if (counter.window !== window) {
        counter.window = window
        counter.width = Math.ceil(window / BUCKETS)
        if (counter.buckets.length > 0) this.#reshape(counter)
      }
      counters.push(counter)
    }
    return counters
  }

  add(counter: Counter): void {
    const { buckets, width } = counter
    const current = Math.floor(this.#now / width)
    const last = buckets.length - 2
    if (buckets.length === 0) counter.buckets = [width, current, 1]
    else if (last > 0 && (buckets[last] ?? 0) >= current) buckets[last + 1] = (buckets[last + 1] ?? 0) + 1
    else buckets.push(current, 1)
    counter.sum++
    counter.dirty = true
  }

  store(into: Map<string, Stored<Buckets>>): void {
    for (const { key, window, width, buckets, dirty } of this.#byKey.values())
      if (dirty) into.set(key, { value: [...buckets], until: this.#keysMs + window + 2 * width })
  }

  #load(key: string, window: number, stored: Stored<Buckets> | undefined): Counter {
    const width = Math.ceil(window / BUCKETS)
    const counter: Counter = { key, window, width, buckets: [], sum: 0, dirty: false }
    if (stored !== undefined && this.#keysMs <= stored.until) {
      counter.buckets = [...stored.value]
      this.#reshape(counter)
    }
    return counter
  }

  #reshape(counter: Counter): void {
    const old = counter.buckets
    const oldWidth = old[0] ?? 0
    const { width } = counter
    const oldest = Math.floor((this.#now - counter.window) / width)
    const fresh = [width]
    counter.sum = 0
    for (let i = 1; i < old.length; i += 2) {
      const count = old[i + 1] ?? 0
      let bucket = old[i] ?? 0
      if (oldWidth !== width) bucket = Math.floor(((bucket + 1) * oldWidth - 1) / width)
      if (bucket < oldest) continue
      counter.sum += count
      const last = fresh.length - 2
      if (last > 0 && fresh[last] === bucket) fresh[last + 1] = (fresh[last + 1] ?? 0) + count
      else fresh.push(bucket, count)
    }
    counter.buckets = fresh
  }
}
