import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRecords } from '../../../src/avro/records.ts'
import type { Records } from '../../../src/avro/records.ts'
import type { Context } from '../../../src/avro/record-types.ts'
import { openRegistry, REGISTRY_DEFAULTS } from '../../../src/avro/registry.ts'
import { setUp } from '../../../src/commands/setup.ts'
import { readConfig } from '../../../src/config.ts'
import type { ModelOutput } from '../../../src/decision/event.ts'
import type { KafkaConnection } from '../../../src/kafka/connection.ts'
import { Producer } from '../../../src/kafka/producer.ts'
import type { TopicNames } from '../../../src/kafka/topics.ts'
import { Answers } from './answers.ts'
import { startProcessor } from './processor.ts'
import type { ProcessorProcess } from './processor.ts'

export type Servers = { readonly brokers: readonly string[]; readonly registry: string; readonly redis: string }
type Env = Readonly<Record<string, string>>

/** One deployment of Sluice on given servers, with topics, group and state of its own. */
export type Deployment = {
  readonly name: string
  readonly folder: string
  readonly policyFile: string
  readonly topics: TopicNames
  readonly connection: KafkaConnection
  readonly records: Records
  readonly producer: Producer
  readonly answers: Answers
  /** What a process needs to be part of it. */
  readonly env: (more?: Env) => Env
  readonly start: (more?: Env) => ProcessorProcess
  /** Resolves to their positions. `key` null or undefined as for the record; the event's owner if not given. */
  readonly send: (events: readonly ModelOutput[], options?: SendOptions) => Promise<readonly string[]>
  /** Bytes as they are. */
  readonly put: (value: Buffer | null, options?: SendOptions) => Promise<string>
  readonly writeContext: (context: Context) => Promise<void>
  readonly forgetContext: (key: string) => Promise<void>
  readonly close: () => Promise<void>
}

export type SendOptions = { readonly key?: string | null; readonly partition?: number }

let count = 0

