import type { ProducedPartition } from '../../../src/kafka/wire/messages/produce.ts'
import { AT } from '../../../src/kafka/wire/record-batch.ts'
import type { Agenda } from './agenda.ts'
import { faultOf, readHeader } from './batch.ts'
import type { Batch } from './batch.ts'
import { CODE } from './codes.ts'
import type { EdgeAnswer, FetchAsked, FetchedAnswer, ListAsked, ProduceAsked } from './log-requests.ts'
import { PartitionLog } from './partition-log.ts'
import { partitionRole } from './placement.ts'
import type { Placement } from './placement.ts'
import { WaitingFetches } from './waiting-fetches.ts'
import type { Producer } from '../../../src/kafka/wire/messages/transaction.ts'

const NOTHING = Buffer.alloc(0)
const EARLIEST = -2
const LATEST = -1

export type LogSettings = {
  readonly now: () => number
  readonly agenda: Agenda
  readonly placement: Placement
  /** max.message.bytes */
  readonly maxBatchBytes: number
  /** What the transaction coordinator says of a partition that has nothing of the transaction yet. */
  readonly verify: (id: string, producer: Producer, topic: string, partition: number) => number
}

/** All partitions, and what a broker answers as their leader. */
export class BrokerLog {
  readonly #settings: LogSettings
  readonly #logs = new Map<string, PartitionLog[]>()
  readonly #waiting: WaitingFetches

  constructor(settings: LogSettings) {
    this.#settings = settings
    this.#waiting = new WaitingFetches(settings.agenda)
  }

  /** As many partitions as the topic had, or more. */
  create(topic: string, partitions: number): void {
    const logs = this.#logs.get(topic) ?? []
    for (let partition = logs.length; partition < partitions; partition++) logs.push(new PartitionLog(topic, partition))
    this.#logs.set(topic, logs)
  }

  partitions(topic: string): readonly PartitionLog[] | null {
    return this.#logs.get(topic) ?? null
  }

  find(topic: string, partition: number): PartitionLog | null {
    return this.#logs.get(topic)?.[partition] ?? null
  }

  get(topic: string, partition: number): PartitionLog {
    const log = this.find(topic, partition)
    if (log === null) throw new Error(`the twin has no ${topic}-${partition}`)
    return log
  }

  leader(topic: string, partition: number): number {
    return this.#settings.placement.holder(partitionRole(topic, partition))
  }

  /** Has waiting fetches look again. */
  changed(topic: string, partition: number): void {
    this.#waiting.changed(`${topic}/${partition}`)
  }

  produce(node: number, { transactionalId, batches }: ProduceAsked): readonly ProducedPartition[] {
    return batches.map(({ topic, partition, bytes }) => {
      const log = this.#ledBy(node, topic, partition)
      const { code, baseOffset } = typeof log === 'number' ? failed(log) : this.#append(log, transactionalId, bytes)
      if (code === CODE.none) this.changed(topic, partition)
      return { topic, partition, code, baseOffset }
    })
  }

  /** `answer` is called at once where there is anything to say, else when there is or the wait is over. */
  fetch(node: number, asked: FetchAsked, answer: (partitions: readonly FetchedAnswer[]) => void): void {
    const attempt = (isLast: boolean): boolean => {
      const found = this.#read(node, asked)
      const size = found.reduce((sum, it) => sum + it.records.length, 0)
      if (!isLast && size < asked.minBytes && found.every((it) => it.code === CODE.none)) return false
      answer(found)
      return true
    }
    if (attempt(asked.maxWaitMs <= 0)) return
    const places = asked.positions.map(({ topic, partition }) => `${topic}/${partition}`)
    this.#waiting.add(places, this.#settings.now() + asked.maxWaitMs, attempt)
  }

  list(node: number, { isCommittedOnly, places }: ListAsked): readonly EdgeAnswer[] {
    return places.map(({ topic, partition, timestamp }) => {
      const log = this.#ledBy(node, topic, partition)
      if (typeof log === 'number') return { topic, partition, code: log, timestamp: -1, offset: -1 }
      const end = isCommittedOnly ? log.stable : log.end
      const code = CODE.none
      if (timestamp === EARLIEST) return { topic, partition, code, timestamp: -1, offset: log.start }
      if (timestamp === LATEST) return { topic, partition, code, timestamp: -1, offset: end }
      return { topic, partition, code, ...log.offsetAt(timestamp, end) }
    })
  }

  #ledBy(node: number, topic: string, partition: number): PartitionLog | number {
    const log = this.find(topic, partition)
    if (log === null) return CODE.unknownTopicOrPartition
    return this.leader(topic, partition) === node ? log : CODE.notLeader
  }

  #append(log: PartitionLog, transactionalId: string | null, bytes: Buffer): { code: number; baseOffset: number } {
    if (bytes.length < AT.records) return failed(CODE.corruptMessage)
    const batch = readHeader(bytes)
    if (batch.transactional && transactionalId === null) return failed(CODE.transactionalIdNotAuthorized)
    const needsWord = batch.transactional && batch.producerId >= 0 && !log.isOpenFor(batch.producerId)
    if (needsWord) {
      const code = this.#verified(log, transactionalId ?? '', batch)
      if (code !== CODE.none) return failed(code)
    }
    const fault = faultOf(bytes, this.#settings.maxBatchBytes)
    return fault === CODE.none ? log.append(batch, needsWord) : failed(fault)
  }

  /** What may pass is told as NOT_ENOUGH_REPLICAS, which clients of that version try again (ReplicaManager). */
  #verified(log: PartitionLog, id: string, batch: Batch): number {
    log.asks(batch)
    const producer = { id: batch.producerId, epoch: batch.epoch }
    const code = this.#settings.verify(id, producer, log.topic, log.partition)
    const isPassing =
      code === CODE.concurrentTransactions ||
      code === CODE.coordinatorLoading ||
      code === CODE.coordinatorNotAvailable ||
      code === CODE.notCoordinator
    return isPassing ? CODE.notEnoughReplicas : code
  }

  #read(node: number, { positions, maxBytes, isCommittedOnly }: FetchAsked): readonly FetchedAnswer[] {
    let left = maxBytes
    let isFirst = true
    return positions.map(({ topic, partition, offset, maxBytes: most }) => {
      const log = this.#ledBy(node, topic, partition)
      if (typeof log === 'number') return unread(topic, partition, log)
      if (offset < log.start || offset > log.end) {
        return { ...unread(topic, partition, CODE.offsetOutOfRange), start: log.start }
      }
      const { end, stable, start } = log
      const before = isCommittedOnly ? stable : end
      const found = log.read(offset, before, Math.min(most, left), isFirst)
      if (found.records.length > 0) isFirst = false
      left = Math.max(0, left - found.records.length)
      const aborted = isCommittedOnly ? found.aborted : []
      return { topic, partition, code: CODE.none, end, stable, start, records: found.records, aborted }
    })
  }
}

const failed = (code: number) => ({ code, baseOffset: -1 })

const unread = (topic: string, partition: number, code: number): FetchedAnswer => ({
  topic,
  partition,
  code,
  end: -1,
  stable: -1,
  start: -1,
  records: NOTHING,
  aborted: [],
})
