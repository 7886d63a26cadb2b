import { Reader } from '../reader.ts'
import { Writer } from '../writer.ts'

/** What a member tells the leader; `owned` and `generation` are of its last assignment, for stickiness (KIP-429, KIP-792). */
export type Subscription = {
  readonly topic: string
  readonly owned: readonly number[]
  readonly generation: number
  /** The topic's number of partitions as the member knows it: when it grows, any member's join moves the group. */
  readonly partitionCount: number
}

/** ConsumerProtocolSubscription.json version 2, so that Kafka's own tools can show the group. */
export function encodeSubscription({ topic, owned, generation, partitionCount }: Subscription): Buffer {
  const w = new Writer()
  w.int16(2)
  w.array([topic], (name) => w.string(name))
  w.nullableBytes(new Writer().int32(partitionCount).written())
  w.array(owned.length === 0 ? [] : [topic], (name) => {
    w.string(name).array(owned, (partition) => w.int32(partition))
  })
  return w.int32(generation).written()
}

export function decodeSubscription(bytes: Buffer): Subscription {
  const r = new Reader(bytes)
  r.int16()
  const [topic] = r.array(() => r.string())
  const data = r.nullableBytes()
  const owned = r.array(() => {
    r.string()
    return r.array(() => r.int32())
  })
  const partitionCount = data === null ? 0 : new Reader(data).int32()
  return { topic: topic ?? '', owned: owned.flat(), generation: r.int32(), partitionCount }
}

/** ConsumerProtocolAssignment.json version 1. */
export function encodeAssignment(topic: string, partitions: readonly number[]): Buffer {
  const w = new Writer()
  w.int16(1)
  w.array(partitions.length === 0 ? [] : [topic], (name) => {
    w.string(name).array(partitions, (partition) => w.int32(partition))
  })
  return w.nullableBytes(null).written()
}

/** An empty assignment has no bytes at all. */
export function decodeAssignment(bytes: Buffer): readonly number[] {
  if (bytes.length === 0) return []
  const r = new Reader(bytes)
  r.int16()
  const topics = r.array(() => {
    r.string()
    return r.array(() => r.int32())
  })
  return topics.flat()
}
