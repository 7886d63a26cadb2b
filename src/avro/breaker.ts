export type BreakerOptions = {
  /** Failures in a row until it opens. */
  readonly failuresMax: number
  /** How long it stays open before one attempt is let through, milliseconds. */
  readonly openMs: number
}

/** Keeps callers from waiting again and again for a server that does not answer. `now` in milliseconds, of any origin. */
export class Breaker {
  private readonly options: BreakerOptions
  private readonly now: () => number
  private failures = 0
  private openUntil = 0
  private probing = false

  constructor(options: BreakerOptions, now: () => number) {
    this.options = options
    this.now = now
  }

  get isOpen(): boolean {
    return this.failures >= this.options.failuresMax && (this.probing || this.now() < this.openUntil)
  }

  /** Whether an attempt may be made; each one allowed must be followed by `succeeded` or `failed`. */
  allows(): boolean {
    if (this.isOpen) return false
    this.probing = this.failures >= this.options.failuresMax
    return true
  }

  succeeded(): void {
    this.failures = 0
    this.probing = false
  }

  failed(): void {
    this.failures += 1
    this.probing = false
    this.openUntil = this.now() + this.options.openMs
  }
}
