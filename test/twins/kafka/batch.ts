import { crc32c } from '../../../src/kafka/wire/crc32c.ts'
import {
  AT,
  ATTRIBUTE,
  encodeBatches,
  LENGTH_COUNTS_FROM,
  MAGIC,
  sequenceAfter,
  stamp,
} from '../../../src/kafka/wire/record-batch.ts'
import type { Producer } from '../../../src/kafka/wire/messages/transaction.ts'
import { CODE } from './codes.ts'

/** A record batch's header, and its bytes as they lie in the log or came with a request. */
export type Batch = {
  readonly bytes: Buffer
  readonly baseOffset: number
  readonly lastOffset: number
  readonly producerId: number
  readonly epoch: number
  readonly baseSequence: number
  readonly lastSequence: number
  readonly transactional: boolean
  readonly control: boolean
  readonly count: number
  readonly maxTimestamp: number
}

const TWO_32 = 0x1_0000_0000
const int64 = (bytes: Buffer, at: number): number => bytes.readInt32BE(at) * TWO_32 + bytes.readUInt32BE(at + 4)

export function readHeader(bytes: Buffer): Batch {
  const baseOffset = int64(bytes, AT.baseOffset)
  const attributes = bytes.readInt16BE(AT.attributes)
  const count = bytes.readInt32BE(AT.count)
  const baseSequence = bytes.readInt32BE(AT.baseSequence)
  return {
    bytes,
    baseOffset,
    lastOffset: baseOffset + bytes.readInt32BE(AT.lastOffsetDelta),
    producerId: int64(bytes, AT.producerId),
    epoch: bytes.readInt16BE(AT.producerEpoch),
    baseSequence,
    lastSequence: baseSequence < 0 ? -1 : sequenceAfter(baseSequence, count - 1),
    transactional: (attributes & ATTRIBUTE.transactional) !== 0,
    control: (attributes & ATTRIBUTE.control) !== 0,
    count,
    maxTimestamp: int64(bytes, AT.maxTimestamp),
  }
}

/**
 * What a broker refuses a client's batch for before it looks at its producer: UnifiedLog.analyzeAndValidateRecords and
 * LogValidator.validateBatch. 0 where it is fine.
 */
export function faultOf(bytes: Buffer, maxBytes: number): number {
  if (bytes.length < AT.records || bytes.length !== LENGTH_COUNTS_FROM + bytes.readInt32BE(AT.length)) {
    return CODE.corruptMessage
  }
  if (bytes.readInt8(AT.magic) !== MAGIC) return CODE.corruptMessage
  if (int64(bytes, AT.baseOffset) !== 0) return CODE.invalidRecord
  if (bytes.length > maxBytes) return CODE.messageTooLarge
  if (crc32c(bytes, AT.attributes) !== bytes.readUInt32BE(AT.crc)) return CODE.corruptMessage
  const { count, lastOffset, control, producerId, baseSequence } = readHeader(bytes)
  if (!(count > 0 && lastOffset === count - 1) || control) return CODE.invalidRecord
  return producerId >= 0 && baseSequence < 0 ? CODE.invalidRecord : CODE.none
}

/** A copy of the batch for its place in the log; the checksum does not cover what is written there. */
export function placed(batch: Batch, offset: number): Batch {
  const bytes = Buffer.from(batch.bytes)
  bytes.writeInt32BE(Math.floor(offset / TWO_32), AT.baseOffset)
  bytes.writeUInt32BE(offset >>> 0, AT.baseOffset + 4)
  bytes.writeInt32BE(0, AT.leaderEpoch)
  return { ...batch, bytes, baseOffset: offset, lastOffset: offset + batch.count - 1 }
}

const COMMIT = Buffer.from([0, 0, 0, 1])
const ABORT = Buffer.from([0, 0, 0, 0])
/** Version 0, the coordinator's epoch 0. */
const MARKER = Buffer.from([0, 0, 0, 0, 0, 0])

/** The control batch that ends a producer's transaction: EndTxnMarker.json, ControlRecordType.json. */
export function markerBatch(producer: Producer, isCommit: boolean, timestamp: number): Batch {
  const record = { key: isCommit ? COMMIT : ABORT, value: MARKER, timestamp, headers: [] }
  const [encoded] = encodeBatches([record], 1_000, true)
  if (encoded === undefined) throw new Error('a marker is one record')
  encoded.bytes.writeInt16BE(ATTRIBUTE.transactional | ATTRIBUTE.control, AT.attributes)
  return readHeader(stamp(encoded, producer, -1))
}

export const isCommitMarker = (key: Buffer | null): boolean => key?.[3] === 1
