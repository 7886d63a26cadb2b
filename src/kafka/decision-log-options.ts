import type { DecisionLog } from '../processor/ports.ts'
import type { RequestCounts } from './cluster.ts'
import type { KafkaConnection } from './connection.ts'
import type { FetchSettings, PartitionLag } from './fetcher.ts'
import type { MembershipSettings } from './membership.ts'
import type { TransactionSettings } from './transaction-client.ts'

/** What there is to tell readiness, a log and metrics. `text` is for people. */
export type LogStatus =
  /** Nothing can be read or committed for now; `acquire` goes on trying. */
  | { readonly kind: 'waiting'; readonly text: string; readonly code: string }
  | { readonly kind: 'acquired'; readonly text: string; readonly partitions: readonly number[] }
  /** One partition, or all (null), cannot be fetched for now. */
  | { readonly kind: 'stalled'; readonly text: string; readonly partition: number | null }
  /** Retention deleted input before it was read: the offsets from `from` to before `to` get no verdict. */
  | {
      readonly kind: 'gap'
      readonly text: string
      readonly partition: number
      readonly from: number
      readonly to: number
    }
  /** The transaction that a dead process left open was ended. */
  | { readonly kind: 'ended'; readonly text: string; readonly slot: string }

/** All times in milliseconds. */
export type DecisionLogOptions = {
  readonly connection: KafkaConnection
  readonly group: string
  /** This process' place in the group, its own among all that run: letters, digits, dot, dash, underscore. */
  readonly slot: string
  readonly input: string
  readonly onStatus?: (status: LogStatus) => void
} & Partial<Tuning>

export type Tuning = Omit<MembershipSettings, 'group' | 'slot' | 'input'> &
  Omit<TransactionSettings, 'transactionalId' | 'group' | 'input'> &
  Omit<FetchSettings, 'input'> & { readonly connectTimeoutMs: number; readonly metadataMs: number }

/**
 * Restarted at once, a process has its partitions in well under 3 s (static membership); dead and not restarted, others
 * have them after the session time-out and a rebalance, under 12 s; after SIGTERM within two heartbeats.
 */
export const DEFAULTS: Tuning = {
  sessionTimeoutMs: 6_000,
  rebalanceTimeoutMs: 4_000,
  heartbeatMs: 500,
  requestTimeoutMs: 5_000,
  connectTimeoutMs: 2_000,
  transactionTimeoutMs: 10_000,
  maxBatchBytes: 900_000,
  metadataMs: 30_000,
  fetchMaxWaitMs: 500,
  fetchMaxBytes: 8 * 1024 * 1024,
  partitionFetchBytes: 1024 * 1024,
  partitionBufferBytes: 1024 * 1024,
  bufferBytes: 48 * 1024 * 1024,
}

/** Counts since the start. `markerWaits`: how often AddPartitionsToTxn had to be repeated. */
export type DecisionLogStats = {
  readonly committed: number
  readonly discarded: number
  readonly markerWaits: number
  readonly requests: RequestCounts
  /** Records in the log and not yet polled, for each partition assigned. */
  readonly lag: readonly PartitionLag[]
  /** Bytes fetched and not yet handed out. */
  readonly held: number
}

export type KafkaDecisionLog = DecisionLog & { readonly stats: () => DecisionLogStats }

/** Throws an Error that says what is wrong. */
export function verifyOptions({
  slot,
  sessionTimeoutMs,
  heartbeatMs,
  requestTimeoutMs,
  transactionTimeoutMs,
}: DecisionLogOptions & Tuning): void {
  if (!/^[\w.-]+$/.test(slot)) throw new Error(`slot "${slot}": only letters, digits, dot, dash and underscore`)
  if (!(heartbeatMs * 3 <= sessionTimeoutMs)) throw new Error('the session time-out must be at least three heartbeats')
  if (!(requestTimeoutMs < transactionTimeoutMs))
    throw new Error('the request time-out must be below the transaction time-out')
}
