import type { Batch } from './batch.ts'
import { CODE } from './codes.ts'

type Remembered = { readonly first: number; readonly last: number; readonly baseOffset: number }

/** ProducerStateEntry.NUM_BATCHES_TO_RETAIN */
const BATCHES_REMEMBERED = 5
const NO_EPOCH = -1

/**
 * What a partition remembers of one producer: org.apache.kafka.storage.internals.log.ProducerStateEntry, and
 * ProducerAppendInfo for what it refuses.
 */
export class ProducerState {
  epoch = NO_EPOCH
  /** The first offset of its open transaction. */
  openedAt: number | null = null
  /**
   * The lowest sequence that was asked about at the transaction coordinator since the last append, so that a batch whose
   * predecessor was refused then is not taken first (VerificationStateEntry).
   */
  #asked: { epoch: number; sequence: number } | null = null
  #batches: Remembered[] = []

  /** Where the same batch lies already, if it is among the last five of this epoch. */
  duplicateOf({ epoch, baseSequence, lastSequence }: Batch): number | null {
    if (epoch !== this.epoch) return null
    const found = this.#batches.find(({ first, last }) => first === baseSequence && last === lastSequence)
    return found?.baseOffset ?? null
  }

  asks({ epoch, baseSequence }: Batch): void {
    const asked = (this.#asked ??= { epoch, sequence: baseSequence })
    if (epoch > asked.epoch) this.#asked = { epoch, sequence: baseSequence }
    else if (epoch === asked.epoch && baseSequence < asked.sequence) asked.sequence = baseSequence
  }

  /** The code a data batch is refused with, or 0. */
  refusal({ epoch, baseSequence, transactional }: Batch): number {
    if (epoch < this.epoch) return CODE.invalidProducerEpoch
    if (this.#asked !== null && baseSequence > this.#asked.sequence) return CODE.outOfOrderSequence
    if (!this.#follows(epoch, baseSequence)) return CODE.outOfOrderSequence
    return this.openedAt !== null && !transactional ? CODE.invalidTxnState : CODE.none
  }

  /** A producer that is not known may begin anywhere; a new epoch begins at 0. */
  #follows(epoch: number, sequence: number): boolean {
    if (this.epoch === NO_EPOCH) return true
    if (epoch !== this.epoch) return sequence === 0
    const last = this.#batches.at(-1)?.last ?? -1
    return sequence === last + 1 || (sequence === 0 && last === 0x7fff_ffff)
  }

  add({ epoch, baseSequence, lastSequence, baseOffset, transactional }: Batch): void {
    this.#take(epoch)
    if (this.#batches.length === BATCHES_REMEMBERED) this.#batches.shift()
    this.#batches.push({ first: baseSequence, last: lastSequence, baseOffset })
    if (transactional) this.openedAt ??= baseOffset
    this.#asked = null
  }

  /** A marker ends the transaction; batches of its epoch stay remembered. */
  end(epoch: number): void {
    this.#take(epoch)
    this.openedAt = null
    this.#asked = null
  }

  #take(epoch: number): void {
    if (epoch === this.epoch) return
    this.epoch = epoch
    this.#batches = []
  }
}
