import { registerAll } from '../avro/register.ts'
import type { Config } from '../config.ts'
import { kafkaConnection, registryOptions, topicNames } from '../connections.ts'
import { ensureTopics } from '../kafka/topics.ts'
import { readToolConfig } from './tool-config.ts'

/** Partitions of the input topic where it is to be created. */
const PARTITIONS = 6

export type SetupOptions = { readonly partitions?: number; readonly replicas?: number | null }

/** Creates the topics that are missing and registers the schemas; harmless to repeat. Progress by lines. */
export async function setUp(config: Config, print: (line: string) => void, options: SetupOptions = {}): Promise<void> {
  const { partitions = PARTITIONS, replicas = null } = options
  const plan = { names: topicNames(config), partitions, replicas, maxVerdictBytes: config.SLUICE_MAX_VERDICT_BYTES }
  const topics = await ensureTopics(kafkaConnection(config), plan)
  const created = topics.filter((it) => it.created).map((it) => it.topic)
  print(`topics: ${created.length === 0 ? 'all there' : `created ${created.join(', ')}`}`)
  const { address, timeoutMs } = registryOptions(config, () => undefined)
  const registered = await registerAll(address, topicSchemas(config), timeoutMs)
  print(`schemas: ${registered.map(({ subject, id }) => `${subject} = ${id}`).join(', ')}`)
}

const topicSchemas = (config: Config) => [
  { kind: 'ModelOutput' as const, topic: config.TOPIC_INPUT },
  ...[config.TOPIC_EXECUTE, config.TOPIC_REVIEW, config.TOPIC_REJECT].map((topic) => ({
    kind: 'Verdict' as const,
    topic,
  })),
  { kind: 'Context' as const, topic: config.TOPIC_CONTEXT },
  { kind: 'Control' as const, topic: config.TOPIC_CONTROL },
  { kind: 'Outcome' as const, topic: config.TOPIC_OUTCOMES },
]

/** `sluice setup`. Needs an operator's rights on Kafka and the registry. */
export async function setup(file: string | undefined, options: SetupOptions): Promise<number> {
  await setUp(readToolConfig(file), console.log, options)
  return 0
}
