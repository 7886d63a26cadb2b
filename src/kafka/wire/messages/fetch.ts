import type { Request } from '../request.ts'

export type FetchPosition = { readonly topic: string; readonly partition: number; readonly offset: number }

/** Bytes and milliseconds. `maxBytes` may be passed by one batch, so that a large one does not stop everything. */
export type FetchLimits = { readonly maxWaitMs: number; readonly maxBytes: number; readonly partitionMaxBytes: number }

export type AbortedTransaction = { readonly producerId: number; readonly firstOffset: number }

/** `records`: whole batches, of which the first may begin before the position asked for and the last be cut off. */
export type FetchedPartition = {
  readonly topic: string
  readonly partition: number
  readonly code: number
  readonly highWatermark: number
  readonly logStart: number
  readonly aborted: readonly AbortedTransaction[]
  readonly records: Buffer
}

const NO_RECORDS = Buffer.alloc(0)

/**
 * FetchRequest.json, FetchResponse.json version 11, without a fetch session, isolation read_committed: nothing beyond the
 * last stable offset, and the aborted transactions that the records overlap, which the reader must leave out itself.
 */
export const fetchRecords = (
  positions: readonly FetchPosition[],
  limits: FetchLimits,
): Request<{ readonly code: number; readonly partitions: readonly FetchedPartition[] }> => ({
  apiKey: 1,
  apiVersion: 11,
  apiName: 'Fetch',
  flexible: false,
  write: (w) => {
    w.int32(-1).int32(limits.maxWaitMs).int32(1).int32(limits.maxBytes).int8(1).int32(0).int32(-1)
    w.array([...Map.groupBy(positions, ({ topic }) => topic)], ([topic, ofTopic]) => {
      w.string(topic)
      w.array(ofTopic, ({ partition, offset }) => {
        w.int32(partition).int32(-1).int64(offset).int64(-1).int32(limits.partitionMaxBytes)
      })
    })
    w.array([], () => undefined).string('')
  },
  read: (r) => {
    r.int32()
    const code = r.int16()
    r.int32()
    const topics = r.array(() => {
      const topic = r.string()
      return r.array(() => {
        const partition = r.int32()
        const code = r.int16()
        const highWatermark = r.int64()
        r.int64()
        const logStart = r.int64()
        const aborted = r.array(() => ({ producerId: r.int64(), firstOffset: r.int64() }))
        r.int32()
        return { topic, partition, code, highWatermark, logStart, aborted, records: r.nullableBytes() ?? NO_RECORDS }
      })
    })
    return { code, partitions: topics.flat() }
  },
})
