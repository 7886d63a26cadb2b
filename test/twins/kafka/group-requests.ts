import type { Reader } from '../../../src/kafka/wire/reader.ts'
import { Writer } from '../../../src/kafka/wire/writer.ts'
import type { JoinAnswer, JoinWish, SyncAnswer } from './group.ts'
import type { PartitionCodes } from '../../../src/kafka/wire/messages/transaction.ts'
import { readOffsets } from './transaction-requests.ts'

/** The broker's side of JoinGroup 7, SyncGroup 5, Heartbeat 4, LeaveGroup 4, OffsetCommit 8 and OffsetFetch 7. */

export function readJoin(r: Reader, clientId: string): JoinWish & { readonly group: string } {
  const group = r.compactString()
  const sessionTimeoutMs = r.int32()
  const rebalanceTimeoutMs = r.int32()
  const member = r.compactString()
  const instance = r.compactNullableString()
  const protocolType = r.compactString()
  const protocols = r.compactArray(() => {
    const each = { name: r.compactString(), metadata: r.compactBytes() }
    r.tags()
    return each
  })
  return { group, member, instance, clientId, sessionTimeoutMs, rebalanceTimeoutMs, protocolType, protocols }
}

export function writeJoin(it: JoinAnswer): Buffer {
  const w = new Writer()
  w.int32(0).int16(it.code).int32(it.generation).compactNullableString(it.protocolType)
  w.compactNullableString(it.protocol).compactString(it.leader).compactString(it.member)
  w.compactArray(it.members, ({ member, instance, metadata }) => {
    w.compactString(member).compactNullableString(instance).compactBytes(metadata).tags()
  })
  return w.tags().written()
}

export function readSync(r: Reader) {
  const group = r.compactString()
  const generation = r.int32()
  const member = r.compactString()
  const instance = r.compactNullableString()
  r.compactNullableString()
  r.compactNullableString()
  const shares = r.compactArray(() => {
    const each = [r.compactString(), r.compactBytes()] as const
    r.tags()
    return each
  })
  return { group, seat: { generation, member, instance }, assignments: new Map(shares) }
}

export function writeSync({ code, protocol, assignment }: SyncAnswer): Buffer {
  const w = new Writer()
  w.int32(0)
    .int16(code)
    .compactNullableString(protocol === null ? null : 'consumer')
  return w.compactNullableString(protocol).compactBytes(assignment).tags().written()
}

export function readHeartbeat(r: Reader) {
  return {
    group: r.compactString(),
    generation: r.int32(),
    member: r.compactString(),
    instance: r.compactNullableString(),
  }
}

export function readLeave(r: Reader) {
  const group = r.compactString()
  const members = r.compactArray(() => {
    const each = { member: r.compactString(), instance: r.compactNullableString() }
    r.tags()
    return each
  })
  return { group, members }
}

export function writeLeave(
  code: number,
  members: readonly { readonly member: string; readonly instance: string | null; readonly code: number }[],
): Buffer {
  const w = new Writer()
  w.int32(0).int16(code)
  w.compactArray(members, (it) => {
    w.compactString(it.member).compactNullableString(it.instance).int16(it.code).tags()
  })
  return w.tags().written()
}

export function readOffsetCommit(r: Reader) {
  const group = r.compactString()
  const seat = { generation: r.int32(), member: r.compactString(), instance: r.compactNullableString() }
  return { group, seat, offsets: readOffsets(r) }
}

export function readOffsetFetch(r: Reader) {
  const group = r.compactString()
  const topics = r.compactArray(() => {
    const topic = r.compactString()
    const partitions = r.compactArray(() => r.int32())
    r.tags()
    return partitions.map((partition) => ({ topic, partition }))
  })
  return { group, partitions: topics.flat(), isStable: r.boolean() }
}

/** `offset` −1 where nothing is committed. */
export function writeOffsets(
  code: number,
  partitions: readonly (PartitionCodes[number] & { readonly offset: number; readonly metadata: string })[],
): Buffer {
  const w = new Writer()
  w.int32(0)
  w.compactArray([...Map.groupBy(partitions, (it) => it.topic)], ([topic, ofTopic]) => {
    w.compactString(topic)
    w.compactArray(ofTopic, ({ partition, offset, metadata, code }) => {
      w.int32(partition).int64(offset).int32(-1).compactNullableString(metadata).int16(code).tags()
    }).tags()
  })
  return w.int16(code).tags().written()
}
