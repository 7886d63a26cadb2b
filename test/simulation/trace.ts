/** How many of the last lines are kept for a report. */
const KEPT = 3000

/** What happened in a world, as a hash of all of it and its last lines. */
export class Trace {
  #a = 0x811c9dc5
  #b = 0x9e3779b9
  #lines: string[] = []

  /** `text` must be the same whenever the same thing happens. */
  add(at: number, text: string): void {
    const line = `${at.toFixed(3)} ${text}`
    let a = this.#a
    let b = this.#b
    for (let i = 0; i < line.length; i++) {
      const code = line.charCodeAt(i)
      a = Math.imul(a ^ code, 0x01000193)
      b = Math.imul(b ^ (code + (a >>> 15)), 0x85ebca6b)
    }
    this.#a = a
    this.#b = b
    this.#lines.push(line)
    if (this.#lines.length > 2 * KEPT) this.#lines = this.#lines.slice(-KEPT)
  }

  get hash(): string {
    return (this.#a >>> 0).toString(16).padStart(8, '0') + (this.#b >>> 0).toString(16).padStart(8, '0')
  }

  get last(): readonly string[] {
    return this.#lines.slice(-KEPT)
  }
}
