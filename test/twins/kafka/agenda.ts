type Entry = { readonly at: number; readonly turn: number; readonly run: () => void }

/** What is due when, by name, in place of timers; what is due at the same time runs in the order in which it was put down. */
export class Agenda {
  readonly #entries = new Map<string, Entry>()
  #turns = 0
  /** Null: it has to be looked for again. */
  #next: number | null = Infinity

  /** Replaces what stands there under the same name. */
  put(name: string, at: number, run: () => void): void {
    if (this.#entries.get(name)?.at === this.#next) this.#next = null
    this.#entries.set(name, { at, turn: this.#turns++, run })
    if (this.#next !== null && at < this.#next) this.#next = at
  }

  drop(name: string): void {
    if (this.#entries.get(name)?.at === this.#next) this.#next = null
    this.#entries.delete(name)
  }

  /** Infinity when there is nothing. */
  get next(): number {
    if (this.#next === null) {
      this.#next = Infinity
      for (const { at } of this.#entries.values()) if (at < this.#next) this.#next = at
    }
    return this.#next
  }

  /** Does all that is due, also what comes to be due by it. */
  runUntil(now: number): void {
    while (this.next <= now) {
      const [name, entry] = this.#first()
      this.drop(name)
      entry.run()
    }
  }

  #first(): readonly [string, Entry] {
    let first: readonly [string, Entry] | null = null
    for (const each of this.#entries) {
      const isEarlier = first === null || each[1].at < first[1].at
      const isBefore = first !== null && each[1].at === first[1].at && each[1].turn < first[1].turn
      if (isEarlier || isBefore) first = each
    }
    if (first === null) throw new Error('the agenda is empty')
    return first
  }
}
