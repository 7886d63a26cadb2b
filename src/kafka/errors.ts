/**
 * What to do about an error code.
 * - `again`: nothing is wrong, the broker is not ready for it; ask again.
 * - `coordinator`: the coordinator moved; look it up, then ask again.
 * - `leader`: the partition's leader moved or is gone; refresh the metadata, then ask again.
 * - `rejoin`: the group has moved on; join with the same member id.
 * - `lapsed`: the group has forgotten this member; join as a new one.
 * - `replaced`: another process has joined with our group.instance.id.
 * - `fenced`: the producer epoch is not ours any more.
 * - `range`: the offset is outside the log.
 * - `refused`: it will not work until somebody changes something.
 */
export type Remedy =
  | 'again'
  | 'coordinator'
  | 'leader'
  | 'rejoin'
  | 'lapsed'
  | 'replaced'
  | 'fenced'
  | 'range'
  | 'refused'

export type KafkaCode = {
  readonly code: number
  readonly name: string
  readonly remedy: Remedy
  readonly advice: string | null
}

/** Codes and names as in org.apache.kafka.common.protocol.Errors; the closed list of those that mean something to us. */
const ROWS: readonly (readonly [code: number, name: string, remedy: Remedy, advice?: string])[] = [
  [-1, 'UNKNOWN_SERVER_ERROR', 'again'],
  [1, 'OFFSET_OUT_OF_RANGE', 'range'],
  [2, 'CORRUPT_MESSAGE', 'again'],
  [3, 'UNKNOWN_TOPIC_OR_PARTITION', 'leader', 'create the topic, or correct its name in the configuration'],
  [5, 'LEADER_NOT_AVAILABLE', 'leader'],
  [6, 'NOT_LEADER_OR_FOLLOWER', 'leader'],
  [7, 'REQUEST_TIMED_OUT', 'again'],
  [8, 'BROKER_NOT_AVAILABLE', 'leader'],
  [9, 'REPLICA_NOT_AVAILABLE', 'leader'],
  [10, 'MESSAGE_TOO_LARGE', 'refused', 'raise max.message.bytes of the output topic'],
  [14, 'COORDINATOR_LOAD_IN_PROGRESS', 'again'],
  [15, 'COORDINATOR_NOT_AVAILABLE', 'coordinator'],
  [16, 'NOT_COORDINATOR', 'coordinator'],
  [17, 'INVALID_TOPIC_EXCEPTION', 'refused', 'correct the topic name in the configuration'],
  [18, 'RECORD_LIST_TOO_LARGE', 'refused', 'raise segment.bytes of the output topic'],
  [19, 'NOT_ENOUGH_REPLICAS', 'again'],
  [20, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'again'],
  [22, 'ILLEGAL_GENERATION', 'rejoin'],
  [23, 'INCONSISTENT_GROUP_PROTOCOL', 'refused', 'another kind of consumer is in this group; choose another group id'],
  [24, 'INVALID_GROUP_ID', 'refused', 'correct the group id in the configuration'],
  [25, 'UNKNOWN_MEMBER_ID', 'lapsed'],
  [
    26,
    'INVALID_SESSION_TIMEOUT',
    'refused',
    'the session time-out is outside the brokers’ group.min/max.session.timeout.ms',
  ],
  [27, 'REBALANCE_IN_PROGRESS', 'rejoin'],
  [
    29,
    'TOPIC_AUTHORIZATION_FAILED',
    'refused',
    'grant this user Read on the input topic and Write on the output topics',
  ],
  [30, 'GROUP_AUTHORIZATION_FAILED', 'refused', 'grant this user Read on the consumer group'],
  [31, 'CLUSTER_AUTHORIZATION_FAILED', 'refused', 'grant this user the right on the cluster'],
  [
    32,
    'INVALID_TIMESTAMP',
    'refused',
    'this machine’s clock is ahead of the brokers’ by more than message.timestamp.after.max.ms; set it right',
  ],
  [35, 'UNSUPPORTED_VERSION', 'refused', 'Apache Kafka 2.5 or later is needed'],
  [42, 'INVALID_REQUEST', 'refused'],
  [45, 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'again'],
  [46, 'DUPLICATE_SEQUENCE_NUMBER', 'again'],
  [47, 'INVALID_PRODUCER_EPOCH', 'fenced'],
  [48, 'INVALID_TXN_STATE', 'again'],
  [49, 'INVALID_PRODUCER_ID_MAPPING', 'fenced'],
  [
    50,
    'INVALID_TRANSACTION_TIMEOUT',
    'refused',
    'the transaction time-out is above the brokers’ transaction.max.timeout.ms',
  ],
  [51, 'CONCURRENT_TRANSACTIONS', 'again'],
  [
    53,
    'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    'refused',
    'grant this user Describe and Write on the transactional id',
  ],
  [54, 'SECURITY_DISABLED', 'refused'],
  [55, 'OPERATION_NOT_ATTEMPTED', 'again'],
  [56, 'KAFKA_STORAGE_ERROR', 'leader'],
  [58, 'SASL_AUTHENTICATION_FAILED', 'refused', 'correct the user name and password'],
  [59, 'UNKNOWN_PRODUCER_ID', 'again'],
  [74, 'FENCED_LEADER_EPOCH', 'leader'],
  [75, 'UNKNOWN_LEADER_EPOCH', 'leader'],
  [76, 'UNSUPPORTED_COMPRESSION_TYPE', 'refused'],
  [78, 'OFFSET_NOT_AVAILABLE', 'again'],
  [79, 'MEMBER_ID_REQUIRED', 'rejoin'],
  [81, 'GROUP_MAX_SIZE_REACHED', 'refused', 'raise the brokers’ group.max.size or run fewer processes'],
  [82, 'FENCED_INSTANCE_ID', 'replaced'],
  [87, 'INVALID_RECORD', 'refused'],
  [88, 'UNSTABLE_OFFSET_COMMIT', 'again'],
  [89, 'THROTTLING_QUOTA_EXCEEDED', 'again'],
  [90, 'PRODUCER_FENCED', 'fenced'],
  [120, 'TRANSACTION_ABORTABLE', 'again'],
]

