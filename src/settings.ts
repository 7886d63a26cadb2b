import { hostname } from 'node:os'
import { z } from 'zod'
import { MISSING } from './watch/execution.ts'

const text = z.string().trim().min(1, 'must not be empty')
const list = text.transform((it) =>
  it
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
)
const flag = z.enum(['true', 'false', '1', '0'], 'must be true or false').transform((it) => it === 'true' || it === '1')
const path = text

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .refine((it) => it >= min && it <= max, `must be between ${min} and ${max}`)

const share = z
  .string()
  .transform(Number)
  .refine((it) => it >= 0 && it <= 1, 'must be a number between 0 and 1')

const url = (...protocols: readonly string[]) =>
  text.refine(
    (it) => URL.canParse(it) && protocols.includes(new URL(it).protocol),
    `must be a URL that starts with ${protocols.map((it) => `${it}//`).join(' or ')}`,
  )

const broker = list.refine(
  (it) => it.length > 0 && it.every((part) => /^[^\s:]+:\d+$|^\[[^\]]+\]:\d+$/.test(part)),
  'must be host:port, several separated by commas',
)

const pairs = text.refine(
  (it) => it.split(',').every((entry) => entry.trim() === '' || /^\s*[^=\s][^=]*=/.test(entry)),
  'must be key=value pairs separated by commas',
)

const topic = text.regex(
  /^[a-zA-Z0-9._-]{1,249}$/,
  'must be a Kafka topic name: letters, digits, dot, dash, underscore',
)
const word = text.regex(/^[a-zA-Z0-9._-]{1,100}$/, 'must be letters, digits, dots, dashes and underscores, at most 100')

export type Setting = { readonly schema: z.ZodType; readonly doc: string; readonly secret?: true }

/**
 * Every setting there is, by the name it has in the environment and in the configuration file alike. A name without a
 * default is either required (config.ts says so) or optional.
 */
