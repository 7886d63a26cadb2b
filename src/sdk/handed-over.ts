/**
 * Remembers action keys for a while: `max` of them at the most, each for `ttlMs`. What it has forgotten is handed over
 * again, so it saves work and is no proof: that is the store of whoever executes.
 */
export class HandedOver {
  readonly #max: number
  readonly #ttlMs: number
  readonly #now: () => number
  /** Action key to the time it is forgotten at; oldest first, since all live equally long. */
  readonly #until = new Map<string, number>()

  constructor(max: number, ttlMs: number, now: () => number) {
    this.#max = max
    this.#ttlMs = ttlMs
    this.#now = now
  }

  get size(): number {
    return this.#until.size
  }

  has(actionKey: string): boolean {
    const until = this.#until.get(actionKey)
    return until !== undefined && this.#now() < until
  }

  add(actionKey: string): void {
    this.#until.delete(actionKey)
    this.#until.set(actionKey, this.#now() + this.#ttlMs)
    for (const [oldest, until] of this.#until) {
      if (this.#until.size <= this.#max && this.#now() < until) return
      this.#until.delete(oldest)
    }
  }
}
