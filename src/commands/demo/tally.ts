import { styleText } from 'node:util'
import type { Route } from '../../decision/route.ts'
import { ROUTES } from '../../decision/route.ts'

/** What was sent and what became of it, by position `topic:partition:offset`. */
export class Tally {
  readonly #sent = new Map<string, string>()
  readonly #answered = new Map<string, string>()
  readonly #codes = new Map<string, number>()
  readonly #outcomes = new Map<Route | 'dead letter', number>()
  #repeated = 0
  #executed = 0

  sent(position: string, story: string): void {
    this.#sent.set(position, story)
  }

  /** Counts each position once; a second answer would be a broken promise, and is counted apart. */
  answered(position: string, outcome: Route | 'dead letter', code: string): void {
    if (this.#answered.has(position)) this.#repeated += 1
    this.#answered.set(position, outcome)
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1)
    const name = `${outcome} ${code}`
    this.#codes.set(name, (this.#codes.get(name) ?? 0) + 1)
  }

  executed(): void {
    this.#executed += 1
  }

  /** May be executed, and was not yet. */
  get undone(): number {
    return (this.#outcomes.get('execute') ?? 0) - this.#executed
  }

  get sentCount(): number {
    return this.#sent.size
  }

  get repeated(): number {
    return this.#repeated
  }

  /** Sent, and without verdict or dead letter so far. */
  get unanswered(): readonly string[] {
    return [...this.#sent.keys()].filter((position) => !this.#answered.has(position))
  }

  line(): string {
    const counts = [...ROUTES, 'dead letter' as const].map((name) => `${name} ${this.#outcomes.get(name) ?? 0}`)
    const waiting = this.unanswered.length
    return styleText(
      'dim',
      `── ${this.#sent.size} events: ${counts.join(', ')}; ${this.#executed} done by the executor, ${waiting} under way`,
    )
  }

  /** The whole run, most frequent reason first. */
  summary(): readonly string[] {
    const rows = [...this.#codes].toSorted((a, b) => b[1] - a[1])
    const width = Math.max(...rows.map(([name]) => name.length), 0)
    return [
      `${this.#sent.size} events sent, ${this.#answered.size} answered, ${this.unanswered.length} without a verdict, ${this.#repeated} answered twice`,
      ...rows.map(([name, count]) => `  ${name.padEnd(width)}  ${String(count).padStart(5)}`),
      `${this.#executed} actions done by the executor`,
    ]
  }
}
