import { NEWCOMER } from '../../../src/kafka/wire/messages/transaction.ts'
import type { Producer } from '../../../src/kafka/wire/messages/transaction.ts'
import type { Agenda } from './agenda.ts'
import { CODE } from './codes.ts'

/** org.apache.kafka.coordinator.transaction.TransactionState, without those a transaction is in for an instant only. */
export type TransactionState =
  | 'Empty'
  | 'Ongoing'
  | 'PrepareCommit'
  | 'PrepareAbort'
  | 'CompleteCommit'
  | 'CompleteAbort'

/** Where a transaction takes part: a partition of a topic, or the offsets of a group. */
export type Participant = string

type Transaction = {
  readonly id: string
  producer: Producer
  /** The producer id before this one, whose epochs were used up. */
  previousId: number
  /** The epoch before the last bump that its owner asked for; −1 where another did. */
  lastEpoch: number
  timeoutMs: number
  state: TransactionState
  readonly participants: Set<Participant>
  startedAt: number
}

export type CoordinatorSettings = {
  readonly now: () => number
  readonly random: () => number
  readonly agenda: Agenda
  /** Whether the coordinator of this transactional id works. */
  readonly isUp: (id: string) => boolean
  /** Writes a marker; false when the participant cannot be reached for now. */
  readonly mark: (to: Participant, producer: Producer, isCommit: boolean) => boolean
  /** transaction.abort.timed.out.transaction.cleanup.interval.ms */
  readonly sweepMs: number
}

/** transaction.max.timeout.ms */
const TIMEOUT_MAX_MS = 900_000
/** Short.MaxValue − 1: the last epoch but one, so that its holder can be fenced. */
const EPOCH_LAST = 32_766
/** How often a marker that cannot be written is tried again. */
const RETRY_MS = 100

export type Initialized = { readonly code: number; readonly producer: Producer }

/** After kafka.coordinator.transaction.TransactionCoordinator and TransactionMetadata, for clients of KIP-98 and KIP-360. */
export class TransactionCoordinator {
  readonly #settings: CoordinatorSettings
  readonly #transactions = new Map<string, Transaction>()
  #nextProducerId = 0
  /** EndTxn answers before the markers are written, which takes this long, and up to `spreadMs` longer for each. */
  markerDelayMs = 0
  markerSpreadMs = 0

  constructor(settings: CoordinatorSettings) {
    this.#settings = settings
  }