const CODES = new Map(
  ROWS.map(([code, name, remedy, advice]) => [code, { code, name, remedy, advice: advice ?? null }]),
)

/** Total: a code that is not in the list is refused under a name that carries its number. */
export const kafkaCode = (code: number): KafkaCode =>
  CODES.get(code) ?? { code, name: `KAFKA_ERROR_${code}`, remedy: 'refused', advice: null }

/** A broker answered with an error code. `where` is the request's name. */
export class KafkaRefusal extends Error {
  override readonly name = 'KafkaRefusal'
  readonly where: string
  readonly kafka: KafkaCode

  constructor(where: string, code: number) {
    const kafka = kafkaCode(code)
    super(`${where}: ${kafka.name}${kafka.advice === null ? '' : ` (${kafka.advice})`}`)
    this.where = where
    this.kafka = kafka
  }
}

/** One record alone is more than its topic takes; it will be refused again however batches are cut. */
export class RecordTooLarge extends KafkaRefusal {
  readonly topic: string
  readonly partition: number

  constructor(where: string, code: number, { topic, partition }: { topic: string; partition: number }) {
    super(`${where} to ${topic}-${partition}`, code)
    this.topic = topic
    this.partition = partition
  }
}

/** Throws KafkaRefusal unless `code` is 0. */
export function refuse(where: string, code: number): void {
  if (code !== 0) throw new KafkaRefusal(where, code)
}

/**
 * No answer came. `connect`: the request was not sent. `lost` and `timeout`: it may have been, and what it did is not
 * known. `login`: the broker does not accept us.
 */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
  readonly kind: 'connect' | 'lost' | 'timeout' | 'login'

  constructor(kind: NoAnswer['kind'], message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.kind = kind
  }
}

/** Another process works under this slot. The processor must end: two with one slot would fence each other for ever. */
export class SlotTaken extends Error {
  override readonly name = 'SlotTaken'
  readonly slot: string

  constructor(slot: string, group: string, seen: string) {
    super(
      `another process has joined group ${group} with slot ${slot} (${seen}); ` +
        'give every process its own slot (set SLUICE_SLOT) or stop the other one',
    )
    this.slot = slot
  }
}

/** The code a metric or log line carries for whatever was thrown. */
export function codeOf(error: unknown): string {
  if (error instanceof KafkaRefusal) return error.kafka.name
  if (error instanceof NoAnswer) return error.kind === 'timeout' ? 'NO_ANSWER_IN_TIME' : 'NO_ANSWER'
  return 'DRIVER_ERROR'
}

export const remedyOf = (error: unknown): Remedy | null => (error instanceof KafkaRefusal ? error.kafka.remedy : null)

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
