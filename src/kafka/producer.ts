import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster } from './cluster.ts'
import type { KafkaConnection } from './connection.ts'
import { KafkaRefusal, messageOf, NoAnswer, remedyOf } from './errors.ts'
import { keyPartition } from './key-partition.ts'
import { produce } from './wire/messages/produce.ts'
import { NEWCOMER } from './wire/messages/transaction.ts'
import { encodeBatches, stamp } from './wire/record-batch.ts'
import type { EncodedBatch, Writable } from './wire/record-batch.ts'

/** `partition` null: the one its key belongs to (see keyPartition), or any one where the key is null as well. */
export type ToSend = Writable & { readonly topic: string; readonly partition: number | null }

export type Placed = { readonly topic: string; readonly partition: number; readonly offset: number }

/**
 * A record that was not acknowledged. `refused`: the broker will not take it as it is. `expired`: no acknowledgement
 * came before the deadline, so it may or may not be in the topic. `closed`: the producer was closed before.
 */
export class NotSent extends Error {
  override readonly name = 'NotSent'
  readonly kind: 'refused' | 'expired' | 'closed'

  constructor(kind: NotSent['kind'], message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.kind = kind
  }
}

/** Milliseconds and bytes. `deadlineMs` is for one record, over all attempts. */
export type ProducerLimits = {
  readonly deadlineMs: number
  readonly requestTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly batchBytes: number
}

export const PRODUCER_LIMITS: ProducerLimits = {
  deadlineMs: 30_000,
  requestTimeoutMs: 10_000,
  connectTimeoutMs: 3000,
  batchBytes: 500_000,
}

type Waiting = {
  readonly record: ToSend
  readonly deadline: number
  readonly resolve: (placed: Placed) => void
  readonly reject: (why: NotSent) => void
}

/** What waits for one partition, in order; at most one batch of it is under way. */
type Queue = {
  readonly topic: string
  readonly partition: number
  readonly waiting: Waiting[]
  busy: boolean
  failures: number
  notBefore: number
  /** Why the last attempt failed. */
  why: unknown
  /** At most so many records in the next batch; 1 after a batch was too large. */
  most: number
}

type Shipment = { readonly queue: Queue; readonly sent: readonly Waiting[]; readonly batch: EncodedBatch }

const BACKOFF_MIN_MS = 20
const BACKOFF_MAX_MS = 1000
const BATCH_RECORDS = 2000
/** As Kafka's Java client: partitions added meanwhile are seen after this long at the latest. */
const METADATA_MAX_AGE_MS = 300_000
const TOO_LARGE = new Set([10, 18])

/**
 * Writes records so that none that was acknowledged is lost: acknowledged by all in-sync replicas, a whole batch again
 * after any doubt, and one batch under way per partition, so that order is kept. A batch whose acknowledgement was lost
 * lies in the topic twice; readers must know a repeated record by its content.
 */
export class Producer {
  readonly #cluster: Cluster
  readonly #limits: ProducerLimits
  readonly #queues = new Map<string, Queue>()
  readonly #busyNodes = new Set<number>()
  readonly #readAt = new Map<string, number>()
  readonly #sends = new Set<Promise<unknown>>()
  #anyPartition = 0
  #woken = false
  #timer: NodeJS.Timeout | null = null
  #closed = false

  constructor(connection: KafkaConnection, limits: Partial<ProducerLimits> = {}) {
    this.#limits = { ...PRODUCER_LIMITS, ...limits }
    this.#cluster = new Cluster(connection, this.#limits)
  }

  /** Resolves when all are acknowledged, in the same order. Rejects with NotSent of the first that was not. */
  async send(records: readonly ToSend[]): Promise<readonly Placed[]> {
    if (this.#closed) throw new NotSent('closed', 'the producer is closed')
    const sending = this.#send(records)
    this.#sends.add(sending)
    try {
      return await sending
    } finally {
      this.#sends.delete(sending)
    }
  }

  /** Waits for what is under way, at most until its deadline, and closes. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#sends)
    clearTimeout(this.#timer ?? undefined)
    this.#cluster.close()
  }

  async #send(records: readonly ToSend[]): Promise<readonly Placed[]> {
    const deadline = Date.now() + this.#limits.deadlineMs
    for (const topic of new Set(records.map((it) => it.topic))) await this.#known(topic, deadline)
    return await Promise.all(records.map((record) => this.#enqueue(record, deadline)))
  }

  /** Waits until the topic's partitions are known. */
  async #known(topic: string, deadline: number): Promise<void> {
    for (let failures = 0; !this.#isFresh(topic); failures++) {
      try {
        await this.#cluster.refresh([topic])
        this.#cluster.partitions(topic)
        this.#readAt.set(topic, Date.now())
      } catch (error) {
        if (isHopeless(error)) throw new NotSent('refused', `cannot send to ${topic}: ${messageOf(error)}`, error)
        if (Date.now() > deadline) throw new NotSent('expired', `cannot send to ${topic}: ${messageOf(error)}`, error)
        await sleep(backoff(failures))
      }
    }
  }

