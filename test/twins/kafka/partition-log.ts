import type { AbortedTransaction } from '../../../src/kafka/wire/messages/fetch.ts'
import type { Producer } from '../../../src/kafka/wire/messages/transaction.ts'
import { RecordCursor } from '../../../src/kafka/wire/record-reader.ts'
import { isCommitMarker, markerBatch, placed } from './batch.ts'
import type { Batch } from './batch.ts'
import { CODE } from './codes.ts'
import { ProducerState } from './producer-state.ts'

/** `control`: what a marker says; null is a record of the topic's. */
export type TwinRecord = {
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: ReadonlyMap<string, Uint8Array>
  readonly producerId: number
  readonly epoch: number
  readonly transactional: boolean
  readonly control: 'commit' | 'abort' | null
}

/** `open` until its marker lies in this partition. Not transactional is `committed`. */
export type Fate = 'committed' | 'aborted' | 'open'

type Entry = { readonly batch: Batch; fate: Fate; records: readonly TwinRecord[] | null }
type Aborted = AbortedTransaction & { readonly lastOffset: number }
export type Appended = { readonly code: number; readonly baseOffset: number }

/** `records` may end within a batch, as a broker cuts them. */
export type Read = { readonly records: Buffer; readonly aborted: readonly AbortedTransaction[] }

const NOTHING = Buffer.alloc(0)
/** log.index.interval.bytes: how exactly a broker knows where the records it sends end. */
const INDEX_BYTES = 4_096

/** One partition's log, with what a broker keeps beside it: producers, open and aborted transactions. */
export class PartitionLog {
  readonly topic: string
  readonly partition: number
  readonly #entries: Entry[] = []
  readonly #producers = new Map<number, ProducerState>()
  /** First offsets of open transactions by producer, in order. */
  readonly #open = new Map<number, number>()
  #aborted: Aborted[] = []
  #end = 0
  #start = 0
  /** Grows with every change of what can be seen. */
  version = 0

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  get start(): number {
    return this.#start
  }

  /** The high watermark. */
  get end(): number {
    return this.#end
  }

