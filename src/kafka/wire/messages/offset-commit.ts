import type { Request } from '../request.ts'
import type { Seat } from './group.ts'

/** By topic, by partition, the next offset to read. */
export type NextOffsets = ReadonlyMap<string, ReadonlyMap<number, number>>

/** OffsetCommitRequest.json, OffsetCommitResponse.json version 8. Answers the codes of partitions that were refused. */
export const offsetCommit = (seat: Seat, offsets: NextOffsets): Request<readonly number[]> => ({
  apiKey: 8,
  apiVersion: 8,
  apiName: 'OffsetCommit',
  flexible: true,
  write: (w) => {
    w.compactString(seat.group).int32(seat.generation).compactString(seat.member).compactNullableString(seat.instance)
    w.compactArray([...offsets], ([topic, ofTopic]) => {
      w.compactString(topic)
      w.compactArray([...ofTopic], ([partition, next]) => {
        w.int32(partition).int64(next).int32(-1).compactNullableString('').tags()
      }).tags()
    }).tags()
  },
  read: (r) => {
    r.int32()
    const topics = r.compactArray(() => {
      r.compactString()
      const codes = r.compactArray(() => {
        r.int32()
        const code = r.int16()
        r.tags()
        return code
      })
      r.tags()
      return codes
    })
    return topics.flat().filter((code) => code !== 0)
  },
})