  #isFresh(topic: string): boolean {
    const readAt = this.#readAt.get(topic)
    return readAt !== undefined && Date.now() - readAt < METADATA_MAX_AGE_MS
  }

  #enqueue(record: ToSend, deadline: number): Promise<Placed> {
    return new Promise((resolve, reject) => {
      const queue = this.#queue(record.topic, record.partition ?? this.#partition(record))
      queue.waiting.push({ record, deadline, resolve, reject })
      this.#wake()
    })
  }

  #partition({ topic, key }: ToSend): number {
    const partitions = this.#cluster.partitions(topic)
    const at =
      key === null ? this.#anyPartition++ % partitions.length : keyPartition(Buffer.from(key), partitions.length)
    return partitions[at] ?? at
  }

  #queue(topic: string, partition: number): Queue {
    const name = `${topic}-${partition}`
    const known = this.#queues.get(name)
    if (known !== undefined) return known
    const queue = {
      topic,
      partition,
      waiting: [],
      busy: false,
      failures: 0,
      notBefore: 0,
      why: null,
      most: BATCH_RECORDS,
    }
    this.#queues.set(name, queue)
    return queue
  }

  /** Once for all that is enqueued in one turn of the event loop. */
  #wake(): void {
    if (this.#woken) return
    this.#woken = true
    setImmediate(() => {
      this.#woken = false
      this.#dispatch()
    })
  }

  #wakeLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      this.#dispatch()
    }, BACKOFF_MIN_MS)
  }

  /** Sends what may be sent, one request to each leader that has none under way. */
  #dispatch(): void {
    const now = Date.now()
    const ready = [...this.#queues.values()].filter((it) => !it.busy && it.waiting.length > 0)
    for (const queue of ready) expire(queue, now)
    const due = ready.filter((it) => it.waiting.length > 0 && it.notBefore <= now)
    const byLeader = Map.groupBy(due, (it) => this.#cluster.leader(it.topic, it.partition))
    for (const [leader, queues] of byLeader) {
      if (leader === null) this.#noLeader(queues)
      else if (!this.#busyNodes.has(leader)) void this.#ship(leader, queues)
    }
    if (ready.some((it) => it.waiting.length > 0 && it.notBefore > now)) this.#wakeLater()
  }

  #noLeader(queues: readonly Queue[]): void {
    const why = new NoAnswer('connect', 'the partition has no leader')
    for (const queue of queues) postpone(queue, why)
    void this.#refresh().then(() => this.#wakeLater())
  }

  async #ship(leader: number, queues: readonly Queue[]): Promise<void> {
    this.#busyNodes.add(leader)
    const shipments = queues.map((queue) => this.#load(queue))
    const failed = await this.#deliver(leader, shipments)
    if (failed) await this.#refresh()
    for (const { queue } of shipments) queue.busy = false
    this.#busyNodes.delete(leader)
    this.#wake()
  }

  #load(queue: Queue): Shipment {
    const candidates = queue.waiting.slice(0, queue.most)
    const [batch] = encodeBatches(
      candidates.map((it) => it.record),
      this.#limits.batchBytes,
      false,
    )
    if (batch === undefined) throw new Error('a queue without records was sent')
    queue.busy = true
    return { queue, sent: candidates.slice(0, batch.count), batch }
  }

  /** True when leaders should be looked up again. */
  async #deliver(leader: number, shipments: readonly Shipment[]): Promise<boolean> {
    const { requestTimeoutMs } = this.#limits
    const batches = shipments.map(({ queue: { topic, partition }, batch }) => ({
      topic,
      partition,
      batch: stamp(batch, NEWCOMER, -1),
    }))
    try {
      // The broker gives up before we do, so that a slow replica is an answer and not a lost connection.
      const request = produce(null, Math.ceil(requestTimeoutMs * 0.8), batches)
      const answers = await this.#cluster.send(leader, 'produce', request, requestTimeoutMs)
      const settled = shipments.map((shipment) => {
        const { topic, partition } = shipment.queue
        const answer = answers.find((it) => it.topic === topic && it.partition === partition)
        return settle(shipment, answer?.code ?? -1, answer?.baseOffset ?? -1)
      })
      return settled.includes(false)
    } catch (error) {
      for (const { queue } of shipments) postpone(queue, error)
      return true
    }
  }

  async #refresh(): Promise<void> {
    await this.#cluster.refresh().catch(() => undefined)
  }
}

/** False when the same should be tried again. */
function settle(shipment: Shipment, code: number, baseOffset: number): boolean {
  const { queue, sent } = shipment
  if (code === 0) return acknowledge(shipment, baseOffset)
  const refusal = new KafkaRefusal(`Produce to ${queue.topic}-${queue.partition}`, code)
  if (TOO_LARGE.has(code) && sent.length > 1) {
    queue.most = 1
    return true
  }
  if (refusal.kafka.remedy !== 'refused') {
    postpone(queue, refusal)
    return false
  }
  queue.waiting.splice(0, sent.length)
  queue.most = BATCH_RECORDS
  for (const { reject } of sent) reject(new NotSent('refused', refusal.message, refusal))
  return true
}

function acknowledge({ queue, sent }: Shipment, baseOffset: number): true {
  queue.waiting.splice(0, sent.length)
  queue.failures = 0
  queue.notBefore = 0
  queue.most = BATCH_RECORDS
  const { topic, partition } = queue
  for (const [index, { resolve }] of sent.entries()) resolve({ topic, partition, offset: baseOffset + index })
  return true
}

function postpone(queue: Queue, why: unknown): void {
  queue.why = why
  queue.notBefore = Date.now() + backoff(queue.failures++)
}

function expire(queue: Queue, now: number): void {
  while ((queue.waiting[0]?.deadline ?? Infinity) <= now) {
    const late = queue.waiting.shift()
    const { topic, partition, why } = queue
    const reason = why === null ? 'others were before it' : messageOf(why)
    late?.reject(new NotSent('expired', `no acknowledgement from ${topic}-${partition} in time: ${reason}`, why))
  }
}

const isHopeless = (error: unknown): boolean =>
  remedyOf(error) === 'refused' || (error instanceof NoAnswer && error.kind === 'login')

const backoff = (failures: number): number =>
  Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures, 10)) * (0.75 + Math.random() / 2)
