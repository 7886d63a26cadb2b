import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import type { Admin } from 'kafkajs'
import { Cluster } from '../../../src/kafka/cluster.ts'
import type { KafkaConnection } from '../../../src/kafka/connection.ts'
import { openDecisionLog } from '../../../src/kafka/decision-log.ts'
import type { DecisionLogOptions, KafkaDecisionLog, LogStatus } from '../../../src/kafka/decision-log.ts'
import { KafkaRefusal, NoAnswer } from '../../../src/kafka/errors.ts'
import { listOffsets } from '../../../src/kafka/wire/messages/offsets.ts'
import { produce } from '../../../src/kafka/wire/messages/produce.ts'
import { createTopics } from '../../../src/kafka/wire/messages/topics.ts'
import type { TopicSetting } from '../../../src/kafka/wire/messages/topics.ts'
import {
  addPartitionsToTxn,
  commitTxn,
  initProducerId,
  NEWCOMER,
} from '../../../src/kafka/wire/messages/transaction.ts'
import type { Producer } from '../../../src/kafka/wire/messages/transaction.ts'
import { encodeBatches, stamp } from '../../../src/kafka/wire/record-batch.ts'
import type { Assignment, OutputRecord, PartitionBatch } from '../../../src/processor/ports.ts'

const run = promisify(execFile)

export const plain = (brokers: readonly string[], clientId = 'test'): KafkaConnection => ({
  brokers,
  clientId,
  ssl: null,
  sasl: null,
})

/** Time-outs short enough for a test; `group.min.session.timeout.ms` of the broker must allow the session. */
export const QUICK = {
  sessionTimeoutMs: 1_500,
  rebalanceTimeoutMs: 2_000,
  heartbeatMs: 100,
  requestTimeoutMs: 1_000,
  connectTimeoutMs: 1_000,
  transactionTimeoutMs: 60_000,
  fetchMaxWaitMs: 100,
}

export const BROKER_PROPERTIES = { 'group.min.session.timeout.ms': '1000', 'offsets.topic.num.partitions': '2' }

/** A cluster of the test's own, not through any proxy. */
export class Scene {
  readonly cluster: Cluster
  readonly brokers: readonly string[]
  readonly #open: KafkaDecisionLog[] = []
  #count = 0

  constructor(brokers: readonly string[]) {
    this.brokers = brokers
    this.cluster = new Cluster(plain(brokers), { connectTimeoutMs: 1_000, requestTimeoutMs: 5_000 })
  }

  unique(name: string): string {
    return `${name}-${process.pid}-${++this.#count}`
  }

  async topic(partitions: number, replicas = 1, settings: readonly TopicSetting[] = []): Promise<string> {
    return await this.make(this.unique('t'), partitions, replicas, settings)
  }

  async make(topic: string, partitions: number, replicas = 1, settings: readonly TopicSetting[] = []): Promise<string> {
    await eventually(async () => {
      const made = await this.cluster.sendAny(createTopics([{ topic, partitions, replicas, settings }], 5_000))
      const code = made[0]?.code ?? 0
      if (code !== 0 && code !== TOPIC_ALREADY_EXISTS) throw new KafkaRefusal('CreateTopics', code)
    })
    await eventually(async () => {
      await this.cluster.refresh([topic])
      for (const each of this.cluster.partitions(topic)) await this.#answers(topic, each)
    })
    return topic
  }

