import kafkajs from 'kafkajs'
import type { Admin, IResourceConfigEntry } from 'kafkajs'
import { withAdmin } from './admin.ts'
import type { KafkaConnection } from './connection.ts'

/** The topics of one deployment by the part they play. */
export type TopicNames = {
  readonly input: string
  readonly execute: string
  readonly review: string
  readonly reject: string
  readonly deadLetters: string
  readonly context: string
  readonly control: string
  readonly policies: string
  readonly outcomes: string
}

/**
 * What `ensureTopics` makes of topics that are missing. `partitions` is the input's, where the input is missing too.
 * `replicas` null takes the broker's default. Sizes in bytes.
 */
export type TopicPlan = {
  readonly names: TopicNames
  readonly partitions: number
  readonly replicas: number | null
  readonly maxVerdictBytes: number
}

export type EnsuredTopic = { readonly topic: string; readonly created: boolean; readonly partitions: number }

/** Every reason why the topics are not fit for a processor, one sentence each, with what to do. */
export class TopicsUnfit extends Error {
  override readonly name = 'TopicsUnfit'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`the Kafka topics are not ready:\n${problems.map((it) => `  - ${it}`).join('\n')}`)
    this.problems = problems
  }
}

/** Kafka's own default of max.message.bytes, in bytes. */
const DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
/** Room for a dead letter's own headers, and for a verdict's key, headers and record batch, in bytes. */
const ENVELOPE_BYTES = 65_536

const COMPACTED: readonly IResourceConfigEntry[] = [{ name: 'cleanup.policy', value: 'compact' }]

/** What the processor cannot start without; `outcomes` is written and read by others. */
const NEEDED = ['input', 'execute', 'review', 'reject', 'deadLetters', 'context', 'control', 'policies'] as const
const VERDICTS = ['execute', 'review', 'reject'] as const

/**
 * Creates the topics that are missing and leaves the others as they are. Needs the rights of an operator: Create, and
 * DescribeConfigs on the input. Rejects with kafkajs' error where the cluster refuses or cannot be reached.
 */
export async function ensureTopics(connection: KafkaConnection, plan: TopicPlan): Promise<readonly EnsuredTopic[]> {
  return withAdmin(connection, async (admin) => {
    const { names } = plan
    const input = await ensureTopic(admin, names.input, plan.partitions, plan.replicas, [])
    const wanted = await outputsOf(admin, plan, input.partitions)
    const ensured = [input]
    for (const it of wanted) ensured.push(await ensureTopic(admin, it.topic, it.partitions, plan.replicas, it.settings))
    return ensured
  })
}

type Wanted = {
  readonly topic: string
  readonly partitions: number
  readonly settings: readonly IResourceConfigEntry[]
}

async function outputsOf(admin: Admin, plan: TopicPlan, partitions: number): Promise<readonly Wanted[]> {
  const { names } = plan
  const inputBytes = await maxMessageBytes(admin, names.input)
  const verdictBytes = Math.max(DEFAULT_MAX_MESSAGE_BYTES, plan.maxVerdictBytes + ENVELOPE_BYTES)
  const verdicts = VERDICTS.map((it) => ({ topic: names[it], partitions, settings: [sizeLimit(verdictBytes)] }))
  return [
    ...verdicts,
    { topic: names.deadLetters, partitions, settings: [sizeLimit(inputBytes + ENVELOPE_BYTES)] },
    { topic: names.outcomes, partitions, settings: [] },
    { topic: names.context, partitions, settings: COMPACTED },
    { topic: names.control, partitions: 1, settings: COMPACTED },
    { topic: names.policies, partitions: 1, settings: COMPACTED },
  ]
}

const sizeLimit = (bytes: number): IResourceConfigEntry => ({ name: 'max.message.bytes', value: String(bytes) })

async function maxMessageBytes(admin: Admin, topic: string): Promise<number> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames: ['max.message.bytes'] }],
  })
  const bytes = Number(resources[0]?.configEntries.find((it) => it.configName === 'max.message.bytes')?.configValue)
  return bytes > 0 ? bytes : DEFAULT_MAX_MESSAGE_BYTES
}

async function ensureTopic(
  admin: Admin,
  topic: string,
  partitions: number,
  replicas: number | null,
  settings: readonly IResourceConfigEntry[],
): Promise<EnsuredTopic> {
  const present = await partitionCount(admin, topic)
  if (typeof present === 'number') return { topic, created: false, partitions: present }
  const created = await admin.createTopics({
    waitForLeaders: true,
    topics: [{ topic, numPartitions: partitions, replicationFactor: replicas ?? -1, configEntries: [...settings] }],
  })
  const count = created ? partitions : await partitionCount(admin, topic)
  return { topic, created, partitions: typeof count === 'number' ? count : partitions }
}

/**
 * Checks that every topic a processor needs is there and that each verdict topic has at least the input's partitions,
 * since a verdict goes to the partition number of its event. Needs Describe on these topics and no more. Throws
 * TopicsUnfit naming every problem; rejects with kafkajs' error where the cluster cannot be reached.
 */
export async function verifyTopics(
  connection: KafkaConnection,
  names: TopicNames,
): Promise<{ readonly partitions: number }> {
  const counts = await withAdmin(connection, (admin) => countAll(admin, names))
  const problems = NEEDED.flatMap((part) => missing(names[part], counts.get(names[part]) ?? 'missing'))
  const input = counts.get(names.input)
  const partitions = typeof input === 'number' ? input : 0
  for (const part of [...VERDICTS, 'deadLetters' as const]) {
    problems.push(...tooFew(names[part], counts.get(names[part]), names.input, partitions, connection))
  }
  if (problems.length > 0) throw new TopicsUnfit(problems)
  return { partitions }
}

type Count = number | 'missing' | 'forbidden'

async function countAll(admin: Admin, names: TopicNames): Promise<ReadonlyMap<string, Count>> {
  const counts = new Map<string, Count>()
  for (const part of NEEDED) counts.set(names[part], await partitionCount(admin, names[part]))
  return counts
}

async function partitionCount(admin: Admin, topic: string): Promise<Count> {
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return topics.find((it) => it.name === topic)?.partitions.length ?? 'missing'
  } catch (error) {
    const type = (error as { readonly type?: unknown }).type
    if (type === 'UNKNOWN_TOPIC_OR_PARTITION') return 'missing'
    if (type === 'TOPIC_AUTHORIZATION_FAILED') return 'forbidden'
    throw error
  }
}

function missing(topic: string, count: Count): readonly string[] {
  if (count === 'missing') return [`topic ${topic} does not exist: \`sluice topics create\` creates it`]
  if (count !== 'forbidden') return []
  return [`topic ${topic} does not exist or may not be seen: create it, and give our user Describe on it`]
}

function tooFew(
  topic: string,
  count: Count | undefined,
  input: string,
  partitions: number,
  connection: KafkaConnection,
): readonly string[] {
  if (typeof count !== 'number' || count >= partitions) return []
  const command = `kafka-topics.sh --bootstrap-server ${connection.brokers[0] ?? ''} --alter --topic ${topic} --partitions ${partitions}`
  return [
    `topic ${topic} has ${count} partitions and ${input} has ${partitions}, but a verdict goes to the partition of its event: run \`${command}\` (to grow, outputs grow first, the input last)`,
  ]
}
