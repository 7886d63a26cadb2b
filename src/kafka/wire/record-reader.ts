import type { Buffer } from 'node:buffer'
import { decompress } from './compression.ts'
import { crc32c } from './crc32c.ts'
import { WireError } from './reader.ts'
import { RecordHeaders } from './record-headers.ts'
import { AT, ATTRIBUTE, LENGTH_COUNTS_FROM, MAGIC } from './record-batch.ts'

const TWO_32 = 0x1_0000_0000
const NO_HEADERS: ReadonlyMap<string, Uint8Array> = new Map()

/** A batch's header, and its records unread. `lastOffset` also counts records that compaction removed. */
export type RecordBatch = {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly producerId: number
  readonly transactional: boolean
  /** Holds one marker that ends its producer's transaction, and no record of the topic's. */
  readonly control: boolean
  readonly count: number
  /** The whole batch, header included. */
  readonly bytes: Buffer
}

/**
 * The whole batches of a fetched partition, in order; what is cut off at the end is left out.
 * @throws WireError where the checksum (KIP-98, CRC-32C from the attributes on) is wrong or the format is older.
 */
export function readBatches(fetched: Buffer): RecordBatch[] {
  const batches: RecordBatch[] = []
  for (let at = 0; fetched.length - at > AT.records;) {
    const size = LENGTH_COUNTS_FROM + fetched.readInt32BE(at + AT.length)
    if (size < AT.records) throw new WireError(`a record batch claims a length of ${size} bytes`)
    if (at + size > fetched.length) break
    batches.push(readBatch(fetched.subarray(at, at + size)))
    at += size
  }
  return batches
}

function readBatch(bytes: Buffer): RecordBatch {
  const baseOffset = readInt64(bytes, AT.baseOffset)
  const magic = bytes.readInt8(AT.magic)
  if (magic !== MAGIC) {
    throw new WireError(
      `the batch at offset ${baseOffset} has message format ${magic}; only ${MAGIC} (Kafka 0.11) is read`,
    )
  }
  if (crc32c(bytes, AT.attributes) !== bytes.readUInt32BE(AT.crc)) {
    throw new WireError(`the batch at offset ${baseOffset} does not match its checksum`)
  }
  const attributes = bytes.readInt16BE(AT.attributes)
  return {
    baseOffset,
    lastOffset: baseOffset + bytes.readInt32BE(AT.lastOffsetDelta),
    producerId: readInt64(bytes, AT.producerId),
    transactional: (attributes & ATTRIBUTE.transactional) !== 0,
    control: (attributes & ATTRIBUTE.control) !== 0,
    count: bytes.readInt32BE(AT.count),
    bytes,
  }
}

/** A record as it lay in the log. Its key, value and header values are views of the fetched bytes. */
export class FetchedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  #headers: ReadonlyMap<string, Uint8Array> | null = null
  readonly #unread: RecordCursor | null
  readonly #headersAt: number

  constructor(
    place: { readonly topic: string; readonly partition: number },
    offset: number,
    timestamp: number,
    key: Buffer | null,
    value: Buffer | null,
    unread: RecordCursor | null,
    headersAt: number,
  ) {
    this.topic = place.topic
    this.partition = place.partition
    this.offset = offset
    this.timestamp = timestamp
    this.key = key
    this.value = value
    this.#unread = unread
    this.#headersAt = headersAt
  }

  /** Read when first asked for. Of a repeated name the last value counts. */
  get headers(): ReadonlyMap<string, Uint8Array> {
    this.#headers ??= this.#unread === null ? NO_HEADERS : new RecordHeaders(this.#unread, this.#headersAt)
    return this.#headers
  }
}

/** Walks a batch's records one by one. */
export class RecordCursor {
  readonly #place: { readonly topic: string; readonly partition: number }
  readonly #baseOffset: number
  readonly #baseTimestamp: number
  /** The broker's time when the topic has message.timestamp.type=LogAppendTime, else null. */
  readonly #appendTime: number | null
  readonly #bytes: Buffer
  #at: number
  #left: number

