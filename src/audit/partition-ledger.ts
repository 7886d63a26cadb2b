import type { OffsetRange } from './offset-set.ts'
import { OffsetSet } from './offset-set.ts'

/** Below `sure`, every event of the partition is accounted for, but for those told of as lost. */
export type LedgerState = {
  readonly sure: number
  /** The input was read up to here. */
  readonly read: number
  readonly committed: number
  /** Events of which it cannot be told, since retention has deleted them or may have deleted their answers. */
  readonly untold: number
  readonly lost: number
}

/** Beyond so many runs a partition is not dense, as when very many events were lost; they count as told of then. */
const RUNS_MAX = 10_000

/**
 * The account of one partition of the input: which of its offsets are closed, by an answer or because no event lies there.
 * Each must be closed once by the time it is settled.
 */
export class PartitionLedger {
  readonly #closed = new OffsetSet()
  #sure: number
  #read: number
  #committed = 0
  #floor = 0
  #untold = 0
  #lost = 0

  /** `start`: the first offset that the input still has. */
  constructor(start: number) {
    this.#sure = start
    this.#read = start
  }

  /** An answer to the offset was read. False when there was one before, or no event lies there. */
  answered(offset: number): boolean {
    return this.#closed.add(offset)
  }

  /**
   * The input was read from `from` to before `next`, and has events at `offsets` only. Returns offsets that were answered
   * though none lies there.
   */
  inputRead(from: number, next: number, offsets: readonly number[]): readonly number[] {
    if (from > this.#read) this.#skip({ from: this.#read, next: from })
    const orphans: number[] = []
    let reached = Math.max(from, this.#read)
    for (const offset of [...offsets, next]) {
      for (; reached < offset; reached++) if (!this.#closed.add(reached)) orphans.push(reached)
      reached = Math.max(reached, offset + 1)
    }
    this.#read = Math.max(this.#read, next)
    return orphans
  }

  /** Answers to events below it may have been deleted, so that none is missed there. */
  raiseFloor(offset: number): void {
    this.#floor = Math.max(this.#floor, offset)
  }

  /**
   * Everything below `committed` has been answered if it ever will be, and all answers were read. Returns what has none.
   */
  settle(committed: number): readonly OffsetRange[] {
    this.#committed = committed
    const next = Math.min(committed, this.#read)
    if (next <= this.#sure) return []
    const gaps = this.#closed.gaps({ from: this.#sure, next })
    this.#sure = next
    const lost: OffsetRange[] = []
    for (const gap of gaps) {
      const split = Math.min(Math.max(gap.from, this.#floor), gap.next)
      if (split > gap.from) this.#skip({ from: gap.from, next: split })
      if (split < gap.next) lost.push({ from: split, next: gap.next })
    }
    for (const range of lost) this.#lost += range.next - range.from
    if (this.#closed.runs > RUNS_MAX) this.#closed.addRange({ from: 0, next: this.#sure })
    return lost
  }

  get state(): LedgerState {
    return {
      sure: this.#sure,
      read: this.#read,
      committed: this.#committed,
      untold: this.#untold,
      lost: this.#lost,
    }
  }

  #skip(range: OffsetRange): void {
    for (const { from, next } of this.#closed.gaps(range)) this.#untold += next - from
    this.#closed.addRange(range)
  }
}
