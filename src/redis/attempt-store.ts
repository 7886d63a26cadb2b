import { randomUUID } from 'node:crypto'
import type { AttemptStore, Suspicion } from '../processor/ports.ts'
import type { Connection } from './connection.ts'

/** AttemptStore over the function library: see `attempts` in sluice.lua. While Redis is away nothing is counted. */
export class RedisAttemptStore implements AttemptStore {
  readonly #connection: Connection
  readonly #deadlineMs: number
  readonly #run = randomUUID()

  constructor(connection: Connection, deadlineMs: number) {
    this.#connection = connection
    this.#deadlineMs = deadlineMs
  }

  async begin(starts: ReadonlyMap<number, number>): Promise<ReadonlyMap<number, Suspicion>> {
    const args = [...starts].flatMap(([partition, start]) => [String(partition), String(start)])
    const answer = await this.#connection.call('begin_attempts', [this.#run, ...args], this.#deadlineMs)
    if (answer.kind === 'unavailable') return new Map()
    const figures = (answer.reply as readonly string[]).map(Number)
    const suspicions = [...starts].map(([partition, start], at): [number, Suspicion] => {
      const [deaths = 0, until = 0] = figures.slice(2 * at, 2 * at + 2)
      return [partition, { start, deaths, until }]
    })
    return new Map(suspicions.filter(([, { deaths }]) => deaths > 0))
  }

  async reading(
    runs: readonly { readonly partition: number; readonly from: number; readonly next: number }[],
  ): Promise<void> {
    const args = runs.flatMap(({ partition, from, next }) => [partition, from, next].map(String))
    await this.#connection.call('begin_reading', [this.#run, ...args], this.#deadlineMs)
  }

  async end(partitions: readonly number[]): Promise<void> {
    await this.#connection.call('end_attempts', [this.#run, ...partitions.map(String)], this.#deadlineMs)
  }
}