  constructor(batch: RecordBatch, place: { readonly topic: string; readonly partition: number }) {
    const attributes = batch.bytes.readInt16BE(AT.attributes)
    const compression = attributes & ATTRIBUTE.compression
    this.#place = place
    this.#baseOffset = batch.baseOffset
    this.#baseTimestamp = readInt64(batch.bytes, AT.baseTimestamp)
    this.#appendTime = (attributes & ATTRIBUTE.logAppendTime) === 0 ? null : readInt64(batch.bytes, AT.maxTimestamp)
    this.#bytes = compression === 0 ? batch.bytes : decompress(compression, batch.bytes.subarray(AT.records))
    this.#at = compression === 0 ? AT.records : 0
    this.#left = batch.count
  }

  /** The next record at or after `from`, or null at the batch's end. */
  next(from: number): FetchedRecord | null {
    while (this.#left > 0) {
      this.#left--
      const length = this.#varint()
      const end = this.#at + length
      if (!(length >= 0 && end <= this.#bytes.length)) throw this.#broken('its end')
      const record = this.#record(end, from)
      this.#at = end
      if (record !== null) return record
    }
    return null
  }

  headersAt(at: number): ReadonlyMap<string, Uint8Array> {
    const resume = this.#at
    this.#at = at
    const headers = new Map<string, Uint8Array>()
    for (let left = this.#varint(); left > 0; left--) {
      const name = this.#slice(this.#bytes.length)
      const value = this.#slice(this.#bytes.length)
      if (name === null) throw this.#broken('a header')
      headers.set(name.toString('utf8'), value ?? this.#bytes.subarray(0, 0))
    }
    this.#at = resume
    return headers
  }

  /** The value of the last header of that name in the headers that begin there. */
  headerAt(at: number, name: string): Uint8Array | undefined {
    const resume = this.#at
    this.#at = at
    let found: Uint8Array | undefined
    for (let left = this.#varint(); left > 0; left--) {
      const isNamed = this.#skipName(name)
      const value = isNamed ? this.#slice(this.#bytes.length) : this.#skipSlice()
      if (isNamed) found = value ?? this.#bytes.subarray(0, 0)
    }
    this.#at = resume
    return found
  }

  /** Whether the next name is this one, which is ASCII. */
  #skipName(name: string): boolean {
    const start = this.#at
    const length = this.#varint()
    const from = this.#at
    this.#at = start
    if (length < 0) throw this.#broken('a header')
    this.#skipSlice()
    return length === name.length && this.#reads(name, from)
  }

  #reads(text: string, from: number): boolean {
    for (let index = 0; index < text.length; index++) {
      if (this.#bytes[from + index] !== text.charCodeAt(index)) return false
    }
    return true
  }

  #skipSlice(): null {
    const length = this.#varint()
    if (length > 0) this.#at += length
    if (!(this.#at <= this.#bytes.length)) throw this.#broken('a field')
    return null
  }

  #record(end: number, from: number): FetchedRecord | null {
    this.#at++
    const elapsed = this.#varint()
    const offset = this.#baseOffset + this.#varint()
    if (offset < from) return null
    const key = this.#slice(end)
    const value = this.#slice(end)
    const timestamp = this.#appendTime ?? this.#baseTimestamp + elapsed
    const headersAt = this.#at
    const unread = this.#bytes[headersAt] === 0 ? null : this
    return new FetchedRecord(this.#place, offset, timestamp, key, value, unread, headersAt)
  }

  #slice(end: number): Buffer | null {
    const length = this.#varint()
    if (length < 0) return null
    const at = this.#at
    if (!(at + length <= end)) throw this.#broken('a field')
    this.#at = at + length
    return this.#bytes.subarray(at, at + length)
  }

  /** A zigzag varint; every length and delta in a record is one. */
  #varint(): number {
    const first = this.#bytes[this.#at++] ?? Number.NaN
    if (first < 0x80) return (first >>> 1) ^ -(first & 1)
    let value = first & 0x7f
    let factor = 128
    for (let byte = 1; byte < 8; byte++) {
      const next = this.#bytes[this.#at++] ?? Number.NaN
      value += (next & 0x7f) * factor
      if (next < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      factor *= 128
    }
    throw this.#broken('a number')
  }

  #broken(what: string): WireError {
    return new WireError(
      `${this.#place.topic}-${this.#place.partition}: a record of the batch at offset ${this.#baseOffset} is malformed: ${what} is beyond its bytes`,
    )
  }
}

function readInt64(bytes: Buffer, at: number): number {
  const value = bytes.readInt32BE(at) * TWO_32 + bytes.readUInt32BE(at + 4)
  if (!Number.isSafeInteger(value)) throw new WireError(`an int64 of a record batch is beyond safe integers`)
  return value
}
