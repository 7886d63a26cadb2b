import { Cluster } from '../../src/kafka/cluster.ts'
import { CommittedView } from '../../src/kafka/committed.ts'
import type { KafkaConnection } from '../../src/kafka/connection.ts'
import { KafkaRefusal, remedyOf } from '../../src/kafka/errors.ts'
import { fetchRecords } from '../../src/kafka/wire/messages/fetch.ts'
import type { FetchedPartition } from '../../src/kafka/wire/messages/fetch.ts'
import { heartbeat, joinGroup, leaveGroup, syncGroup } from '../../src/kafka/wire/messages/group.ts'
import type { Joined, Seat } from '../../src/kafka/wire/messages/group.ts'
import { offsetCommit } from '../../src/kafka/wire/messages/offset-commit.ts'
import { listOffsets, offsetFetch } from '../../src/kafka/wire/messages/offsets.ts'
import type { LogPlace } from '../../src/kafka/wire/messages/offsets.ts'
import { produce } from '../../src/kafka/wire/messages/produce.ts'
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  commitTxn,
  initProducerId,
  NEWCOMER,
  txnOffsetCommit,
} from '../../src/kafka/wire/messages/transaction.ts'
import type { Producer } from '../../src/kafka/wire/messages/transaction.ts'
import { encodeBatches, stamp } from '../../src/kafka/wire/record-batch.ts'
import { readBatches, RecordCursor } from '../../src/kafka/wire/record-reader.ts'
import type { Request } from '../../src/kafka/wire/request.ts'

/** Brokers under test: real ones, or the twin. */
export type KafkaSubject = {
  readonly connection: KafkaConnection
  readonly topic: (partitions: number) => Promise<string>
  readonly unique: (name: string) => string
  /** As retention does. */
  readonly deleteBefore: (topic: string, partition: number, offset: number) => Promise<void>
  /** Lets that time pass. */
  readonly advance: (ms: number) => Promise<void>
  readonly close: () => Promise<void>
}

/** Three brokers, of which one may be frozen as by SIGSTOP, for less than its session of 4 s; nothing is replicated. */
export type ClusterSubject = KafkaSubject & {
  readonly freeze: (node: number) => Promise<void>
  readonly thaw: (node: number) => Promise<void>
}

export const CONCURRENT = 51

/** All its records at `TIME`. */
export function batchOf(
  producer: Producer,
  sequence: number,
  values: readonly string[],
  isTransactional = true,
): Buffer {
  const records = values.map((value) => ({ key: null, value: Buffer.from(value), timestamp: TIME, headers: [] }))
  const [batch] = encodeBatches(records, 900_000, isTransactional)
  return Buffer.from(stamp(batch!, producer, sequence))
}

export const TIME = 1_700_000_000_000

/** The product never aborts. */
export const abortTxn = (id: string, producer: Producer): Request<{ readonly code: number }> => ({
  ...commitTxn(id, producer),
  write: (w) => {
    w.compactString(id).int64(producer.id).int16(producer.epoch).boolean(false).tags()
  },
})

const initIdempotent: ReturnType<typeof initProducerId> = {
  ...initProducerId('', 0, NEWCOMER),
  write: (w) => {
    w.compactNullableString(null).int32(60_000).int64(-1).int16(-1).tags()
  },
}

/** Sends single requests, each once, and tells the codes. */
export class KafkaCaller {
  readonly cluster: Cluster
  readonly subject: KafkaSubject

  constructor(subject: KafkaSubject) {
    this.subject = subject
    this.cluster = new Cluster(subject.connection, { connectTimeoutMs: 2_000, requestTimeoutMs: 10_000 })
  }

  close(): void {
    this.cluster.close()
  }

  async init(
    id: string,
    current: Producer = NEWCOMER,
    timeoutMs = 60_000,
  ): Promise<{ code: number; producer: Producer }> {
    return await this.#coordinated('transaction', id, initProducerId(id, timeoutMs, current))
  }

  /** A producer without transactions. */
  async idempotent(): Promise<Producer> {
    const { code, producer } = await this.cluster.sendAny(initIdempotent)
    if (code !== 0) throw new KafkaRefusal('InitProducerId', code)
    return producer
  }

  /** Until the transaction before is ended. */
  async fence(id: string, current: Producer = NEWCOMER, timeoutMs = 60_000): Promise<Producer> {
    return await this.eventually(async () => {
      const { code, producer } = await this.init(id, current, timeoutMs)
      return code === 0 ? producer : new KafkaRefusal('InitProducerId', code)
    })
  }

