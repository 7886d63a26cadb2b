/** The first transaction of a process, and how far discards bring it down, records. */
const FIRST = 125
const LEAST = 25

/**
 * How many records the next transaction may take. It begins small and doubles with every commit, so that a process that
 * was just started, on cold code and a backlog, answers soon; a discard takes it down to a quarter. Full batches that take
 * longer than the group stays as it is would otherwise be discarded again and again, and a deployment that is overloaded,
 * or whose processes die one after the other, would never come to an end with any.
 */
export class BatchSize {
  readonly #max: number
  #records: number

  constructor(max: number) {
    this.#max = max
    this.#records = Math.min(FIRST, max)
  }

  get records(): number {
    return this.#records
  }

  committed(): void {
    this.#records = Math.min(this.#max, this.#records * 2)
  }

  discarded(): void {
    this.#records = Math.min(this.#max, Math.max(LEAST, Math.floor(this.#records / 4)))
  }
}
