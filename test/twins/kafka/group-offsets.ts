import type { Batch } from './batch.ts'
import { CODE } from './codes.ts'
import { ProducerState } from './producer-state.ts'
import type { Producer } from '../../../src/kafka/wire/messages/transaction.ts'

/** `at`: when it was written, as a count; the later of two commits is the one that holds. */
type Offset = { readonly offset: number; readonly metadata: string | null; readonly at: number }

/** By topic and partition, the next offset to read. */
export type Offsets = readonly {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string | null
}[]

const keyOf = (topic: string, partition: number): string => `${topic}/${partition}`

/**
 * The offsets of one group, those of open transactions apart (OffsetMetadataManager), and the producers' epochs as the
 * partition of __consumer_offsets knows them.
 */
export class GroupOffsets {
  readonly #stable = new Map<string, Offset>()
  readonly #pending = new Map<number, Map<string, Offset>>()
  readonly #producers = new Map<number, ProducerState>()
  readonly #dropsPending: boolean
  #writes = 0

  /** `dropsPending`: what is refused takes the producer's pending offsets of the same partitions with it, as up to 3.9. */
  constructor(dropsPending: boolean) {
    this.#dropsPending = dropsPending
  }

  get(topic: string, partition: number): number | null {
    return this.#stable.get(keyOf(topic, partition))?.offset ?? null
  }

  metadata(topic: string, partition: number): string | null {
    return this.#stable.get(keyOf(topic, partition))?.metadata ?? null
  }

  /** Whether a transaction that commits it has not ended here. */
  isPending(topic: string, partition: number): boolean {
    const key = keyOf(topic, partition)
    for (const offsets of this.#pending.values()) if (offsets.has(key)) return true
    return false
  }

  isOpenFor(producerId: number): boolean {
    return this.#pending.has(producerId)
  }

  commit(offsets: Offsets): void {
    const at = this.#writes++
    for (const { topic, partition, offset, metadata } of offsets)
      this.#stable.set(keyOf(topic, partition), { offset, metadata, at })
  }

  /** As part of the producer's transaction, which the coordinator knows of. */
  commitWithin({ id, epoch }: Producer, offsets: Offsets): number {
    const state = this.#producer(id)
    if (epoch < state.epoch) {
      if (this.#dropsPending) this.#drop(id, offsets)
      return CODE.invalidProducerEpoch
    }
    const at = this.#writes++
    state.add({ ...NO_BATCH, epoch, baseOffset: at })
    const pending = this.#pending.get(id) ?? new Map<string, Offset>()
    this.#pending.set(id, pending)
    for (const { topic, partition, offset, metadata } of offsets)
      pending.set(keyOf(topic, partition), { offset, metadata, at })
    return CODE.none
  }

  mark({ id, epoch }: Producer, isCommit: boolean): boolean {
    const state = this.#producer(id)
    if (epoch < state.epoch) return false
    state.end(epoch)
    const pending = this.#pending.get(id) ?? new Map<string, Offset>()
    this.#pending.delete(id)
    if (!isCommit) return true
    for (const [key, offset] of pending) {
      const stands = this.#stable.get(key)
      if (stands === undefined || offset.at > stands.at) this.#stable.set(key, offset)
    }
    return true
  }

  /** GroupMetadata.failPendingTxnOffsetCommit of the coordinator before KIP-848. */
  #drop(id: number, offsets: Offsets): void {
    const pending = this.#pending.get(id)
    for (const { topic, partition } of offsets) pending?.delete(keyOf(topic, partition))
    if (pending?.size === 0) this.#pending.delete(id)
  }

  #producer(id: number): ProducerState {
    const known = this.#producers.get(id)
    if (known !== undefined) return known
    const state = new ProducerState()
    this.#producers.set(id, state)
    return state
  }
}

/** Offsets are written without a sequence. */
const NO_BATCH: Batch = {
  bytes: Buffer.alloc(0),
  baseOffset: 0,
  lastOffset: 0,
  producerId: -1,
  epoch: 0,
  baseSequence: -1,
  lastSequence: -1,
  transactional: true,
  control: false,
  count: 1,
  maxTimestamp: 0,
}
