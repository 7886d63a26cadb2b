import type { PartitionCodes, Producer } from '../../../src/kafka/wire/messages/transaction.ts'
import type { Reader } from '../../../src/kafka/wire/reader.ts'
import { Writer } from '../../../src/kafka/wire/writer.ts'
import type { Offsets } from './group-offsets.ts'

/**
 * The broker's side of InitProducerId 4, AddPartitionsToTxn 3, AddOffsetsToTxn 3, TxnOffsetCommit 3, EndTxn 3 and
 * ListTransactions 0.
 */

const readProducer = (r: Reader): Producer => ({ id: r.int64(), epoch: r.int16() })

export function readInit(r: Reader) {
  return { id: r.compactNullableString(), timeoutMs: r.int32(), current: readProducer(r) }
}

export const writeInit = (code: number, { id, epoch }: Producer): Buffer =>
  new Writer().int32(0).int16(code).int64(id).int16(epoch).tags().written()

export function readAddPartitions(r: Reader) {
  const id = r.compactString()
  const producer = readProducer(r)
  const topics = r.compactArray(() => {
    const topic = r.compactString()
    const partitions = r.compactArray(() => r.int32())
    r.tags()
    return partitions.map((partition) => ({ topic, partition }))
  })
  return { id, producer, partitions: topics.flat() }
}

/** Of AddPartitionsToTxn and TxnOffsetCommit. */
export function writePartitionCodes(codes: PartitionCodes): Buffer {
  const w = new Writer()
  w.int32(0)
  w.compactArray([...Map.groupBy(codes, (it) => it.topic)], ([topic, ofTopic]) => {
    w.compactString(topic)
    w.compactArray(ofTopic, ({ partition, code }) => w.int32(partition).int16(code).tags()).tags()
  })
  return w.tags().written()
}

export function readAddOffsets(r: Reader) {
  return { id: r.compactString(), producer: readProducer(r), group: r.compactString() }
}

/** Of AddOffsetsToTxn and EndTxn. */
export const writeCode = (code: number): Buffer => new Writer(8).int32(0).int16(code).tags().written()

/** A committed offset of OffsetCommit and TxnOffsetCommit. */
export function readOffsets(r: Reader): Offsets {
  const topics = r.compactArray(() => {
    const topic = r.compactString()
    const offsets = r.compactArray(() => {
      const each = { topic, partition: r.int32(), offset: r.int64() }
      r.int32()
      const metadata = r.compactNullableString()
      r.tags()
      return { ...each, metadata }
    })
    r.tags()
    return offsets
  })
  return topics.flat()
}

export function readTxnOffsetCommit(r: Reader) {
  const id = r.compactString()
  const group = r.compactString()
  const producer = readProducer(r)
  const seat = { generation: r.int32(), member: r.compactString(), instance: r.compactNullableString() }
  return { id, group, producer, seat, offsets: readOffsets(r) }
}

export function readEnd(r: Reader) {
  return { id: r.compactString(), producer: readProducer(r), isCommit: r.boolean() }
}

export const readListTransactions = (r: Reader): readonly string[] => r.compactArray(() => r.compactString())

export function writeTransactions(
  code: number,
  transactions: readonly { readonly id: string; readonly producer: Producer; readonly state: string }[],
): Buffer {
  const w = new Writer()
  w.int32(0).int16(code)
  w.compactArray([], () => undefined)
  w.compactArray(transactions, ({ id, producer, state }) => {
    w.compactString(id).int64(producer.id).compactString(state).tags()
  })
  return w.tags().written()
}
