import assert from 'node:assert'
import type { InputRecord, PartitionBatch } from '../processor/ports.ts'
import { CommittedView } from './committed.ts'
import type { FetchedPartition } from './wire/messages/fetch.ts'
import { readBatches, RecordCursor } from './wire/record-reader.ts'
import type { FetchedRecord, RecordBatch } from './wire/record-reader.ts'

/** One fetch's part, its records unread. */
type Chunk = { readonly batches: RecordBatch[]; readonly next: number; readonly size: number }

/** Milliseconds of a monotonic clock. */
type Moment = number

/** Fetched and not yet handed out records of one partition, in order, without gaps. */
export class PartitionQueue {
  readonly partition: number
  readonly #topic: string
  readonly #view = new CommittedView()
  readonly #chunks: Chunk[] = []
  readonly #returned: PartitionBatch[] = []
  #cursor: RecordCursor | null = null
  #ahead: FetchedRecord | null = null
  #fetchAt: number
  /** Everything before it was handed out, and not given back. */
  #handedTo: number
  #notBefore: Moment = 0
  #size = 0
  #waiting = 0

  constructor(topic: string, partition: number, start: number) {
    this.#topic = topic
    this.partition = partition
    this.#fetchAt = start
    this.#handedTo = start
  }

  /** Where the next fetch goes on. */
  get fetchAt(): number {
    return this.#fetchAt
  }

  /** Bytes held, as fetched. */
  get size(): number {
    return this.#size
  }

  /** About how many records could be handed out now; compaction makes it an overestimate. */
  available(now: Moment): number {
    const [top] = this.#returned.slice(-1)
    if (top === undefined) return this.#waiting
    return now >= this.#notBefore ? top.records.length : 0
  }

  /** When given-back records may be polled again, or null. */
  /** The offset after the last one handed out. */
  get handedTo(): number {
    return this.#handedTo
  }

  get resumesAt(): Moment | null {
    return this.#returned.length === 0 ? null : this.#notBefore
  }

  /**
   * Takes in what a fetch from `askedAt` gave; nothing if another fetch was faster, as happens when the leader moves.
   * Throws WireError for bytes that are not record batches.
   */
  add(fetched: FetchedPartition, askedAt: number): void {
    if (askedAt !== this.#fetchAt) return
    const batches = readBatches(owned(fetched.records))
    const last = batches.at(-1)
    if (last === undefined || last.lastOffset < this.#fetchAt) return
    const visible = this.#view.visible(batches, fetched.aborted)
    const chunk = { batches: visible, next: last.lastOffset + 1, size: fetched.records.length }
    this.#fetchAt = chunk.next
    this.#chunks.push(chunk)
    this.#size += chunk.size
    this.#waiting += visible.reduce((count, batch) => count + batch.count, 0)
  }

  /** At most `max` records, or null when there is none to hand out now. */
  take(max: number, now: Moment): PartitionBatch | null {
    if (max < 1) return null
    const returned = this.#returned.pop()
    if (returned !== undefined) return this.#takeReturned(returned, max, now)
    const records: InputRecord[] = []
    let next = this.#handedTo
    for (let record = this.#peek(); record !== null && records.length < max; record = this.#peek()) {
      records.push(record)
      this.#ahead = null
      next = record.offset + 1
    }
    this.#waiting = this.#ahead === null ? 0 : Math.max(1, this.#waiting - records.length)
    if (records.length === 0) return null
    if (this.#ahead === null) next = this.#drainedTo
    return this.#hand({ partition: this.partition, from: this.#handedTo, next, records })
  }

  /** `run` is the last part of what was handed out last, and is handed out next, no sooner than `notBefore`. */
  putBack(run: PartitionBatch, notBefore: Moment): void {
    assert(run.next === this.#handedTo, `${this.#topic}-${this.partition}: given back out of order`)
    this.#handedTo = run.from
    this.#notBefore = notBefore
    this.#returned.push(run)
  }

  /** Where the chunks handed out whole end. */
  #drainedTo = 0

  #takeReturned(run: PartitionBatch, max: number, now: Moment): PartitionBatch | null {
    if (now < this.#notBefore) {
      this.#returned.push(run)
      return null
    }
    const cut = run.records[max]
    const last = run.records[max - 1]
    if (cut === undefined || last === undefined) return this.#hand(run)
    const next = last.offset + 1
    this.#returned.push({ ...run, from: next, records: run.records.slice(max) })
    return this.#hand({ ...run, next, records: run.records.slice(0, max) })
  }

  #hand(run: PartitionBatch): PartitionBatch {
    this.#handedTo = run.next
    return run
  }

  /** The next record, without handing it out; null when all that was fetched has been. */
  #peek(): FetchedRecord | null {
    for (;;) {
      this.#ahead ??= this.#cursor?.next(this.#handedTo) ?? null
      if (this.#ahead !== null) return this.#ahead
      const chunk = this.#chunks[0]
      if (chunk === undefined) return null
      const batch = chunk.batches.shift()
      if (batch !== undefined) this.#cursor = new RecordCursor(batch, { topic: this.#topic, partition: this.partition })
      else this.#finish(chunk)
    }
  }

  #finish(chunk: Chunk): void {
    this.#chunks.shift()
    this.#cursor = null
    this.#size -= chunk.size
    this.#drainedTo = chunk.next
  }
}

/** A small part of a large answer is copied, so that it does not keep the whole answer in memory. */
function owned(records: Buffer): Buffer {
  return records.length * 2 < records.buffer.byteLength ? Buffer.from(records) : records
}
