/** A run of offsets, from `from` to before `next`. */
export type OffsetRange = { readonly from: number; readonly next: number }

/** Offsets as the runs they form: a partition's answers lie densely, so that a billion of them are few runs. */
export class OffsetSet {
  readonly #starts: number[] = []
  readonly #ends: number[] = []

  /** How many runs there are. */
  get runs(): number {
    return this.#starts.length
  }

  has(offset: number): boolean {
    const at = this.#lastStarting(offset)
    return at >= 0 && offset < (this.#ends[at] ?? 0)
  }

  /** False when it was there already. */
  add(offset: number): boolean {
    const at = this.#lastStarting(offset)
    if (at >= 0 && offset < (this.#ends[at] ?? 0)) return false
    const joinsBefore = at >= 0 && this.#ends[at] === offset
    const joinsAfter = this.#starts[at + 1] === offset + 1
    if (joinsBefore && joinsAfter) {
      this.#ends[at] = this.#ends[at + 1] ?? offset + 1
      this.#starts.splice(at + 1, 1)
      this.#ends.splice(at + 1, 1)
    } else if (joinsBefore) this.#ends[at] = offset + 1
    else if (joinsAfter) this.#starts[at + 1] = offset
    else {
      this.#starts.splice(at + 1, 0, offset)
      this.#ends.splice(at + 1, 0, offset + 1)
    }
    return true
  }

  /** Adds all of a run, whatever of it was there. */
  addRange({ from, next }: OffsetRange): void {
    for (const gap of this.gaps({ from, next })) this.#fill(gap)
  }

  /** What of the run is not in the set, in order. */
  gaps({ from, next }: OffsetRange): readonly OffsetRange[] {
    const gaps: OffsetRange[] = []
    let reached = from
    for (let at = Math.max(0, this.#lastStarting(from)); reached < next && at < this.#starts.length; at++) {
      const start = Math.min(this.#starts[at] ?? next, next)
      if (start > reached) gaps.push({ from: reached, next: start })
      reached = Math.max(reached, this.#ends[at] ?? reached)
    }
    if (reached < next) gaps.push({ from: reached, next })
    return gaps
  }

  /** A run of which nothing is in the set. */
  #fill({ from, next }: OffsetRange): void {
    this.add(from)
    const at = this.#lastStarting(from)
    if (this.#starts[at + 1] === next) {
      this.#ends[at] = this.#ends[at + 1] ?? next
      this.#starts.splice(at + 1, 1)
      this.#ends.splice(at + 1, 1)
    } else this.#ends[at] = Math.max(this.#ends[at] ?? next, next)
  }

  /** The index of the last run that begins at or before the offset, or −1. */
  #lastStarting(offset: number): number {
    let low = 0
    let high = this.#starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#starts[middle] ?? Infinity) <= offset) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}