export const SETTINGS = {
  KAFKA_BROKERS: { schema: broker, doc: 'where Kafka answers: host:port, several separated by commas' },
  KAFKA_CLIENT_ID: { schema: word.default('sluice'), doc: 'how brokers name us in their logs and quotas' },
  KAFKA_GROUP_ID: { schema: word.default('sluice'), doc: 'the consumer group; one per deployment' },
  KAFKA_SSL: { schema: flag.default(false), doc: 'speak TLS to Kafka' },
  KAFKA_SSL_CA: { schema: path.optional(), doc: 'file with the certificates to trust, PEM; else the system’s' },
  KAFKA_SSL_CERT: { schema: path.optional(), doc: 'file with our client certificate, PEM' },
  KAFKA_SSL_KEY: { schema: path.optional(), doc: 'file with our client key, PEM' },
  KAFKA_SASL_MECHANISM: {
    schema: z
      .enum(['plain', 'scram-sha-256', 'scram-sha-512'], 'must be plain, scram-sha-256 or scram-sha-512')
      .optional(),
    doc: 'log in to Kafka: plain, scram-sha-256 or scram-sha-512',
  },
  KAFKA_SASL_USERNAME: { schema: text.optional(), doc: 'the user to log in as' },
  KAFKA_SASL_PASSWORD: { schema: text.optional(), doc: 'its password', secret: true },
  KAFKA_SESSION_TIMEOUT_MS: {
    schema: whole(1500, 300_000).default(6000),
    doc: 'after this silence the group takes our partitions away',
  },
  KAFKA_TRANSACTION_TIMEOUT_MS: {
    schema: whole(6000, 900_000).default(10_000),
    doc: 'after this the broker aborts a transaction left open',
  },

  SCHEMA_REGISTRY_URL: { schema: url('http:', 'https:'), doc: 'Confluent-compatible schema registry' },
  SCHEMA_REGISTRY_USERNAME: { schema: text.optional(), doc: 'its user' },
  SCHEMA_REGISTRY_PASSWORD: { schema: text.optional(), doc: 'its password', secret: true },
  SCHEMA_REGISTRY_TIMEOUT_MS: { schema: whole(50, 60_000).default(3000), doc: 'one request to the registry' },
  SCHEMA_REGISTRY_PATIENCE_MS: {
    schema: whole(0, 3_600_000).default(60_000),
    doc: 'how long a partition waits for an unreachable registry before a record of unknown schema is a dead letter',
  },
  SCHEMA_CACHE: {
    schema: path.default('.sluice/schemas.json'),
    doc: 'file that remembers schema ids, so that a start without registry works',
  },

  REDIS_URL: { schema: url('redis:', 'rediss:'), doc: 'Redis 7 or newer', secret: true },
  REDIS_DEADLINE_MS: { schema: whole(5, 10_000).default(250), doc: 'later answers of Redis count as none' },

  SLUICE_DEPLOYMENT: {
    schema: word.default('sluice'),
    doc: 'names this deployment’s state in Redis and its transactional ids',
  },
  SLUICE_SLOT: {
    schema: word.default(hostname().replaceAll(/[^a-zA-Z0-9._-]/g, '-')),
    doc: 'this process’ place in the deployment; no two may share one',
  },
  SLUICE_POLICY: { schema: path, doc: 'the policy, YAML' },
  SLUICE_CALIBRATION: { schema: path.optional(), doc: 'the calibration tables, JSON' },
  SLUICE_CERTIFICATES: {
    schema: path.optional(),
    doc: 'the certificates, JSON, as sluice certify writes them; {"certificates": []} before there is one',
  },
  SLUICE_RELOAD_MS: {
    schema: whole(100, 600_000).default(1000),
    doc: 'how often policy, calibration and certificates are looked at for changes',
  },
  SLUICE_BATCH_RECORDS: { schema: whole(1, 20_000).default(1000), doc: 'records per transaction at the most' },
  SLUICE_BATCH_INTERVAL_MS: {
    schema: whole(0, 1000).default(5),
    doc: 'transactions start no closer together than this, unless full ones wait',
  },
  SLUICE_MAX_EVENT_BYTES: { schema: whole(1024, 16_777_216).default(262_144), doc: 'larger events are dead letters' },
  SLUICE_MAX_VERDICT_BYTES: {
    schema: whole(2048, 33_554_432).default(1_000_000),
    doc: 'larger verdicts are dead letters; at most the topic’s max.message.bytes',
  },
  SLUICE_HTTP_HOST: { schema: text.default('127.0.0.1'), doc: 'where /livez /readyz /startupz /metrics answer' },
  SLUICE_HTTP_PORT: { schema: whole(0, 65_535).default(8080), doc: 'and on which port; 0 picks one' },
  SLUICE_MATURITY_MS: {
    schema: whole(1000, 31_536_000_000).default(86_400_000),
    doc: 'at which age an audited execution is counted by the monitor, with the label it has by then',
  },
  SLUICE_MISSING_LABEL: {
    schema: z.enum(MISSING, 'must be assume-wrong, assume-right or exclude').default('assume-wrong'),
    doc: 'what an audited execution without a label at that age counts as: assume-wrong, assume-right or exclude',
  },
  SLUICE_SETTLE_MS: {
    schema: whole(0, 600_000).default(2000),
    doc: 'how long the monitor waits for records of one time to be written everywhere, for clocks that differ',
  },
  SLUICE_TRACE_EXECUTE_SHARE: {
    schema: share.default(0.01),
    doc: 'share of executed events traced though their producer did not ask for it',
  },
  LOG_LEVEL: {
    schema: z.enum(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error').default('info'),
    doc: 'debug, info, warn or error',
  },

  TOPIC_INPUT: { schema: topic.default('model.outputs'), doc: 'events' },
  TOPIC_EXECUTE: { schema: topic.default('decisions.execute'), doc: 'verdicts to execute' },
  TOPIC_REVIEW: { schema: topic.default('decisions.review'), doc: 'verdicts for a person' },
  TOPIC_REJECT: { schema: topic.default('decisions.reject'), doc: 'verdicts not to execute' },
  TOPIC_DEAD_LETTERS: { schema: topic.default('model.outputs.dlq'), doc: 'records that cannot be read' },
  TOPIC_CONTEXT: { schema: topic.default('decisions.context'), doc: 'facts about entities, compacted' },
  TOPIC_CONTROL: { schema: topic.default('decisions.control'), doc: 'operators’ standing orders, compacted' },
  TOPIC_POLICIES: {
    schema: topic.default('decisions.policies'),
    doc: 'texts of the policies verdicts name, compacted',
  },
  TOPIC_OUTCOMES: { schema: topic.default('decisions.outcomes'), doc: 'receipts and labels' },

  OTEL_SERVICE_NAME: { schema: text.default('sluice'), doc: 'how traces name this service' },
  OTEL_RESOURCE_ATTRIBUTES: { schema: pairs.optional(), doc: 'key=value pairs separated by commas' },
  OTEL_TRACES_EXPORTER: {
    schema: z.enum(['otlp', 'none'], 'must be otlp or none').default('otlp'),
    doc: 'otlp or none',
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    schema: url('http:', 'https:').default('http://localhost:4318'),
    doc: 'the collector, OTLP over HTTP',
  },
  OTEL_EXPORTER_OTLP_PROTOCOL: {
    schema: z.enum(['http/protobuf', 'http/json'], 'must be http/protobuf or http/json').default('http/protobuf'),
    doc: 'http/protobuf or http/json',
  },
  OTEL_EXPORTER_OTLP_HEADERS: { schema: pairs.optional(), doc: 'key=value pairs separated by commas', secret: true },
} satisfies Record<string, Setting>

export type SettingName = keyof typeof SETTINGS
export type Settings = { readonly [N in SettingName]: z.output<(typeof SETTINGS)[N]['schema']> }
