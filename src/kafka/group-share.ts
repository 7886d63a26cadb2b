import { setTimeout as sleep } from 'node:timers/promises'
import { Bell } from './bell.ts'
import type { Sink, Slice } from './reader.ts'
import { Backoff, pause } from './waiting.ts'
import type { NextOffsets } from './wire/messages/offset-commit.ts'
import type { FetchedRecord } from './wire/record-reader.ts'

/** `attempt` counts from 1; `signal` aborts when the partition is lost or reading ends. */
export type Handling = { readonly attempt: number; readonly signal: AbortSignal }

export type ShareOptions = {
  readonly handle: (record: FetchedRecord, handling: Handling) => Promise<void> | void
  /** Told of what is tried again; `record` is the one whose handling failed, null for trouble with Kafka. */
  readonly onTrouble: (error: unknown, record: FetchedRecord | null) => void
  /** How many partitions are handled at the same time. */
  readonly concurrency: number
  /** Milliseconds: the first and the longest wait before a record is handed over again. */
  readonly retryMs: { readonly first: number; readonly last: number }
  /** Nothing more is handed over when it aborts. */
  readonly over: AbortSignal
}

type Part = {
  readonly topic: string
  readonly partition: number
  /** Resolves when all slices accepted so far are handled. */
  tail: Promise<void>
  /** The next offset to commit, and the one that is committed. */
  handled: number | null
  committed: number | null
}

/** What one join of a group gave to this process: hands its records over, and knows how far it has come. */
export class GroupShare implements Sink {
  readonly #options: ShareOptions
  readonly #parts = new Map<string, Part>()
  readonly #progress = new Bell()
  readonly #freed = new Bell()
  #running = 0

  constructor(options: ShareOptions) {
    this.#options = options
    const wake = (): void => {
      this.#progress.ring()
      this.#freed.ring()
    }
    options.over.addEventListener('abort', wake, { once: true })
  }

  /** One slice is handled and one waits, so that its partition's next fetch overlaps with the handling. */
  accept(slice: Slice): Promise<void> {
    const part = this.#part(slice)
    const before = part.tail
    part.tail = this.#handleAfter(before, part, slice)
    return before
  }

  trouble(error: unknown): void {
    this.#options.onTrouble(error, null)
  }

  /** Handled and not committed yet. */
  unsaved(): NextOffsets {
    const offsets = new Map<string, Map<number, number>>()
    for (const { topic, partition, handled, committed } of this.#parts.values()) {
      if (handled === null || handled === committed) continue
      const ofTopic = offsets.get(topic) ?? new Map<number, number>()
      offsets.set(topic, ofTopic.set(partition, handled))
    }
    return offsets
  }

  saved(offsets: NextOffsets): void {
    for (const part of this.#parts.values()) {
      part.committed = offsets.get(part.topic)?.get(part.partition) ?? part.committed
    }
  }

  /** Until something more is handled or the share is over, at most `ms`. */
  async progress(ms: number): Promise<void> {
    if (this.unsaved().size === 0 && !this.#options.over.aborted) await this.#progress.wait(ms)
  }

  /** Until nothing is being handled, at most `ms`. */
  async idle(ms: number): Promise<void> {
    const late = new AbortController()
    const handled = Promise.all([...this.#parts.values()].map((it) => it.tail))
    await Promise.race([handled, sleep(ms, undefined, { signal: late.signal }).catch(() => undefined)])
    late.abort()
  }

  #part({ topic, partition }: Slice): Part {
    const name = `${topic}-${partition}`
    const known = this.#parts.get(name)
    if (known !== undefined) return known
    const part = { topic, partition, tail: Promise.resolve(), handled: null, committed: null }
    this.#parts.set(name, part)
    return part
  }

  async #handleAfter(before: Promise<void>, part: Part, slice: Slice): Promise<void> {
    await before
    for (const record of slice.records) {
      if (!(await this.#handleInTurn(record))) return
      this.#advance(part, record.offset + 1)
    }
    if (!this.#options.over.aborted) this.#advance(part, slice.next)
  }

  #advance(part: Part, next: number): void {
    part.handled = next
    this.#progress.ring()
  }

  /** False when it was not handled because the share is over. */
  async #handleInTurn(record: FetchedRecord): Promise<boolean> {
    const { concurrency, over } = this.#options
    while (this.#running >= concurrency && !over.aborted) await this.#freed.wait(1000)
    this.#running++
    try {
      return await this.#handle(record)
    } finally {
      this.#running--
      this.#freed.ring()
    }
  }

  async #handle(record: FetchedRecord): Promise<boolean> {
    const { handle, onTrouble, over, retryMs } = this.#options
    const backoff = new Backoff(retryMs.first, retryMs.last)
    for (let attempt = 1; !over.aborted; attempt++) {
      try {
        const done = handle(record, { attempt, signal: over })
        if (done !== undefined) await done
        return true
      } catch (error) {
        onTrouble(error, record)
      }
      await pause(backoff.next(), over).catch(() => undefined)
    }
    return false
  }
}
