import type { Request } from '../request.ts'

/** One record batch for one partition; a request carries at most one for each. */
export type PartitionBytes = { readonly topic: string; readonly partition: number; readonly batch: Uint8Array }

/** `baseOffset` is the first record's, −1 where nothing was appended. */
export type ProducedPartition = {
  readonly topic: string
  readonly partition: number
  readonly code: number
  readonly baseOffset: number
}

/**
 * ProduceRequest.json, ProduceResponse.json version 9, acknowledged by all in-sync replicas. `transactionalId` null for
 * a producer without transactions.
 */
export const produce = (
  transactionalId: string | null,
  timeoutMs: number,
  batches: readonly PartitionBytes[],
): Request<readonly ProducedPartition[]> => ({
  apiKey: 0,
  apiVersion: 9,
  apiName: 'Produce',
  flexible: true,
  sizeHint: batches.reduce((size, { batch }) => size + batch.length + 64, 256),
  write: (w) => {
    w.compactNullableString(transactionalId).int16(-1).int32(timeoutMs)
    w.compactArray([...Map.groupBy(batches, ({ topic }) => topic)], ([topic, ofTopic]) => {
      w.compactString(topic)
      w.compactArray(ofTopic, ({ partition, batch }) => w.int32(partition).compactBytes(batch).tags()).tags()
    }).tags()
  },
  read: (r) => {
    const topics = r.compactArray(() => {
      const topic = r.compactString()
      const codes = r.compactArray(() => {
        const each = { topic, partition: r.int32(), code: r.int16(), baseOffset: r.int64() }
        for (let field = 0; field < 2; field++) r.int64()
        r.compactArray(() => {
          r.int32()
          r.compactNullableString()
          r.tags()
        })
        r.compactNullableString()
        r.tags()
        return each
      })
      r.tags()
      return codes
    })
    return topics.flat()
  },
})
