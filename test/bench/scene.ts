import { mkdtemp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Stack } from '../../deploy/local/stack.ts'
import { createWrite } from '../../src/avro/records.ts'
import { openRegistry } from '../../src/avro/registry.ts'
import { subjectOf } from '../../src/avro/schemas.ts'
import { setUp } from '../../src/commands/setup.ts'
import { readConfig } from '../../src/config.ts'
import type { Config } from '../../src/config.ts'
import { kafkaConnection, registryOptions } from '../../src/connections.ts'
import type { ModelOutput } from '../../src/decision/event.ts'
import { Producer } from '../../src/kafka/producer.ts'
import type { ToSend } from '../../src/kafka/producer.ts'
import { deleteTopics } from './delete-topics.ts'
import { benchEvents, sellers } from './events.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const CHUNK = 4000
const SEED = 1

export type PolicyFile = 'policy.yaml' | 'policy-without-executions.yaml'

/** How many events, how many runs, and everything they run on. */
export type Scene = {
  readonly stack: Stack
  readonly runs: number
  readonly events: number
  readonly folder: string
  readonly log: (line: string) => void
  /** Where CPU profiles of the workers go; null: none are made. */
  readonly profile: string | null
  /** An input topic with so many events in it; the same again for the same number. */
  readonly preloaded: (events: number) => Promise<string>
  /** A deployment of its own on `input`: group, slot, state and verdict topics that nobody else has, set up. */
  readonly deployment: (input: string, settings?: NodeJS.ProcessEnv) => Promise<Deployment>
}

export type Deployment = {
  readonly env: NodeJS.ProcessEnv
  readonly config: Config
  /** Deletes its verdict topics. */
  readonly remove: () => Promise<void>
}

export type SceneOptions = Pick<Scene, 'stack' | 'runs' | 'events' | 'log' | 'profile'>

export async function openScene(options: SceneOptions, open: AsyncDisposableStack): Promise<Scene> {
  await mkdir(join(ROOT, '.sluice'), { recursive: true })
  const folder = await mkdtemp(join(ROOT, '.sluice', 'bench-'))
  open.defer(() => rm(folder, { recursive: true, force: true }))
  const run = `b${Date.now().toString(36)}`
  let deployments = 0
  const deployment: Scene['deployment'] = async (input, settings = {}) => {
    const name = `${run}.${deployments++}`
    const env = environment(options.stack, folder, name, input, settings)
    const config = readConfig(undefined, env)
    await setUp(config, () => undefined)
    return { env, config, remove: () => deleteTopics(kafkaConnection(config), verdictTopics(config)) }
  }
  const loaded = new Set<string>()
  const preloaded: Scene['preloaded'] = async (events) => {
    const input = `${run}.events.${events}`
    if (loaded.has(input)) return input
    options.log(`preloading ${events} events`)
    const { config } = await deployment(input)
    await preload(config, events)
    loaded.add(input)
    return input
  }
  return { ...options, folder, preloaded, deployment }
}

function environment(
  stack: Stack,
  folder: string,
  name: string,
  input: string,
  settings: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const topics = ['EXECUTE', 'REVIEW', 'REJECT', 'DEAD_LETTERS', 'CONTEXT', 'CONTROL', 'POLICIES', 'OUTCOMES']
  return {
    PATH: process.env['PATH'],
    KAFKA_BROKERS: stack.brokers.join(','),
    KAFKA_GROUP_ID: name,
    SCHEMA_REGISTRY_URL: stack.registry,
    REDIS_URL: stack.redis,
    // A loaded machine must not turn a drain into reviews for a slow Redis; the figures say how slow it was.
    REDIS_DEADLINE_MS: '5000',
    SCHEMA_CACHE: join(folder, `${name}.schemas.json`),
    SLUICE_DEPLOYMENT: name,
    SLUICE_SLOT: 'bench',
    SLUICE_HTTP_PORT: '0',
    ...policySettings('policy.yaml'),
    LOG_LEVEL: 'warn',
    OTEL_TRACES_EXPORTER: 'none',
    TOPIC_INPUT: input,
    ...Object.fromEntries(topics.map((it) => [`TOPIC_${it}`, `${name}.${it.toLowerCase().replace('_', '.')}`])),
    ...settings,
  }
}

export const policySettings = (file: PolicyFile): NodeJS.ProcessEnv => ({
  SLUICE_POLICY: join(import.meta.dirname, file),
  SLUICE_CALIBRATION: join(import.meta.dirname, 'calibration.json'),
})

const verdictTopics = (config: Config): readonly string[] => [
  config.TOPIC_EXECUTE,
  config.TOPIC_REVIEW,
  config.TOPIC_REJECT,
]

/** Makes events into records as our SDK writes them: the seller's key, CloudEvents headers, no trace. */
export async function recordWriter(config: Config): Promise<(event: ModelOutput) => ToSend> {
  const registry = await openRegistry(registryOptions(config, () => undefined))
  const id = await registry.idOf('ModelOutput', subjectOf(config.TOPIC_INPUT))
  if (typeof id !== 'number') throw new Error(id.detail)
  const write = createWrite('ModelOutput')
  return (event) => ({
    topic: config.TOPIC_INPUT,
    partition: null,
    key: Buffer.from(event.subject.owner ?? ''),
    value: write(id, event),
    timestamp: event.time,
    headers: [
      ['content-type', 'application/vnd.confluent.avro'],
      ['ce_specversion', '1.0'],
      ['ce_id', event.id],
      ['ce_source', event.source],
      ['ce_type', 'sluice.model.output'],
      ['ce_time', new Date(event.time).toISOString()],
    ],
  })
}

async function preload(config: Config, count: number): Promise<void> {
  const write = await recordWriter(config)
  const producer = new Producer(kafkaConnection(config))
  const events = benchEvents(SEED, Date.now())
  for (let sent = 0; sent < count; sent += CHUNK) {
    await producer.send(Array.from({ length: Math.min(CHUNK, count - sent) }, () => write(events.next().value)))
  }
  await producer.close()
}

/** Writes every seller's facts to the context topic. */
export async function writeContexts(config: Config): Promise<void> {
  const registry = await openRegistry(registryOptions(config, () => undefined))
  const id = await registry.idOf('Context', subjectOf(config.TOPIC_CONTEXT))
  if (typeof id !== 'number') throw new Error(id.detail)
  const write = createWrite('Context')
  const producer = new Producer(kafkaConnection(config))
  const now = Date.now()
  const records = sellers(now).map(({ key, value }) => ({
    topic: config.TOPIC_CONTEXT,
    partition: null,
    key: Buffer.from(`seller:${key}`),
    value: write(id, { entity: 'seller', key, ...value }),
    timestamp: now,
    headers: [],
  }))
  await producer.send(records)
  await producer.close()
}
