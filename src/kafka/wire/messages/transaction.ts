import type { Request } from '../request.ts'
import type { Seat } from './group.ts'

/** A producer's identity at the brokers. (−1, −1) is a newcomer. */
export type Producer = { readonly id: number; readonly epoch: number }
export const NEWCOMER: Producer = { id: -1, epoch: -1 }

/** Topic names with partition numbers. */
export type TopicPartitions = ReadonlyMap<string, readonly number[]>

/**
 * InitProducerIdRequest.json, InitProducerIdResponse.json version 4. With `current` a newcomer, whoever held the
 * transactional id is fenced and what it had open is aborted; with our own id and epoch the broker bumps the epoch only
 * if nobody else has (KIP-360).
 */
export const initProducerId = (
  transactionalId: string,
  timeoutMs: number,
  current: Producer,
): Request<{ readonly code: number; readonly producer: Producer }> => ({
  apiKey: 22,
  apiVersion: 4,
  apiName: 'InitProducerId',
  flexible: true,
  write: (w) => {
    w.compactNullableString(transactionalId).int32(timeoutMs).int64(current.id).int16(current.epoch).tags()
  },
  read: (r) => {
    r.int32()
    return { code: r.int16(), producer: { id: r.int64(), epoch: r.int16() } }
  },
})

/** One code per partition that the broker answered for; fewer than asked for means an unknown outcome. */
export type PartitionCodes = readonly { readonly topic: string; readonly partition: number; readonly code: number }[]

/** AddPartitionsToTxnRequest.json, AddPartitionsToTxnResponse.json version 3 (4 and later are for brokers). */
export const addPartitionsToTxn = (
  transactionalId: string,
  producer: Producer,
  partitions: TopicPartitions,
): Request<PartitionCodes> => ({
  apiKey: 24,
  apiVersion: 3,
  apiName: 'AddPartitionsToTxn',
  flexible: true,
  write: (w) => {
    w.compactString(transactionalId).int64(producer.id).int16(producer.epoch)
    w.compactArray([...partitions], ([topic, numbers]) => {
      w.compactString(topic)
      w.compactArray(numbers, (partition) => w.int32(partition)).tags()
    }).tags()
  },
  read: (r) => {
    r.int32()
    const topics = r.compactArray(() => {
      const topic = r.compactString()
      const codes = r.compactArray(() => {
        const each = { topic, partition: r.int32(), code: r.int16() }
        r.tags()
        return each
      })
      r.tags()
      return codes
    })
    return topics.flat()
  },
})

/** AddOffsetsToTxnRequest.json, AddOffsetsToTxnResponse.json version 3. */
export const addOffsetsToTxn = (
  transactionalId: string,
  producer: Producer,
  group: string,
): Request<{ readonly code: number }> => ({
  apiKey: 25,
  apiVersion: 3,
  apiName: 'AddOffsetsToTxn',
  flexible: true,
  write: (w) => {
    w.compactString(transactionalId).int64(producer.id).int16(producer.epoch).compactString(group).tags()
  },
  read: (r) => {
    r.int32()
    return { code: r.int16() }
  },
})

/** The metadata of an offset that a transaction of ours has committed; who resets a group's offsets writes none. */
export const OUR_OFFSETS = 'sluice'

/**
 * TxnOffsetCommitRequest.json, TxnOffsetCommitResponse.json version 3. `seat` must be the one the offsets were read
 * with: the coordinator refuses a seat that is not the present one (KIP-447), which fences zombies.
 */
export const txnOffsetCommit = (
  transactionalId: string,
  producer: Producer,
  seat: Seat,
  topic: string,
  offsets: ReadonlyMap<number, number>,
): Request<PartitionCodes> => ({
  apiKey: 28,
  apiVersion: 3,
  apiName: 'TxnOffsetCommit',
  flexible: true,
  write: (w) => {
    w.compactString(transactionalId).compactString(seat.group).int64(producer.id).int16(producer.epoch)
    w.int32(seat.generation).compactString(seat.member).compactNullableString(seat.instance)
    w.compactArray([topic], (name) => {
      w.compactString(name)
      w.compactArray([...offsets], ([partition, offset]) => {
        w.int32(partition).int64(offset).int32(-1).compactNullableString(OUR_OFFSETS).tags()
      }).tags()
    }).tags()
  },
  read: (r) => {
    r.int32()
    const topics = r.compactArray(() => {
      const topic = r.compactString()
      const codes = r.compactArray(() => {
        const each = { topic, partition: r.int32(), code: r.int16() }
        r.tags()
        return each
      })
      r.tags()
      return codes
    })
    return topics.flat()
  },
})

/** EndTxnRequest.json, EndTxnResponse.json version 3, always a commit. Answers before the markers are written. */
export const commitTxn = (transactionalId: string, producer: Producer): Request<{ readonly code: number }> => ({
  apiKey: 26,
  apiVersion: 3,
  apiName: 'EndTxn',
  flexible: true,
  write: (w) => {
    w.compactString(transactionalId).int64(producer.id).int16(producer.epoch).boolean(true).tags()
  },
  read: (r) => {
    r.int32()
    return { code: r.int16() }
  },
})

/** ListTransactionsRequest.json, ListTransactionsResponse.json version 0 (KIP-664): the ids with an open transaction. */
export const listOpenTransactions = (): Request<{ readonly code: number; readonly ids: readonly string[] }> => ({
  apiKey: 66,
  apiVersion: 0,
  apiName: 'ListTransactions',
  flexible: true,
  write: (w) => {
    w.compactArray(['Ongoing'], (state) => w.compactString(state))
    w.compactArray([], () => undefined).tags()
  },
  read: (r) => {
    r.int32()
    const code = r.int16()
    r.compactArray(() => r.compactString())
    const ids = r.compactArray(() => {
      const id = r.compactString()
      r.int64()
      r.compactString()
      r.tags()
      return id
    })
    return { code, ids }
  },
})
