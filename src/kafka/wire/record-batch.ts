import { Buffer } from 'node:buffer'
import { crc32c } from './crc32c.ts'
import type { Producer } from './messages/transaction.ts'

/**
 * Record batches, format version 2 (KIP-98): a header of 61 bytes, then the records with varint deltas.
 * https://kafka.apache.org/documentation/#recordbatch
 */
export const AT = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  count: 57,
  records: 61,
} as const

/** `length` counts what comes after it. */
export const LENGTH_COUNTS_FROM = 12
export const MAGIC = 2
export const ATTRIBUTE = { compression: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const

/** What a record to be written consists of; `timestamp` in milliseconds since 1970. */
export type Writable = {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly timestamp: number
  readonly headers: readonly (readonly [name: string, value: string | Uint8Array])[]
}

/** A batch whose producer fields and checksum are still to be stamped. */
export type EncodedBatch = { readonly bytes: Buffer; readonly count: number; readonly transactional: boolean }

/** Encodes as few batches as `maxBytes` allows, in order; a record larger than that gets a batch of its own. */
export function encodeBatches(records: readonly Writable[], maxBytes: number, transactional: boolean): EncodedBatch[] {
  const batches: EncodedBatch[] = []
  let first = 0
  let size = 0
  let index = 0
  for (const record of records) {
    const bound = boundOf(record)
    if (index > first && size + bound > maxBytes - AT.records) {
      batches.push(encodeBatch(records.slice(first, index), size, transactional))
      first = index
      size = 0
    }
    size += bound
    index++
  }
  if (first < records.length) {
    batches.push(encodeBatch(first === 0 ? records : records.slice(first), size, transactional))
  }
  return batches
}

/** Fills in who sends the batch and where it stands in its partition's sequence; the same batch may be stamped again. */
export function stamp(batch: EncodedBatch, producer: Producer, sequence: number): Buffer {
  const { bytes } = batch
  writeInt64(bytes, producer.id, AT.producerId)
  bytes.writeInt16BE(producer.epoch, AT.producerEpoch)
  bytes.writeInt32BE(sequence, AT.baseSequence)
  bytes.writeUInt32BE(crc32c(bytes, AT.attributes, bytes.length), AT.crc)
  return bytes
}

/** The sequence number of the batch after one of `count` records; wraps to 0 after 2^31 − 1. */
export const sequenceAfter = (sequence: number, count: number): number => (sequence + count) % 0x8000_0000

function encodeBatch(records: readonly Writable[], bound: number, transactional: boolean): EncodedBatch {
  const bytes = Buffer.allocUnsafe(AT.records + bound)
  const base = records[0]?.timestamp ?? 0
  let latest = base
  let at: number = AT.records
  let delta = 0
  const last: Last = { headers: [], starts: [] }
  for (const record of records) {
    at = writeRecord(bytes, at, record, delta++, record.timestamp - base, last)
    if (record.timestamp > latest) latest = record.timestamp
  }
  writeInt64(bytes, 0, AT.baseOffset)
  bytes.writeInt32BE(at - LENGTH_COUNTS_FROM, AT.length)
  bytes.writeInt32BE(-1, AT.leaderEpoch)
  bytes[AT.magic] = MAGIC
  bytes.writeInt16BE(transactional ? ATTRIBUTE.transactional : 0, AT.attributes)
  bytes.writeInt32BE(records.length - 1, AT.lastOffsetDelta)
  writeInt64(bytes, base, AT.baseTimestamp)
  writeInt64(bytes, latest, AT.maxTimestamp)
  bytes.writeInt32BE(records.length, AT.count)
  return { bytes: bytes.subarray(0, at), count: records.length, transactional }
}

/** Length (5), attributes (1), time stamp (8), offset (5), key, value and header count (5 each). */
const RECORD_OVERHEAD = 34
/** Both lengths of a header. */
const HEADER_OVERHEAD = 10
const UTF8_PER_UNIT = 3

/** At least the bytes the record will take. */
function boundOf({ key, value, headers }: Writable): number {
  let bound = RECORD_OVERHEAD + (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, content] of headers) {
    bound += HEADER_OVERHEAD + name.length * UTF8_PER_UNIT
    bound += typeof content === 'string' ? content.length * UTF8_PER_UNIT : content.length
  }
  return bound
}

