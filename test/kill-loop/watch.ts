import { followTopic } from '../../src/kafka/follow.ts'
import type { Slice } from '../../src/kafka/reader.ts'
import type { Deployment } from '../scenarios/support/deployment.ts'
import { outputsOf } from './outputs.ts'

/** The longest time in which a partition had no answer, though events came all the time; `ended` in ms since 1970. */
export type Gap = { readonly partition: number; readonly ms: number; readonly ended: number }

const NO_GAP: Gap = { partition: -1, ms: 0, ended: 0 }

/** Sees answers become visible, counts them, and times the silence between them. */
export class Watch {
  readonly #stop = new AbortController()
  readonly #following: readonly Promise<void>[]
  readonly #last = new Map<number, number>()
  readonly #onAnswer = new Set<(partition: number, decidedAt: number) => void>()
  #visible = 0
  #longest = NO_GAP
  #failure: unknown = null

  constructor({ connection, topics }: Pick<Deployment, 'connection' | 'topics'>) {
    this.#following = outputsOf(topics).map((topic) =>
      followTopic(connection, topic, {
        onSlice: (slice) => this.#take(slice),
        signal: this.#stop.signal,
        limits: { maxWaitMs: 500 },
      }).ended.catch((error: unknown) => void (this.#failure ??= error)),
    )
  }

  get visible(): number {
    if (this.#failure !== null) throw this.#failure
    return this.#visible
  }

  /** The longest silence between two answers of a partition since the last call. */
  takeLongest(): Gap {
    const longest = this.#longest
    this.#longest = NO_GAP
    return longest
  }

  /** Silence before now is of no interest: nothing was sent. */
  forget(): void {
    this.#last.clear()
    this.#longest = NO_GAP
  }

  /** Calls back for every slice of answers; returns how to end it. */
  listen(onAnswer: (partition: number, decidedAt: number) => void): () => void {
    this.#onAnswer.add(onAnswer)
    return () => void this.#onAnswer.delete(onAnswer)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#following)
  }

  /** An answer lies in the partition with its input's number. */
  #take({ partition, records }: Slice): void {
    const last = records.at(-1)
    if (last === undefined) return
    this.#visible += records.length
    const now = Date.now()
    const ms = now - (this.#last.get(partition) ?? now)
    if (ms > this.#longest.ms) this.#longest = { partition, ms, ended: now }
    this.#last.set(partition, now)
    for (const onAnswer of this.#onAnswer) onAnswer(partition, last.timestamp)
  }
}