export async function deploy(
  servers: Servers,
  {
    policy = POLICY,
    partitions = 2,
    settings = {},
  }: { readonly policy?: string; readonly partitions?: number; readonly settings?: Env } = {},
): Promise<Deployment> {
  const name = `s${process.pid}-${(count += 1)}-${Date.now().toString(36)}`
  const folder = await mkdtemp(join(tmpdir(), 'sluice-scenario-'))
  const policyFile = join(folder, 'policy.yaml')
  await writeFile(policyFile, policy)
  const topics = topicsOf(name)
  const env = (more: Env = {}): Env => ({
    ...settingsOf(name, folder, policyFile, topics, servers),
    ...settings,
    ...more,
  })
  await setUp(readConfig(undefined, { ...env() }), () => undefined, { partitions })
  const connection = { brokers: servers.brokers, clientId: 'scenario', ssl: null, sasl: null }
  const address = { url: servers.registry, credentials: null }
  const registry = await openRegistry({ ...REGISTRY_DEFAULTS, timeoutMs: 10_000, address })
  const records = createRecords(registry, 33_554_432)
  const producer = new Producer(connection)
  const answers = new Answers(connection, topics, records)
  const put: Deployment['put'] = async (value, { key = 'k', partition } = {}) => {
    const record = { key: key === null ? null : Buffer.from(key), value, timestamp: Date.now(), headers: [] }
    const [placed] = await producer.send([{ topic: topics.input, partition: partition ?? null, ...record }])
    return `${placed!.topic}:${placed!.partition}:${placed!.offset}`
  }
  const putContext = async (key: string, value: Buffer | null): Promise<void> => {
    const record = { key: Buffer.from(key), value, timestamp: Date.now(), headers: [] }
    await producer.send([{ topic: topics.context, partition: null, ...record }])
  }
  return {
    name,
    folder,
    policyFile,
    topics,
    connection,
    records,
    producer,
    answers,
    env,
    put,
    start: (more) => startProcessor(env(more)),
    send: (events, options = {}) =>
      Promise.all(
        events.map(async (event) =>
          put(await records.encode('ModelOutput', topics.input, event), { key: event.subject.owner, ...options }),
        ),
      ),
    writeContext: async (context) =>
      putContext(`${context.entity}:${context.key}`, await records.encode('Context', topics.context, context)),
    forgetContext: (key) => putContext(key, null),
    close: async () => {
      await answers.close()
      await producer.close()
      await registry.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const topicsOf = (name: string): TopicNames => ({
  input: `${name}.outputs`,
  execute: `${name}.execute`,
  review: `${name}.review`,
  reject: `${name}.reject`,
  deadLetters: `${name}.dlq`,
  context: `${name}.context`,
  control: `${name}.control`,
  policies: `${name}.policies`,
  outcomes: `${name}.outcomes`,
})

const settingsOf = (name: string, folder: string, policyFile: string, topics: TopicNames, servers: Servers): Env => ({
  KAFKA_BROKERS: servers.brokers.join(','),
  SCHEMA_REGISTRY_URL: servers.registry,
  SCHEMA_CACHE: join(folder, 'schemas.json'),
  REDIS_URL: servers.redis,
  KAFKA_GROUP_ID: name,
  SLUICE_DEPLOYMENT: name,
  SLUICE_SLOT: 'one',
  SLUICE_POLICY: policyFile,
  SLUICE_RELOAD_MS: '100',
  SLUICE_HTTP_PORT: '0',
  OTEL_TRACES_EXPORTER: 'none',
  TOPIC_INPUT: topics.input,
  TOPIC_EXECUTE: topics.execute,
  TOPIC_REVIEW: topics.review,
  TOPIC_REJECT: topics.reject,
  TOPIC_DEAD_LETTERS: topics.deadLetters,
  TOPIC_CONTEXT: topics.context,
  TOPIC_CONTROL: topics.control,
  TOPIC_POLICIES: topics.policies,
  TOPIC_OUTCOMES: topics.outcomes,
})

/** `window` is the longest there is, so lost state counts as lost for as long. */
export const policyText = ({ version = 1, window = '2s', execute = 0.6 } = {}): string => `policy: scenario
version: ${version}
event: { maxFuture: 5m, maxAge: 24h }
duplicates: { window: ${window} }
actions:
  item.flag: { undo: reversible, confidence: { execute: ${execute}, reject: 0.2 } }
  item.hide: { undo: reversible, stateless: true, confidence: { execute: 0.6, reject: 0.2 } }
  item.sell: { undo: compensable, confidence: { execute: 0.6, reject: 0.2 } }
context:
  seller:
    key: event.subject.owner
    maxAge: 24h
    missing: review
    actions: [item.sell]
    fields: { trusted: bool, rating: double }
limits:
  - { id: burst, count: proposals, per: [subject.owner], max: 1000, window: 1s, over: review, actions: [item.flag] }
  - { id: flags, count: executions, per: [model.name], max: 100000, window: 1s, over: review, actions: [item.flag] }
rules:
  - id: distrusted
    when: '!context.seller.trusted'
    route: review
    code: policy.distrusted
    because: a seller who is not trusted is looked at by a person
    actions: [item.sell]
`

const POLICY = policyText()

let events = 0

/** An event that is executed as it is. */
export function event(more: Partial<ModelOutput> = {}): ModelOutput {
  const id = `e-${process.pid}-${(events += 1)}`
  return {
    id,
    source: '/scenario',
    tenant: 'default',
    time: Date.now(),
    expiresAt: null,
    model: { name: 'model', version: '1' },
    action: 'item.flag',
    subject: { type: 'item', id, owner: `owner-${events % 8}` },
    actor: null,
    confidence: 0.9,
    scoreKind: 'probability',
    attributes: {},
    payload: null,
    ...more,
  }
}

export const many = (howMany: number, more: Partial<ModelOutput> = {}): readonly ModelOutput[] =>
  Array.from({ length: howMany }, () => event(more))