  /** The last stable offset: before the first open transaction. */
  get stable(): number {
    for (const first of this.#open.values()) return first
    return this.#end
  }

  isOpenFor(producerId: number): boolean {
    return this.#open.has(producerId)
  }

  /** Of a batch that needs the transaction coordinator's word. */
  asks(batch: Batch): void {
    this.#producer(batch.producerId).asks(batch)
  }

  /** A valid data batch. `isVerified`: the coordinator knows of the transaction's part in this partition. */
  append(batch: Batch, isVerified: boolean): Appended {
    if (batch.producerId < 0) return this.#take(batch)
    const producer = this.#producer(batch.producerId)
    const duplicate = producer.duplicateOf(batch)
    if (duplicate !== null) return { code: CODE.none, baseOffset: duplicate }
    if (batch.transactional && producer.openedAt === null && !isVerified) return refused(CODE.invalidTxnState)
    const code = producer.refusal(batch)
    if (code !== CODE.none) return refused(code)
    const appended = this.#take(batch)
    producer.add({ ...batch, baseOffset: appended.baseOffset })
    if (producer.openedAt !== null && !this.#open.has(batch.producerId)) {
      this.#open.set(batch.producerId, producer.openedAt)
    }
    return appended
  }

  /** Ends the producer's transaction here. False where the producer has a higher epoch already. */
  mark(producer: Producer, isCommit: boolean, now: number): boolean {
    const state = this.#producer(producer.id)
    if (producer.epoch < state.epoch) return false
    const first = this.#open.get(producer.id)
    const { baseOffset } = this.#take(markerBatch(producer, isCommit, now))
    state.end(producer.epoch)
    if (first === undefined) return true
    this.#open.delete(producer.id)
    if (!isCommit) this.#aborted.push({ producerId: producer.id, firstOffset: first, lastOffset: baseOffset })
    for (let at = this.#entries.length - 1; at >= 0; at--) {
      const entry = this.#entries[at]
      if (entry === undefined || entry.batch.baseOffset < first) break
      const isOurs = entry.batch.producerId === producer.id && entry.fate === 'open'
      if (isOurs) entry.fate = isCommit ? 'committed' : 'aborted'
    }
    return true
  }

  /** As retention or DeleteRecords does. */
  deleteBefore(offset: number): void {
    this.#start = Math.min(Math.max(offset, this.#start), this.#end)
    const kept = this.#entries.findIndex(({ batch }) => batch.lastOffset >= this.#start)
    this.#entries.splice(0, kept < 0 ? this.#entries.length : kept)
    this.#aborted = this.#aborted.filter(({ lastOffset }) => lastOffset >= this.#start)
    this.version++
  }

  /**
   * Whole batches from the one that holds `from`, which is within the log, up to `before`, cut after `maxBytes`. With
   * `atLeastOne` the first is given whole however large it is, and else nothing where it does not fit.
   */
  read(from: number, before: number, maxBytes: number, atLeastOne: boolean): Read {
    const first = this.#indexOf(from)
    const room = Math.max(maxBytes, atLeastOne ? (this.#entries[first]?.batch.bytes.length ?? 0) : 0)
    const parts: Buffer[] = []
    let size = 0
    let at = first
    for (; size < room; at++) {
      const batch = this.#entries[at]?.batch
      if (batch === undefined || batch.baseOffset >= before) break
      parts.push(batch.bytes)
      size += batch.bytes.length
    }
    if (parts.length === 0 || (parts[0]?.length ?? 0) > room) return { records: NOTHING, aborted: [] }
    const records =
      parts.length === 1 && size <= room ? (parts[0] ?? NOTHING) : Buffer.concat(parts, Math.min(size, room))
    return { records, aborted: this.#abortedIn(from, this.#roughEnd(at)) }
  }

  /** The first record at or after that time, before `before`; −1 where there is none. */
  offsetAt(timestamp: number, before: number): { readonly offset: number; readonly timestamp: number } {
    for (const entry of this.#entries) {
      if (entry.batch.baseOffset >= before) break
      if (entry.batch.maxTimestamp < timestamp) continue
      const record = this.#recordsOf(entry).find((it) => it.timestamp >= timestamp && it.offset >= this.#start)
      if (record !== undefined) return { offset: record.offset, timestamp: record.timestamp }
    }
    return { offset: -1, timestamp: -1 }
  }

  /** All from `from` on with what became of them, control records as well. */
  *everything(from = 0): Generator<{ readonly record: TwinRecord; readonly fate: Fate }> {
    for (let at = this.#indexOf(from); at < this.#entries.length; at++) {
      const entry = this.#entries[at]
      if (entry === undefined) return
      for (const record of this.#recordsOf(entry)) {
        if (record.offset >= from && record.offset >= this.#start) yield { record, fate: entry.fate }
      }
    }
  }

  #producer(id: number): ProducerState {
    const known = this.#producers.get(id)
    if (known !== undefined) return known
    const state = new ProducerState()
    this.#producers.set(id, state)
    return state
  }

  #take(batch: Batch): Appended {
    const baseOffset = this.#end
    const fate = batch.transactional && !batch.control ? 'open' : 'committed'
    this.#entries.push({ batch: placed(batch, baseOffset), fate, records: null })
    this.#end += batch.count
    this.version++
    return { code: CODE.none, baseOffset }
  }

  /** Of the batch that holds the offset or comes after it. */
  #indexOf(offset: number): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#entries[middle]?.batch.lastOffset ?? Infinity) < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The broker looks the end up in an index with one entry in 4 KiB, so that it may name more than was aborted here. */
  #roughEnd(index: number): number {
    let past = 0
    for (let at = index; at < this.#entries.length; at++) {
      const batch = this.#entries[at]?.batch
      if (batch === undefined || past >= INDEX_BYTES) return batch?.baseOffset ?? this.#end
      past += batch.bytes.length
    }
    return this.#end
  }

  #abortedIn(from: number, end: number): readonly AbortedTransaction[] {
    return this.#aborted.filter(({ firstOffset, lastOffset }) => lastOffset >= from && firstOffset < end)
  }

  #recordsOf(entry: Entry): readonly TwinRecord[] {
    return (entry.records ??= this.#decode(entry.batch))
  }

  #decode(batch: Batch): readonly TwinRecord[] {
    const cursor = new RecordCursor(batch, this)
    const records: TwinRecord[] = []
    for (let it = cursor.next(0); it !== null; it = cursor.next(0)) {
      const { offset, timestamp, key, value, headers } = it
      const { producerId, epoch, transactional, control } = batch
      const says = control ? (isCommitMarker(key) ? 'commit' : 'abort') : null
      records.push({ offset, timestamp, key, value, headers, producerId, epoch, transactional, control: says })
    }
    return records
  }
}

const refused = (code: number): Appended => ({ code, baseOffset: -1 })
