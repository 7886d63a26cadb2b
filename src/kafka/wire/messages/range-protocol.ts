import { Reader } from '../reader.ts'
import { Writer } from '../writer.ts'

/** The assignor that every Kafka client has, so that executors in several languages can share one group. */
export const RANGE = 'range'

/** Topic names with partition numbers. */
export type Share = ReadonlyMap<string, readonly number[]>

/** ConsumerProtocolSubscription.json version 0. */
export function encodeTopics(topics: readonly string[]): Buffer {
  const writer = new Writer()
  writer.int16(0).array(topics, (topic) => writer.string(topic))
  return writer.nullableBytes(null).written()
}

/** The topics a member of any client has subscribed to. */
export function decodeTopics(bytes: Buffer): readonly string[] {
  const reader = new Reader(bytes)
  reader.int16()
  return reader.array(() => reader.string())
}

/** ConsumerProtocolAssignment.json version 0. */
export function encodeShare(share: Share): Buffer {
  const writer = new Writer()
  writer.int16(0)
  writer.array([...share], ([topic, partitions]) => {
    writer.string(topic).array(partitions, (partition) => writer.int32(partition))
  })
  return writer.nullableBytes(null).written()
}

/** An empty assignment may have no bytes at all. */
export function decodeShare(bytes: Buffer): Share {
  if (bytes.length === 0) return new Map()
  const reader = new Reader(bytes)
  reader.int16()
  return new Map(reader.array(() => [reader.string(), reader.array(() => reader.int32())] as const))
}

/**
 * As org.apache.kafka.clients.consumer.RangeAssignor: of each topic, members in order of their ids get runs of
 * partitions whose lengths differ by one at the most. Topics with equal partitions are shared out alike, so that the
 * verdicts of one entity come to the same member whatever their route.
 */
export function shareOut(
  members: readonly { readonly member: string; readonly topics: readonly string[] }[],
  partitionsOf: (topic: string) => readonly number[],
): ReadonlyMap<string, Share> {
  const shares = new Map<string, Map<string, readonly number[]>>(members.map(({ member }) => [member, new Map()]))
  for (const topic of new Set(members.flatMap((it) => it.topics))) {
    const takers = members.filter((it) => it.topics.includes(topic)).map((it) => it.member)
    const partitions = partitionsOf(topic)
    for (const [index, member] of takers.toSorted().entries()) {
      const run = partitions.slice(
        boundary(index, takers.length, partitions),
        boundary(index + 1, takers.length, partitions),
      )
      if (run.length > 0) shares.get(member)?.set(topic, run)
    }
  }
  return shares
}

const boundary = (index: number, takers: number, { length }: readonly number[]): number =>
  index * Math.floor(length / takers) + Math.min(index, length % takers)
