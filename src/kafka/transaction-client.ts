import assert from 'node:assert'
import type { Cluster } from './cluster.ts'
import { KafkaRefusal, NoAnswer, RecordTooLarge, refuse, remedyOf } from './errors.ts'
import { Backoff, pause, unlessAborted } from './waiting.ts'
import type { Seat } from './wire/messages/group.ts'
import { produce } from './wire/messages/produce.ts'
import type { PartitionBytes } from './wire/messages/produce.ts'
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  commitTxn,
  initProducerId,
  NEWCOMER,
  txnOffsetCommit,
} from './wire/messages/transaction.ts'
import type { PartitionCodes, Producer, TopicPartitions } from './wire/messages/transaction.ts'
import { encodeBatches, sequenceAfter, stamp } from './wire/record-batch.ts'
import type { EncodedBatch, Writable } from './wire/record-batch.ts'

export type TransactionSettings = {
  readonly transactionalId: string
  readonly group: string
  /** The topic whose offsets are committed. */
  readonly input: string
  /** After this the coordinator ends a transaction that nobody has. */
  readonly transactionTimeoutMs: number
  readonly requestTimeoutMs: number
  /** Bytes of one record batch; less where a topic’s max.message.bytes turns out to be less. */
  readonly maxBatchBytes: number
}

/** `partition` is explicit on every record. */
export type Output = Writable & { readonly topic: string; readonly partition: number }

/**
 * - `unfenced`: a fence is needed, and nothing of ours is open.
 * - `ready`: the epoch is ours as far as we know.
 * - `unknown`: a transaction is under way, or was and did not end well; what became of it only a fence settles.
 */
export type TransactionState = 'unfenced' | 'ready' | 'unknown'

type StampedBatch = PartitionBytes & { readonly count: number }

type PartitionOutput = { readonly topic: string; readonly partition: number; readonly batches: readonly EncodedBatch[] }

/** How a transaction waits for the markers of our own last one. */
const MARKERS_WAIT_MS = { first: 1, last: 4, inAll: 5_000 } as const

/**
 * One transactional producer, protocol as of KIP-98 with KIP-447's consumer fencing and KIP-360's bump. A transaction is
 * InitProducerId once, then for each: AddPartitionsToTxn, Produce, AddOffsetsToTxn, TxnOffsetCommit, EndTxn.
 *
 * Nothing that carries data is sent twice. After any error or missing answer the client refuses everything until
 * `fence` has succeeded, since only a new epoch settles what became of the last transaction. It never aborts: an abort
 * under the same epoch can be overtaken by a Produce still under way, while the bump ends the transaction and shuts
 * out what is late (KIP-890 tells how it goes wrong).
 */
export class TransactionClient {
  readonly #cluster: Cluster
  readonly #settings: TransactionSettings
  readonly #sequences = new Map<string, number>()
  /** By topic that has refused a batch: half of what it refused, in bytes. */
  readonly #batchBytes = new Map<string, number>()
  #producer: Producer = NEWCOMER
  #state: TransactionState = 'unfenced'
  #markerWaits = 0

  constructor(cluster: Cluster, settings: TransactionSettings) {
    this.#cluster = cluster
    this.#settings = settings
  }

  get state(): TransactionState {
    return this.#state
  }

  /** Whether `fence` can ask as an owner. */
  get known(): boolean {
    return this.#producer.id >= 0
  }

  /** How often a transaction's first request was repeated because the last transaction's markers were still being written. */
  get markerWaits(): number {
    return this.#markerWaits
  }