  /** The codes in order of partitions. */
  async add(
    id: string,
    producer: Producer,
    topic: string,
    ...partitions: readonly number[]
  ): Promise<readonly number[]> {
    const request = addPartitionsToTxn(id, producer, new Map([[topic, partitions]]))
    const codes = await this.#coordinated('transaction', id, request)
    return codes.toSorted((a, b) => a.partition - b.partition).map(({ code }) => code)
  }

  async added(id: string, producer: Producer, topic: string, ...partitions: readonly number[]): Promise<void> {
    await this.eventually(async () => {
      const codes = await this.add(id, producer, topic, ...partitions)
      const code = codes.find((each) => each !== 0)
      return code === undefined ? undefined : new KafkaRefusal('AddPartitionsToTxn', code)
    })
  }

  /** `values` as one batch. */
  async produce(
    id: string | null,
    producer: Producer,
    topic: string,
    partition: number,
    sequence: number,
    values: readonly string[],
  ): Promise<readonly [code: number, baseOffset: number]> {
    return await this.produceBytes(id, topic, partition, batchOf(producer, sequence, values, id !== null))
  }

  async produceBytes(
    id: string | null,
    topic: string,
    partition: number,
    batch: Buffer,
  ): Promise<readonly [code: number, baseOffset: number]> {
    const request = produce(id, 5_000, [{ topic, partition, batch }])
    const [answer] = await this.cluster.send(await this.leader(topic, partition), 'produce', request)
    return [answer?.code ?? -1, answer?.baseOffset ?? -1]
  }

