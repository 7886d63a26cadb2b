/**
 * Many may be inside at the same time, or one alone. Who wants to be alone goes before those that come after, and waits
 * for those inside.
 */
export class Gate {
  #inside = 0
  #waiting: (() => void)[] = []
  #alone: Promise<void> = Promise.resolve()

  async together<T>(run: () => Promise<T>): Promise<T> {
    for (let before = this.#alone; ; before = this.#alone) {
      await before
      if (before === this.#alone) break
    }
    this.#inside++
    try {
      return await run()
    } finally {
      this.#inside--
      if (this.#inside === 0) for (const wake of this.#waiting.splice(0)) wake()
    }
  }

  async alone<T>(run: () => Promise<T>): Promise<T> {
    const before = this.#alone
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#alone = before.then(() => promise)
    await before
    try {
      while (this.#inside > 0) await new Promise<void>((wake) => this.#waiting.push(wake))
      return await run()
    } finally {
      resolve()
    }
  }
}