/** The headers of the record before, and where each begins; one more place says where they end. */
type Last = { headers: Writable['headers']; starts: number[] }

/** The record's length stands before it, so the body is written behind room for the longest and then moved up. */
function writeRecord(
  bytes: Buffer,
  start: number,
  record: Writable,
  delta: number,
  elapsed: number,
  last: Last,
): number {
  const body = start + sizeOfVarint((record.key?.length ?? 0) + (record.value?.length ?? 0))
  let at = body
  bytes[at++] = 0
  at = writeVarint(bytes, at, elapsed)
  at = writeVarint(bytes, at, delta)
  at = writeNullable(bytes, at, record.key)
  at = writeNullable(bytes, at, record.value)
  at = writeHeaders(bytes, writeVarint(bytes, at, record.headers.length), record.headers, last)
  const room = sizeOfVarint(at - body)
  if (start + room !== body) {
    bytes.copyWithin(start + room, body, at)
    at += start + room - body
    last.headers = []
  }
  writeVarint(bytes, start, at - start - room)
  return at
}

/** Most headers are the very ones of the record before, and are copied in one go with their neighbours. */
function writeHeaders(bytes: Buffer, start: number, headers: Writable['headers'], last: Last): number {
  const starts: number[] = []
  let at = start
  for (let index = 0; index < headers.length;) {
    const same = sameFrom(index, headers, last.headers)
    if (same > index) bytes.copyWithin(at, last.starts[index] ?? 0, last.starts[same])
    for (; index < same; index++) {
      starts.push(at)
      at += (last.starts[index + 1] ?? 0) - (last.starts[index] ?? 0)
    }
    const header = headers[index++]
    if (header === undefined) break
    starts.push(at)
    at = writeHeader(bytes, at, header)
  }
  starts.push(at)
  last.headers = headers
  last.starts = starts
  return at
}

/** The first place from `index` on where the two are not one and the same header. */
function sameFrom(index: number, headers: Writable['headers'], before: Writable['headers']): number {
  let same = index
  while (same < headers.length && same < before.length && headers[same] === before[same]) same++
  return same
}

function writeHeader(bytes: Buffer, at: number, [name, content]: Writable['headers'][number]): number {
  const after = writeText(bytes, at, name)
  return typeof content === 'string' ? writeText(bytes, after, content) : writeNullable(bytes, after, content)
}

function writeNullable(bytes: Buffer, at: number, value: Uint8Array | null): number {
  if (value === null) return writeVarint(bytes, at, -1)
  const from = writeVarint(bytes, at, value.length)
  bytes.set(value, from)
  return from + value.length
}

/** Short ASCII, which headers are, is written here faster than through a call into the runtime. */
const SHORT_TEXT = 48

function writeText(bytes: Buffer, at: number, text: string): number {
  if (text.length <= SHORT_TEXT) {
    const end = writeAscii(bytes, writeVarint(bytes, at, text.length), text)
    if (end >= 0) return end
  }
  const length = Buffer.byteLength(text)
  const from = writeVarint(bytes, at, length)
  bytes.write(text, from, length)
  return from + length
}

/** Where the text ends, or −1 when it is not all ASCII. */
function writeAscii(bytes: Buffer, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit > 0x7f) return -1
    bytes[at + index] = unit
  }
  return at + text.length
}

const zigzag = (value: number): number => (value >= 0 ? value * 2 : -value * 2 - 1)

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start
  let rest = zigzag(value)
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80
    rest = rest < 0x8000_0000 ? rest >>> 7 : Math.floor(rest / 128)
  }
  bytes[at++] = rest
  return at
}

function sizeOfVarint(value: number): number {
  let size = 1
  for (let rest = zigzag(value); rest > 0x7f; size++) rest = Math.floor(rest / 128)
  return size
}

const TWO_32 = 0x1_0000_0000

export function writeInt64(bytes: Buffer, value: number, at: number): void {
  bytes.writeInt32BE(Math.floor(value / TWO_32), at)
  bytes.writeUInt32BE(value >>> 0, at + 4)
}
