/**
 * How many decisions are traced at the most: `perSecond` in the long run, `burst` at once. Making and exporting one
 * trace costs as much as a decision, so a backlog that is worked off at full speed would otherwise be slowed by
 * traces that nobody looks at one by one. Time comes with the batches, milliseconds.
 */
export class TraceBudget {
  readonly #perSecond: number
  readonly #burst: number
  #left: number
  #at: number | null = null

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#left = burst
  }

  /** A clock that was set back refills nothing. */
  refill(now: number): void {
    const elapsed = now - (this.#at ?? now)
    if (elapsed > 0) this.#left = Math.min(this.#burst, this.#left + (elapsed / 1000) * this.#perSecond)
    this.#at = now
  }

  /** Whether one more decision may be traced; counts it. */
  take(): boolean {
    if (!(this.#left >= 1)) return false
    this.#left -= 1
    return true
  }
}