  /** The metadata names a leader a little before it knows that it leads. */
  async #answers(topic: string, partition: number): Promise<void> {
    const request = listOffsets(topic, [partition], 'latest')
    const [edge] = await this.cluster.send(this.leader(topic, partition), 'query', request)
    if (edge?.code !== 0) throw new KafkaRefusal('ListOffsets', edge?.code ?? -1)
  }

  leader(topic: string, partition: number): number {
    const node = this.cluster.leader(topic, partition)
    if (node === null) throw new NoAnswer('connect', `${topic}-${partition} has no leader`)
    return node
  }

  async grow(topic: string, partitions: number): Promise<void> {
    await this.#admin((admin) => admin.createPartitions({ topicPartitions: [{ topic, count: partitions }] }))
  }

  async remove(topic: string): Promise<void> {
    await this.#admin((admin) => admin.deleteTopics({ topics: [topic] }))
  }

  /** As retention does. */
  async deleteBefore(topic: string, partition: number, offset: number): Promise<void> {
    const partitions = [{ partition, offset: String(offset) }]
    await this.#admin(async (admin) => {
      await admin.fetchTopicOffsets(topic)
      await admin.deleteTopicRecords({ topic, partitions })
    })
  }

  /** As an operator does; the group must be empty. */
  async setOffset(groupId: string, topic: string, partition: number, offset: number): Promise<void> {
    await this.#admin((admin) =>
      admin.setOffsets({ groupId, topic, partitions: [{ partition, offset: String(offset) }] }),
    )
  }

  async #admin(work: (admin: Admin) => Promise<unknown>): Promise<void> {
    const admin = new Kafka({ brokers: [...this.brokers], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    await work(admin).finally(() => admin.disconnect())
  }

  /** Non-transactional records. */
  async put(topic: string, partition: number, values: readonly Written[]): Promise<void> {
    for (const batch of encodeBatches(values.map(record), 500_000, false)) {
      const bytes = stamp(batch, NEWCOMER, -1)
      await this.#produce(null, topic, partition, bytes)
    }
  }

  /** As librdkafka compresses. */
  async putPacked(topic: string, codec: string, values: readonly string[]): Promise<void> {
    const kcat = execFile('kcat', ['-b', this.brokers.join(), '-P', '-t', topic, '-p', '0', '-z', codec])
    kcat.stdin?.end(`${values.join('\n')}\n`)
    const code = await new Promise((resolve) => kcat.on('exit', resolve))
    if (code !== 0) throw new Error(`kcat -P ended with ${String(code)}`)
  }

  /** One producer's part in transactions: `write` opens one if none is, `abort` and `commit` end it. */
  async writer(id: string): Promise<Writer> {
    const request = initProducerId(id, 60_000, NEWCOMER)
    const fence = async (): Promise<Producer> =>
      await eventually(async () => {
        const { code, producer } = await this.cluster.send(await this.#coordinator(id), 'transaction', request)
        if (code !== 0) throw new KafkaRefusal('InitProducerId', code)
        return producer
      })
    return new Writer(this, id, await fence(), fence)
  }

  async addAndProduce(id: string, producer: Producer, at: Place, values: readonly Written[]): Promise<void> {
    const { topic, partition, sequence } = at
    await eventually(async () => {
      const added = addPartitionsToTxn(id, producer, new Map([[topic, [partition]]]))
      const codes = await this.cluster.send(await this.#coordinator(id), 'transaction', added)
      if (codes[0]?.code !== 0) throw new KafkaRefusal('AddPartitionsToTxn', codes[0]?.code ?? -1)
    })
    const [batch] = encodeBatches(values.map(record), 500_000, true)
    await this.#produce(id, topic, partition, stamp(batch!, producer, sequence))
  }

  async endTxn(id: string, producer: Producer): Promise<void> {
    const { code } = await this.cluster.send(await this.#coordinator(id), 'transaction', commitTxn(id, producer))
    if (code !== 0) throw new KafkaRefusal('EndTxn', code)
  }

  /** A driver under test; closed with the scene at the latest. */
  log(options: Omit<DecisionLogOptions, 'connection'> & { readonly brokers?: readonly string[] }): KafkaDecisionLog {
    const { brokers = this.brokers, ...rest } = options
    const log = openDecisionLog({ ...QUICK, ...rest, connection: plain(brokers, options.slot) })
    this.#open.push(log)
    return log
  }

  async closeLogs(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((log) => log.close()))
  }

  async close(): Promise<void> {
    await this.closeLogs()
    this.cluster.close()
  }

  /** What an independent read_committed reader (kcat, librdkafka) sees of a topic, in order of offsets. */
  async visible(topic: string): Promise<readonly Seen[]> {
    const args = ['-b', this.brokers.join(), '-C', '-t', topic, '-o', 'beginning', '-e', '-q']
    const format = ['-X', 'isolation.level=read_committed', '-f', '%p %o %s\\n']
    const { stdout } = await run('kcat', [...args, ...format], { maxBuffer: 64 * 1024 * 1024, timeout: 20_000 })
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [partition, offset, ...value] = line.split(' ')
        return { partition: Number(partition), offset: Number(offset), value: value.join(' ') }
      })
      .sort((a, b) => a.partition - b.partition || a.offset - b.offset)
  }

  #coordinator(id: string): Promise<number> {
    return this.cluster.coordinator('transaction', id)
  }

  async #produce(id: string | null, topic: string, partition: number, batch: Buffer): Promise<void> {
    const request = produce(id, 5_000, [{ topic, partition, batch }])
    // A broker may be named as a new partition's leader before it knows.
    await eventually(async () => {
      await this.cluster.refresh([topic])
      const [answer] = await this.cluster.send(this.leader(topic, partition), 'transaction', request)
      if (answer?.code !== 0) throw new KafkaRefusal('Produce', answer?.code ?? -1)
    })
  }
}

