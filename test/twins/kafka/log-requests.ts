import type { FetchPosition } from '../../../src/kafka/wire/messages/fetch.ts'
import type { LogEdge } from '../../../src/kafka/wire/messages/offsets.ts'
import type { ProducedPartition } from '../../../src/kafka/wire/messages/produce.ts'
import type { Reader } from '../../../src/kafka/wire/reader.ts'
import { Writer } from '../../../src/kafka/wire/writer.ts'
import type { Read } from './partition-log.ts'

/** The broker's side of Produce 9, Fetch 11 and ListOffsets 5. */

export type ProduceAsked = {
  readonly transactionalId: string | null
  readonly batches: readonly { readonly topic: string; readonly partition: number; readonly bytes: Buffer }[]
}

export function readProduce(r: Reader): ProduceAsked {
  const transactionalId = r.compactNullableString()
  r.int16()
  r.int32()
  const topics = r.compactArray(() => {
    const topic = r.compactString()
    const batches = r.compactArray(() => {
      const each = { topic, partition: r.int32(), bytes: r.compactBytes() }
      r.tags()
      return each
    })
    r.tags()
    return batches
  })
  return { transactionalId, batches: topics.flat() }
}

export function writeProduced(partitions: readonly ProducedPartition[]): Buffer {
  const w = new Writer()
  w.compactArray([...Map.groupBy(partitions, (it) => it.topic)], ([topic, ofTopic]) => {
    w.compactString(topic)
    w.compactArray(ofTopic, ({ partition, code, baseOffset }) => {
      w.int32(partition).int16(code).int64(baseOffset).int64(-1).int64(-1)
      w.compactArray([], () => undefined)
        .compactNullableString(null)
        .tags()
    }).tags()
  })
  return w.int32(0).tags().written()
}

export type FetchAsked = {
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly isCommittedOnly: boolean
  readonly positions: readonly (FetchPosition & { readonly maxBytes: number })[]
}

export function readFetch(r: Reader): FetchAsked {
  r.int32()
  const maxWaitMs = r.int32()
  const minBytes = r.int32()
  const maxBytes = r.int32()
  const isCommittedOnly = r.int8() === 1
  r.int32()
  r.int32()
  const topics = r.array(() => {
    const topic = r.string()
    return r.array(() => {
      const partition = r.int32()
      r.int32()
      const offset = r.int64()
      r.int64()
      return { topic, partition, offset, maxBytes: r.int32() }
    })
  })
  return { maxWaitMs, minBytes, maxBytes, isCommittedOnly, positions: topics.flat() }
}

export type FetchedAnswer = Read & {
  readonly topic: string
  readonly partition: number
  readonly code: number
  readonly end: number
  readonly stable: number
  readonly start: number
}

export function writeFetched(partitions: readonly FetchedAnswer[]): Buffer {
  const size = partitions.reduce((sum, it) => sum + it.records.length + it.aborted.length * 16 + 96, 64)
  const w = new Writer(size)
  w.int32(0).int16(0).int32(0)
  w.array([...Map.groupBy(partitions, (it) => it.topic)], ([topic, ofTopic]) => {
    w.string(topic)
    w.array(ofTopic, (it) => {
      w.int32(it.partition).int16(it.code).int64(it.end).int64(it.stable).int64(it.start)
      w.array(it.aborted, ({ producerId, firstOffset }) => w.int64(producerId).int64(firstOffset))
      w.int32(-1).bytes(it.records)
    })
  })
  return w.written()
}

export type ListAsked = {
  readonly isCommittedOnly: boolean
  readonly places: readonly { readonly topic: string; readonly partition: number; readonly timestamp: number }[]
}

export function readListOffsets(r: Reader): ListAsked {
  r.int32()
  const isCommittedOnly = r.int8() === 1
  const topics = r.array(() => {
    const topic = r.string()
    return r.array(() => {
      const partition = r.int32()
      r.int32()
      return { topic, partition, timestamp: r.int64() }
    })
  })
  return { isCommittedOnly, places: topics.flat() }
}

export type EdgeAnswer = LogEdge & { readonly topic: string; readonly timestamp: number }

export function writeListed(edges: readonly EdgeAnswer[]): Buffer {
  const w = new Writer()
  w.int32(0)
  w.array([...Map.groupBy(edges, (it) => it.topic)], ([topic, ofTopic]) => {
    w.string(topic)
    w.array(ofTopic, ({ partition, code, timestamp, offset }) => {
      w.int32(partition)
        .int16(code)
        .int64(timestamp)
        .int64(offset)
        .int32(code === 0 && offset >= 0 ? 0 : -1)
    })
  })
  return w.written()
}
