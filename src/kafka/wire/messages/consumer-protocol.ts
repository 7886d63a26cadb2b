import { Reader } from '../reader.ts'
import { Writer } from '../writer.ts'

/** What a member tells the leader; `owned` and `generation` are of its last assignment, for stickiness (KIP-429, KIP-792). */
export type Subscription = {
  readonly topic: string
  readonly owned: readonly number[]
  readonly generation: number
  /** The topic's number of partitions as the member knows it: when it grows, any member's join moves the group. */
  readonly partitionCount: number
  /** How often the member has asked to move on: a join that says nothing new moves no group. */
  readonly nudges: number
}

/** What the leader gives to a member. `partitionCount`: of how many it shared out, null where it does not say. */
export type Share = { readonly partitions: readonly number[]; readonly partitionCount: number | null }

/** ConsumerProtocolSubscription.json version 2, so that Kafka's own tools can show the group. */
export function encodeSubscription({ topic, owned, generation, partitionCount, nudges }: Subscription): Buffer {
  const w = new Writer()
  w.int16(2)
  w.array([topic], (name) => w.string(name))
  w.nullableBytes(new Writer().int32(partitionCount).int32(nudges).written())
  w.array(owned.length === 0 ? [] : [topic], (name) => {
    w.string(name).array(owned, (partition) => w.int32(partition))
  })
  return w.int32(generation).written()
}

/** Of what others wrote, an older release as well, the leader needs no more. */
export function decodeSubscription(bytes: Buffer): Pick<Subscription, 'owned' | 'generation'> {
  const r = new Reader(bytes)
  r.int16()
  r.array(() => r.string())
  r.nullableBytes()
  const owned = r.array(() => {
    r.string()
    return r.array(() => r.int32())
  })
  return { owned: owned.flat(), generation: r.int32() }
}

/** ConsumerProtocolAssignment.json version 1. */
export function encodeAssignment(topic: string, partitions: readonly number[], partitionCount: number): Buffer {
  const w = new Writer()
  w.int16(1)
  w.array(partitions.length === 0 ? [] : [topic], (name) => {
    w.string(name).array(partitions, (partition) => w.int32(partition))
  })
  return w.nullableBytes(new Writer().int32(partitionCount).written()).written()
}

/** An empty assignment has no bytes at all. */
export function decodeAssignment(bytes: Buffer): Share {
  if (bytes.length === 0) return { partitions: [], partitionCount: null }
  const r = new Reader(bytes)
  r.int16()
  const topics = r.array(() => {
    r.string()
    return r.array(() => r.int32())
  })
  const data = r.nullableBytes()
  return { partitions: topics.flat(), partitionCount: data === null ? null : new Reader(data).int32() }
}