export type Seen = { readonly partition: number; readonly offset: number; readonly value: string }
type Place = { readonly topic: string; readonly partition: number; readonly sequence: number }

export class Writer {
  readonly #scene: Scene
  readonly #id: string
  readonly #fence: () => Promise<Producer>
  #producer: Producer
  #sequence = 0

  constructor(scene: Scene, id: string, producer: Producer, fence: () => Promise<Producer>) {
    this.#scene = scene
    this.#id = id
    this.#producer = producer
    this.#fence = fence
  }

  async write(topic: string, partition: number, values: readonly Written[]): Promise<void> {
    await this.#scene.addAndProduce(this.#id, this.#producer, { topic, partition, sequence: this.#sequence }, values)
    this.#sequence += values.length
  }

  async commit(): Promise<void> {
    await this.#scene.endTxn(this.#id, this.#producer)
  }

  async abort(): Promise<void> {
    this.#producer = await this.#fence()
    this.#sequence = 0
  }
}

const TOPIC_ALREADY_EXISTS = 36

/** A record's value, or its key as well. */
export type Written = string | { readonly key: Buffer; readonly value: string }

const record = (it: Written) => ({
  key: typeof it === 'string' ? null : it.key,
  value: Buffer.from(typeof it === 'string' ? it : it.value),
  timestamp: Date.now(),
  headers: [],
})

export const numbered = (count: number, name = 'e'): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${name}${index}`)

/** Tries for up to ten seconds. */
export async function eventually<T>(attempt: () => Promise<T>, withinMs = 10_000): Promise<T> {
  const until = performance.now() + withinMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > until) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

export async function endOf({ ended }: Assignment): Promise<void> {
  if (ended.aborted) return
  await new Promise((resolve) => ended.addEventListener('abort', resolve, { once: true }))
}

/** A verdict for every record: the same value, to the same partition of `to`. */
export const passThrough = (batches: readonly PartitionBatch[], to: string): readonly OutputRecord[] =>
  batches.flatMap(({ records }) =>
    records.map(({ partition, key, value, timestamp }) => ({
      topic: to,
      partition,
      key,
      value,
      timestamp,
      headers: [],
    })),
  )

export const nextOffsets = (batches: readonly PartitionBatch[]): ReadonlyMap<number, number> =>
  new Map(batches.map(({ partition, next }) => [partition, next]))

/** Polls until something comes. */
export async function pollSome(
  log: KafkaDecisionLog,
  assignment: Assignment,
  max: number,
): Promise<readonly PartitionBatch[]> {
  return await eventually(async () => {
    const batches = await log.poll(assignment, max, 200)
    if (batches.length === 0) throw new Error('nothing polled')
    return batches
  })
}

/**
 * The whole loop of a processor that decides nothing, until the offsets committed add up to `count`. Resolves to the
 * codes of what was discarded on the way.
 */
export async function pump(
  log: KafkaDecisionLog,
  to: string,
  count: number,
  max: number,
  signal: AbortSignal = AbortSignal.timeout(30_000),
): Promise<readonly string[]> {
  const discards: string[] = []
  const reached = new Map<number, number>()
  const done = (): boolean => [...reached.values()].reduce((sum, next) => sum + next, 0) >= count
  while (!done()) {
    const assignment = await log.acquire(signal)
    for (const [partition, { start }] of assignment.positions) reached.set(partition, start)
    while (!done() && !assignment.ended.aborted) {
      signal.throwIfAborted()
      const batches = await log.poll(assignment, max, 100)
      if (batches.length === 0) continue
      const result = await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)
      if (result.kind === 'discarded') discards.push(result.code)
      else for (const { partition, next } of batches) reached.set(partition, next)
    }
  }
  return discards
}

export const statuses = (): { readonly list: LogStatus[]; readonly onStatus: (status: LogStatus) => void } => {
  const list: LogStatus[] = []
  return { list, onStatus: (status) => void list.push(status) }
}