  /**
   * InitProducerId: fences every other holder of the transactional id and ends what was open under it. With `as` being
   * 'owner' it asks for the next epoch of ours, and the broker answers `fenced` if the present one is not. The broker
   * remembers the last epoch, so that a repeated request of an owner gets the same answer when the first was lost. With
   * a transaction open an owner is fenced too, by the bump that ends it.
   *
   * The only place with a retry loop, since it carries no data. Ends by success, `fenced`, `signal`, or KafkaRefusal.
   */
  async fence(as: 'owner' | 'newcomer', signal: AbortSignal): Promise<'held' | 'fenced'> {
    if (this.#state === 'ready') this.#state = 'unfenced'
    const { transactionalId, transactionTimeoutMs } = this.#settings
    const request = initProducerId(transactionalId, transactionTimeoutMs, as === 'owner' ? this.#producer : NEWCOMER)
    for (const backoff = new Backoff(5, 200); ; await pause(backoff.next(), signal)) {
      try {
        const node = await this.#coordinator()
        const { code, producer } = await unlessAborted(this.#cluster.send(node, 'transaction', request), signal)
        // Of the last epoch of a producer id: the broker fails its own check each time. A newcomer gets another id.
        if (as === 'owner' && code === UNKNOWN_SERVER_ERROR) return 'fenced'
        refuse(request.apiName, code)
        this.#hold(producer)
        return 'held'
      } catch (error) {
        if (remedyOf(error) === 'fenced') return 'fenced'
        if (!isPassing(error)) throw error
        await this.#lookAround(error)
      }
    }
  }

  /**
   * One transaction: `outputs`, and the next offsets to read, stamped with the seat they were read at.
   * Rejects when the outcome is not known to be success; then nothing but `fence` is possible.
   */
  async commit(outputs: readonly Output[], offsets: ReadonlyMap<number, number>, seat: Seat): Promise<void> {
    assert(this.#state === 'ready', 'a transaction before the fence, or two at once')
    if (outputs.length === 0 && offsets.size === 0) return
    this.#state = 'unknown'
    // INVARIANT: one epoch from the first request to the last. A fence in the middle ends what was sent so far, and the
    // rest must not succeed without it.
    const producer = this.#producer
    const pieces = this.#encode(outputs)
    if (pieces.length > 0) {
      await this.#requireLeaders(pieces)
      await this.#addPartitions(pieces, producer)
      await this.#produce(pieces, producer)
    }
    if (offsets.size > 0) await this.#commitOffsets(offsets, seat, producer)
    await this.#end(producer)
    if (this.#producer === producer) this.#state = 'ready'
  }

  async #end(producer: Producer): Promise<void> {
    const request = commitTxn(this.#settings.transactionalId, producer)
    const { code } = await this.#cluster.send(await this.#coordinator(), 'transaction', request)
    refuse(request.apiName, code)
  }

  #hold(producer: Producer): void {
    this.#producer = producer
    this.#sequences.clear()
    this.#state = 'ready'
  }

  #coordinator(): Promise<number> {
    return this.#cluster.coordinator('transaction', this.#settings.transactionalId)
  }

  async #lookAround(problem: unknown): Promise<void> {
    if (remedyOf(problem) === 'again') return
    this.#cluster.forgetCoordinators()
    if (problem instanceof NoAnswer) await this.#cluster.refresh().catch(() => undefined)
  }

  #encode(outputs: readonly Output[]): readonly PartitionOutput[] {
    const { maxBatchBytes } = this.#settings
    const pieces: PartitionOutput[] = []
    for (const [topic, ofTopic] of Map.groupBy(outputs, (output) => output.topic)) {
      const limit = this.#batchBytes.get(topic) ?? maxBatchBytes
      for (const [partition, records] of Map.groupBy(ofTopic, (output) => output.partition)) {
        pieces.push({ topic, partition, batches: encodeBatches(records, limit, true) })
      }
    }
    return pieces
  }

  /** Before the first request, so that a topic seen for the first time costs no discarded transaction. */
  async #requireLeaders(pieces: readonly PartitionOutput[]): Promise<void> {
    const leaderless = pieces.filter(({ topic, partition }) => this.#cluster.leader(topic, partition) === null)
    if (leaderless.length > 0) await this.#cluster.refresh([...new Set(leaderless.map(({ topic }) => topic))])
  }

  async #addPartitions(pieces: readonly PartitionOutput[], producer: Producer): Promise<void> {
    const request = addPartitionsToTxn(this.#settings.transactionalId, producer, partitionsOf(pieces))
    await this.#afterMarkers(async () => {
      const codes = await this.#cluster.send(await this.#coordinator(), 'transaction', request)
      return worstOf(request.apiName, codes, pieces)
    })
  }

  /**
   * The first request of a transaction. CONCURRENT_TRANSACTIONS means that the markers of our own last one are still
   * being written, since EndTxn answers before they are. Nothing was added then, so it is safe to ask again, and usual
   * back to back.
   */
  async #afterMarkers(add: () => Promise<Outcome>): Promise<void> {
    const until = performance.now() + MARKERS_WAIT_MS.inAll
    const waits = new Backoff(MARKERS_WAIT_MS.first, MARKERS_WAIT_MS.last)
    for (;;) {
      const { where, code } = await add()
      if (code !== CONCURRENT_TRANSACTIONS || performance.now() > until) return refuse(where, code)
      this.#markerWaits++
      await new Promise((resolve) => setTimeout(resolve, waits.next()))
    }
  }

  /** A request takes one batch per partition, so what did not fit in one goes in rounds, in order. */
  async #produce(pieces: readonly PartitionOutput[], producer: Producer): Promise<void> {
    const rounds = Math.max(...pieces.map(({ batches }) => batches.length))
    for (let round = 0; round < rounds; round++) {
      const stamped = pieces.flatMap(({ topic, partition, batches }) => {
        const batch = batches[round]
        if (batch === undefined) return []
        const { count } = batch
        return [{ topic, partition, count, batch: stamp(batch, producer, this.#sequence(topic, partition, count)) }]
      })
      const byLeader = Map.groupBy(stamped, ({ topic, partition }) => this.#leader(topic, partition))
      await Promise.all([...byLeader].map(([node, batches]) => this.#send(node, batches)))
    }
  }

  /** The sequence of a partition's next batch, which has `count` records. */
  #sequence(topic: string, partition: number, count: number): number {
    const place = `${topic}/${partition}`
    const sequence = this.#sequences.get(place) ?? 0
    this.#sequences.set(place, sequenceAfter(sequence, count))
    return sequence
  }

  #leader(topic: string, partition: number): number {
    const node = this.#cluster.leader(topic, partition)
    if (node === null) throw new KafkaRefusal(`${topic}-${partition}`, LEADER_NOT_AVAILABLE)
    return node
  }

  async #send(node: number, batches: readonly StampedBatch[]): Promise<void> {
    const { transactionalId, requestTimeoutMs } = this.#settings
    const request = produce(transactionalId, requestTimeoutMs, batches)
    const codes = await this.#cluster.send(node, 'transaction', request)
    this.#learnSizes(request.apiName, codes, batches)
    const { where, code } = worstOf(request.apiName, codes, batches)
    refuse(where, code)
  }

  /**
   * A topic counts max.message.bytes by batch, and need not tell us what it is. So after a refusal its batches are cut in
   * half, again and again, until they are taken or a single record is what it refuses.
   */
  #learnSizes(apiName: string, codes: PartitionCodes, batches: readonly StampedBatch[]): void {
    for (const { topic, partition, code } of codes) {
      if (!TOO_LARGE.has(code)) continue
      const refused = batches.find((it) => it.topic === topic && it.partition === partition)
      if (refused === undefined) continue
      if (refused.count === 1) throw new RecordTooLarge(apiName, code, { topic, partition })
      this.#batchBytes.set(topic, Math.floor(refused.batch.length / 2))
    }
  }

  async #commitOffsets(offsets: ReadonlyMap<number, number>, seat: Seat, producer: Producer): Promise<void> {
    const { transactionalId, group, input } = this.#settings
    const add = addOffsetsToTxn(transactionalId, producer, group)
    await this.#afterMarkers(async () => {
      const { code } = await this.#cluster.send(await this.#coordinator(), 'transaction', add)
      return { where: add.apiName, code }
    })
    const commit = txnOffsetCommit(transactionalId, producer, seat, input, offsets)
    const codes = await this.#cluster.send(await this.#cluster.coordinator('group', group), 'transaction', commit)
    const asked = [...offsets.keys()].map((partition) => ({ topic: input, partition }))
    const { where, code } = worstOf(commit.apiName, codes, asked)
    refuse(where, code)
  }
}

/** MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE. */
const TOO_LARGE: ReadonlySet<number> = new Set([10, 18])
const UNKNOWN_SERVER_ERROR = -1
const LEADER_NOT_AVAILABLE = 5
const CONCURRENT_TRANSACTIONS = 51
const OPERATION_NOT_ATTEMPTED = 55

/** It may be answered otherwise later without anybody changing anything. */
export function isPassing(error: unknown): boolean {
  const remedy = remedyOf(error)
  return error instanceof NoAnswer ? error.kind !== 'login' : remedy === 'again' || remedy === 'coordinator'
}

function partitionsOf(pieces: readonly PartitionOutput[]): TopicPartitions {
  const byTopic = Map.groupBy(pieces, ({ topic }) => topic)
  return new Map([...byTopic].map(([topic, ofTopic]) => [topic, ofTopic.map(({ partition }) => partition)]))
}

/** What a request came to, and what a message about it calls it. */
type Outcome = { readonly where: string; readonly code: number }

/**
 * Code 0 when every partition asked about was answered for with success, else the code that says most, and of which.
 * @throws NoAnswer when one is missing from the answer: what became of it is not known.
 */
function worstOf(
  apiName: string,
  codes: PartitionCodes,
  asked: readonly { readonly topic: string; readonly partition: number }[],
): Outcome {
  const answered = new Map(codes.map(({ topic, partition, code }) => [`${topic}/${partition}`, code]))
  let worst: Outcome = { where: apiName, code: 0 }
  for (const { topic, partition } of asked) {
    const code = answered.get(`${topic}/${partition}`)
    if (code === undefined) throw new NoAnswer('lost', `${apiName}: no answer for ${topic}-${partition}`)
    if (code !== 0 && (worst.code === 0 || worst.code === OPERATION_NOT_ATTEMPTED))
      worst = { where: `${apiName} of ${topic}-${partition}`, code }
  }
  return worst
}