  init(id: string | null, timeoutMs: number, current: Producer): Initialized {
    if (current.id < 0 !== current.epoch < 0) return failed(CODE.invalidRequest)
    if (id === null) return { code: CODE.none, producer: { id: this.#newId(), epoch: 0 } }
    if (id === '') return failed(CODE.invalidRequest)
    if (!(timeoutMs > 0 && timeoutMs <= TIMEOUT_MAX_MS)) return failed(CODE.invalidTransactionTimeout)
    const it = this.#transactions.get(id) ?? this.#create(id, timeoutMs)
    if (isEnding(it)) return failed(CODE.concurrentTransactions)
    if (current.id >= 0 && !isOwnerOf(it, current)) return failed(CODE.producerFenced)
    if (it.state !== 'Ongoing') return this.#bump(it, timeoutMs, current)
    this.#abort(it)
    return failed(CODE.concurrentTransactions)
  }

  /** AddPartitionsToTxn and AddOffsetsToTxn. */
  add(id: string, producer: Producer, participants: readonly Participant[]): number {
    const it = this.#transactions.get(id)
    if (it !== undefined && isEnding(it)) return CODE.concurrentTransactions
    const code = refusal(it, producer)
    if (it === undefined || code !== CODE.none) return code
    if (it.state !== 'Ongoing') this.#start(it)
    for (const participant of participants) it.participants.add(participant)
    return CODE.none
  }

  /** Of a partition's leader that has nothing of this transaction yet (KIP-890, part 1). */
  verify(id: string, producer: Producer, participant: Participant): number {
    const it = this.#transactions.get(id)
    const code = refusal(it, producer)
    if (it === undefined || code !== CODE.none) return code === CODE.producerFenced ? CODE.invalidProducerEpoch : code
    if (isEnding(it)) return CODE.concurrentTransactions
    return it.participants.has(participant) ? CODE.none : CODE.invalidTxnState
  }

  end(id: string, producer: Producer, isCommit: boolean): number {
    const it = this.#transactions.get(id)
    const code = refusal(it, producer)
    if (it === undefined || code !== CODE.none) return code
    switch (it.state) {
      case 'Ongoing':
        this.#prepare(it, isCommit)
        return CODE.none
      case 'PrepareCommit':
      case 'PrepareAbort':
        return CODE.concurrentTransactions
      case 'CompleteCommit':
      case 'CompleteAbort':
        return (it.state === 'CompleteCommit') === isCommit ? CODE.none : CODE.invalidTxnState
      default:
        return CODE.invalidTxnState
    }
  }

  list(
    states: readonly string[],
  ): readonly { readonly id: string; readonly producer: Producer; readonly state: string }[] {
    return [...this.#transactions.values()].filter((it) => states.length === 0 || states.includes(it.state))
  }

  /** Whether what this producer has open is decided to be committed. */
  isCommitting({ id, epoch }: Producer): boolean {
    for (const { producer, state } of this.#transactions.values()) {
      if (producer.id === id) return state === 'PrepareCommit' && producer.epoch === epoch
    }
    return false
  }

  /** After the coordinator of these ids has come up somewhere: what was decided is carried on with. */
  resume(isOurs: (id: string) => boolean): void {
    for (const it of this.#transactions.values()) {
      if (!isOurs(it.id)) continue
      if (isEnding(it)) this.#writeMarkers(it)
      if (it.state === 'Ongoing') this.#watch(it)
    }
  }

  #newId(): number {
    return this.#nextProducerId++
  }

  #create(id: string, timeoutMs: number): Transaction {
    const made: Transaction = {
      id,
      producer: { id: this.#newId(), epoch: -1 },
      previousId: -1,
      lastEpoch: -1,
      timeoutMs,
      state: 'Empty',
      participants: new Set(),
      startedAt: -1,
    }
    this.#transactions.set(id, made)
    return made
  }

  #bump(it: Transaction, timeoutMs: number, current: Producer): Initialized {
    const { id, epoch } = it.producer
    const isNewcomer = current.id < 0
    if (epoch >= EPOCH_LAST && (isNewcomer || current.epoch === epoch)) {
      it.previousId = id
      it.lastEpoch = isNewcomer ? -1 : epoch
      it.producer = { id: this.#newId(), epoch: 0 }
    } else if (epoch >= EPOCH_LAST) {
      // The brokers mean to answer PRODUCER_FENCED or the same again, and trip over their own check.
      return failed(CODE.unknownServerError)
    } else if (isNewcomer || epoch < 0 || current.epoch === epoch) {
      it.lastEpoch = isNewcomer ? -1 : epoch
      it.producer = { id, epoch: epoch + 1 }
    } else if (current.epoch !== it.lastEpoch) return failed(CODE.producerFenced)
    it.state = 'Empty'
    it.timeoutMs = timeoutMs
    it.startedAt = -1
    return { code: CODE.none, producer: it.producer }
  }

  #start(it: Transaction): void {
    it.state = 'Ongoing'
    it.startedAt = this.#settings.now()
    it.participants.clear()
    this.#watch(it)
  }

  /** The coordinator looks for timed-out transactions every now and then only. */
  #watch(it: Transaction): void {
    const { agenda, sweepMs } = this.#settings
    const due = it.startedAt + it.timeoutMs
    const sweep = (Math.floor(Math.max(due, this.#settings.now()) / sweepMs) + 1) * sweepMs
    agenda.put(`transaction ${it.id} times out`, sweep, () => {
      if (it.state === 'Ongoing' && this.#settings.isUp(it.id)) this.#abort(it)
    })
  }

  /** Fences whoever has it; its owner may ask for the epoch that did. */
  #abort(it: Transaction): void {
    const { id, epoch } = it.producer
    it.producer = { id, epoch: epoch + 1 }
    it.lastEpoch = epoch
    this.#prepare(it, false)
  }

  #prepare(it: Transaction, isCommit: boolean): void {
    it.state = isCommit ? 'PrepareCommit' : 'PrepareAbort'
    this.#settings.agenda.drop(`transaction ${it.id} times out`)
    this.#writeMarkers(it)
  }

  #writeMarkers(it: Transaction): void {
    const now = this.#settings.now()
    for (const participant of it.participants) {
      const spread = this.markerSpreadMs === 0 ? 0 : Math.floor(this.#settings.random() * (this.markerSpreadMs + 1))
      this.#markLater(it, participant, now + this.markerDelayMs + spread)
    }
    if (it.participants.size === 0) {
      this.#settings.agenda.put(`transaction ${it.id} completes`, now, () => this.#complete(it))
    }
  }

  #markLater(it: Transaction, participant: Participant, at: number): void {
    this.#settings.agenda.put(`transaction ${it.id} marks ${participant}`, at, () => {
      const { isUp, mark, now } = this.#settings
      if (!isUp(it.id)) return
      if (!mark(participant, it.producer, it.state === 'PrepareCommit')) {
        return this.#markLater(it, participant, now() + RETRY_MS)
      }
      it.participants.delete(participant)
      if (it.participants.size === 0) this.#complete(it)
    })
  }

  #complete(it: Transaction): void {
    it.state = it.state === 'PrepareCommit' ? 'CompleteCommit' : 'CompleteAbort'
  }
}

const failed = (code: number): Initialized => ({ code, producer: NEWCOMER })
const isEnding = ({ state }: Transaction): boolean => state === 'PrepareCommit' || state === 'PrepareAbort'

function refusal(it: Transaction | undefined, producer: Producer): number {
  if (it === undefined || it.producer.id !== producer.id) return CODE.invalidProducerIdMapping
  return it.producer.epoch === producer.epoch ? CODE.none : CODE.producerFenced
}

/** Whether KIP-360's bump may be asked for with this id at all; its epoch is looked at later. */
const isOwnerOf = (it: Transaction, current: Producer): boolean =>
  it.producer.epoch < 0 ||
  current.id === it.producer.id ||
  (current.id === it.previousId && current.epoch >= EPOCH_LAST)
