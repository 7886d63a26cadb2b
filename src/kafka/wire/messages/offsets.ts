import type { Request } from '../request.ts'

/** `offset` is −1 where nothing is committed. */
export type CommittedOffset = {
  readonly partition: number
  readonly offset: number
  readonly metadata: string | null
  readonly code: number
}

/**
 * OffsetFetchRequest.json, OffsetFetchResponse.json version 7. With require_stable (KIP-447) a partition whose offset is
 * part of an open or not yet marked transaction answers UNSTABLE_OFFSET_COMMIT.
 */
export const offsetFetch = (
  group: string,
  topic: string,
  partitions: readonly number[],
): Request<{ readonly code: number; readonly partitions: readonly CommittedOffset[] }> => ({
  apiKey: 9,
  apiVersion: 7,
  apiName: 'OffsetFetch',
  flexible: true,
  write: (w) => {
    w.compactString(group)
    w.compactArray([topic], (name) =>
      w
        .compactString(name)
        .compactArray(partitions, (p) => w.int32(p))
        .tags(),
    )
    w.boolean(true).tags()
  },
  read: (r) => {
    r.int32()
    const topics = r.compactArray(() => {
      r.compactString()
      const partitions = r.compactArray(() => {
        const partition = r.int32()
        const offset = r.int64()
        r.int32()
        const metadata = r.compactNullableString()
        const code = r.int16()
        r.tags()
        return { partition, offset, metadata, code }
      })
      r.tags()
      return partitions
    })
    return { code: r.int16(), partitions: topics.flat() }
  },
})

/** ListOffsetsRequest.json: the time stamps with a meaning of their own. */
const TIMESTAMPS = { earliest: -2, latest: -1, stable: -1 } as const

/**
 * Where to look in a log. `latest` is the high watermark, `stable` the last stable offset; a number finds the first
 * record at or after that time, milliseconds since 1970.
 */
export type LogPlace = keyof typeof TIMESTAMPS | number

/** `offset` is −1 where no record is that late. */
export type LogEdge = { readonly partition: number; readonly code: number; readonly offset: number }

/** ListOffsetsRequest.json, ListOffsetsResponse.json version 5. */
export const listOffsets = (
  topic: string,
  partitions: readonly number[],
  place: LogPlace,
): Request<readonly LogEdge[]> => ({
  apiKey: 2,
  apiVersion: 5,
  apiName: 'ListOffsets',
  flexible: false,
  write: (w) => {
    const timestamp = typeof place === 'number' ? place : TIMESTAMPS[place]
    w.int32(-1).int8(place === 'stable' ? 1 : 0)
    w.array([topic], (name) => {
      w.string(name)
      w.array(partitions, (partition) => w.int32(partition).int32(-1).int64(timestamp))
    })
  },
  read: (r) => {
    r.int32()
    const topics = r.array(() => {
      r.string()
      return r.array(() => {
        const partition = r.int32()
        const code = r.int16()
        r.int64()
        const offset = r.int64()
        r.int32()
        return { partition, code, offset }
      })
    })
    return topics.flat()
  },
})