  async addOffsets(id: string, producer: Producer, group: string): Promise<number> {
    return (await this.#coordinated('transaction', id, addOffsetsToTxn(id, producer, group))).code
  }

  async addedOffsets(id: string, producer: Producer, group: string): Promise<void> {
    await this.eventually(async () => {
      const code = await this.addOffsets(id, producer, group)
      return code === 0 ? undefined : new KafkaRefusal('AddOffsetsToTxn', code)
    })
  }

  async commitWithin(id: string, producer: Producer, seat: Seat, topic: string, offset: number): Promise<number> {
    const request = txnOffsetCommit(id, producer, seat, topic, new Map([[0, offset]]))
    const [answer] = await this.#coordinated('group', seat.group, request)
    return answer?.code ?? -1
  }

  async commitOutside(seat: Seat, topic: string, offset: number): Promise<number> {
    const request = offsetCommit(seat, new Map([[topic, new Map([[0, offset]])]]))
    return (await this.#coordinated('group', seat.group, request))[0] ?? 0
  }

  async end(id: string, producer: Producer, how: 'commit' | 'abort' = 'commit'): Promise<number> {
    const request = how === 'commit' ? commitTxn(id, producer) : abortTxn(id, producer)
    return (await this.#coordinated('transaction', id, request)).code
  }

  /** Until all its markers are written. */
  async untilEnded(id: string, producer: Producer, how: 'commit' | 'abort' = 'commit'): Promise<number> {
    return await this.eventually(async () => {
      const code = await this.end(id, producer, how)
      return code === CONCURRENT ? new KafkaRefusal('EndTxn', code) : code
    })
  }

  /** With require_stable. */
  async committed(group: string, topic: string): Promise<readonly [code: number, offset: number]> {
    const answer = await this.#coordinated('group', group, offsetFetch(group, topic, [0]))
    const [found] = answer.partitions
    return [answer.code || (found?.code ?? -1), found?.offset ?? -1]
  }

  /** Until it is stable. */
  async stableOffset(group: string, topic: string): Promise<number> {
    return await this.eventually(async () => {
      const [code, offset] = await this.committed(group, topic)
      return code === 0 ? offset : new KafkaRefusal('OffsetFetch', code)
    })
  }

  async edge(topic: string, partition: number, place: LogPlace): Promise<readonly [code: number, offset: number]> {
    const [found] = await this.cluster.send(
      await this.leader(topic, partition),
      'query',
      listOffsets(topic, [partition], place),
    )
    return [found?.code ?? -1, found?.offset ?? -1]
  }

  /** `from` the end of the log to before the first open transaction. */
  async edges(topic: string, partition: number): Promise<{ start: number; stable: number; end: number }> {
    const [, start] = await this.edge(topic, partition, 'earliest')
    const [, stable] = await this.edge(topic, partition, 'stable')
    const [, end] = await this.edge(topic, partition, 'latest')
    return { start, stable, end }
  }

  async fetch(topic: string, partition: number, offset: number, limits: Limits = {}): Promise<FetchedPartition> {
    const { maxWaitMs = 0, maxBytes = 8_000_000, partitionMaxBytes = 8_000_000 } = limits
    const request = fetchRecords([{ topic, partition, offset }], { maxWaitMs, maxBytes, partitionMaxBytes })
    const answer = await this.cluster.send(await this.leader(topic, partition), 'fetch', request)
    const [fetched] = answer.partitions
    if (answer.code !== 0 || fetched === undefined) throw new KafkaRefusal('Fetch', answer.code)
    return fetched
  }

  /** All that a read_committed reader shows, as `offset:value`. Small `limits` have it read in many pieces. */
  async visible(topic: string, partition: number, limits: Limits = {}, from = 0): Promise<readonly string[]> {
    const view = new CommittedView()
    const seen: string[] = []
    for (let next = from; ;) {
      const fetched = await this.fetch(topic, partition, next, limits)
      if (fetched.code !== 0) throw new KafkaRefusal('Fetch', fetched.code)
      const batches = readBatches(fetched.records)
      const last = batches.at(-1)
      if (last === undefined) return seen
      for (const batch of view.visible(batches, fetched.aborted)) {
        const cursor = new RecordCursor(batch, { topic, partition })
        for (let it = cursor.next(next); it !== null; it = cursor.next(next))
          seen.push(`${it.offset}:${String(it.value)}`)
      }
      next = last.lastOffset + 1
    }
  }

  /** Until nothing is open and all markers are written. */
  async settled(topic: string, partition: number): Promise<readonly string[]> {
    await this.eventually(async () => {
      const { stable, end } = await this.edges(topic, partition)
      return stable === end ? undefined : new KafkaRefusal('ListOffsets', CONCURRENT)
    })
    return await this.visible(topic, partition)
  }

  /** Until the log has grown to that end. */
  async grown(topic: string, partition: number, end: number): Promise<void> {
    await this.eventually(async () => {
      const [, now] = await this.edge(topic, partition, 'latest')
      return now >= end ? undefined : new KafkaRefusal('ListOffsets', CONCURRENT)
    })
  }

  async join(group: string, { member = '', instance = null, ...rest }: JoinOptions = {}): Promise<Joined> {
    const { sessionTimeoutMs = 6_000, rebalanceTimeoutMs = 3_000, metadata = 'any', protocol = 'p' } = rest
    const request = joinGroup(
      { group, member, instance },
      { sessionTimeoutMs, rebalanceTimeoutMs },
      { name: protocol, metadata: Buffer.from(metadata) },
    )
    return await this.#coordinated('group', group, request, 30_000)
  }

  /** Alone, or as the leader with everybody's share. */
  async sync(
    seat: Seat,
    shares: Readonly<Record<string, string>> = {},
  ): Promise<readonly [code: number, share: string]> {
    const assignments = Object.entries(shares).map(([member, share]) => ({ member, assignment: Buffer.from(share) }))
    const { code, assignment } = await this.#coordinated('group', seat.group, syncGroup(seat, 'p', assignments), 30_000)
    return [code, String(assignment)]
  }

  async beat(seat: Seat): Promise<number> {
    return (await this.#coordinated('group', seat.group, heartbeat(seat))).code
  }

  async leave(seat: Seat): Promise<number> {
    return (await this.#coordinated('group', seat.group, leaveGroup(seat))).code
  }

  async leader(topic: string, partition: number): Promise<number> {
    return await this.eventually(async () => {
      const known = this.cluster.leader(topic, partition)
      if (known !== null) return known
      await this.cluster.refresh([topic])
      return this.cluster.leader(topic, partition) ?? new KafkaRefusal(`${topic}-${partition}`, 5)
    })
  }

  /** Again while it gives or throws a refusal that may pass, letting time pass between. */
  async eventually<T>(attempt: () => Promise<T | KafkaRefusal>): Promise<T> {
    for (let left = 500; ; left--) {
      const result = await attempt().catch((error: unknown) => {
        if (error instanceof KafkaRefusal) return error
        throw error
      })
      if (!(result instanceof KafkaRefusal)) return result
      const remedy = remedyOf(result)
      if (left === 0 || remedy === 'refused' || remedy === 'fenced') throw result
      if (remedy === 'coordinator') this.cluster.forgetCoordinators()
      await this.subject.advance(10)
    }
  }

  async #coordinated<T>(
    kind: 'group' | 'transaction',
    key: string,
    request: Request<T>,
    timeoutMs?: number,
  ): Promise<T> {
    const node = await this.eventually(() => this.cluster.coordinator(kind, key))
    const lane = kind === 'group' ? 'group' : 'transaction'
    return await this.cluster.send(node, lane, request, timeoutMs)
  }
}

type Limits = { readonly maxWaitMs?: number; readonly maxBytes?: number; readonly partitionMaxBytes?: number }

export type JoinOptions = {
  readonly member?: string
  readonly instance?: string | null
  readonly sessionTimeoutMs?: number
  readonly rebalanceTimeoutMs?: number
  readonly metadata?: string
  readonly protocol?: string
}
