import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster } from './cluster.ts'
import type { KafkaConnection } from './connection.ts'
import { KafkaRefusal, remedyOf } from './errors.ts'
import { createTopics, describeTopic } from './wire/messages/topics.ts'
import type { NewTopic, TopicSetting } from './wire/messages/topics.ts'

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
/** How long a broker may take to create a topic, and all partitions to find a leader, milliseconds. */
const CREATE_TIMEOUT_MS = 20_000
const TIMES = { connectTimeoutMs: 3000, requestTimeoutMs: 25_000 }

const COMPACTED: readonly TopicSetting[] = [{ name: 'cleanup.policy', value: 'compact' }]
/** Whether a label came in time must not depend on the clock of whoever gives it. */
const BROKER_TIME: readonly TopicSetting[] = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }]

/** What the processor cannot start without; `outcomes` is written and read by others. */
const NEEDED = ['input', 'execute', 'review', 'reject', 'deadLetters', 'context', 'control', 'policies'] as const
const VERDICTS = ['execute', 'review', 'reject'] as const
/** Where a record goes to the partition number of its event. */
const ALIGNED = [...VERDICTS, 'deadLetters'] as const

/**
 * Creates the topics that are missing and leaves the others as they are. Needs the rights of an operator: Create on the
 * topics or the cluster, and DescribeConfigs on the input. Rejects with KafkaRefusal or NoAnswer.
 */
export async function ensureTopics(connection: KafkaConnection, plan: TopicPlan): Promise<readonly EnsuredTopic[]> {
  return withCluster(connection, async (cluster) => {
    const { names } = plan
    const input = await ensureTopic(cluster, wanted(plan, names.input, plan.partitions))
    const ensured = [input]
    for (const it of await outputsOf(cluster, plan, input.partitions)) ensured.push(await ensureTopic(cluster, it))
    return ensured
  })
}

const wanted = (
  plan: TopicPlan,
  topic: string,
  partitions: number,
  settings: readonly TopicSetting[] = [],
): NewTopic => ({ topic, partitions, replicas: plan.replicas ?? -1, settings })

async function outputsOf(cluster: Cluster, plan: TopicPlan, partitions: number): Promise<readonly NewTopic[]> {
  const { names } = plan
  const inputBytes = await maxMessageBytes(cluster, names.input)
  const verdictBytes = Math.max(DEFAULT_MAX_MESSAGE_BYTES, plan.maxVerdictBytes + ENVELOPE_BYTES)
  return [
    ...VERDICTS.map((it) => wanted(plan, names[it], partitions, [sizeLimit(verdictBytes)])),
    wanted(plan, names.deadLetters, partitions, [sizeLimit(inputBytes + ENVELOPE_BYTES)]),
    wanted(plan, names.outcomes, partitions, BROKER_TIME),
    wanted(plan, names.context, partitions, COMPACTED),
    wanted(plan, names.control, 1, COMPACTED),
    wanted(plan, names.policies, 1, COMPACTED),
  ]
}

const sizeLimit = (bytes: number): TopicSetting => ({ name: 'max.message.bytes', value: String(bytes) })

async function maxMessageBytes(cluster: Cluster, topic: string): Promise<number> {
  const { code, values } = await cluster.sendAny(describeTopic(topic, ['max.message.bytes']))
  if (code !== 0) throw new KafkaRefusal(`DescribeConfigs of ${topic}`, code)
  const bytes = Number(values.get('max.message.bytes'))
  return bytes > 0 ? bytes : DEFAULT_MAX_MESSAGE_BYTES
}

async function ensureTopic(cluster: Cluster, it: NewTopic): Promise<EnsuredTopic> {
  const present = await countPartitions(cluster, it.topic)
  if (typeof present === 'number') return { topic: it.topic, created: false, partitions: present }
  const created = await createTopic(cluster, it)
  const partitions = await awaitLeaders(cluster, it.topic)
  return { topic: it.topic, created, partitions }
}

const TOPIC_ALREADY_EXISTS = 36
const NOT_CONTROLLER = 41

/** False where somebody else has just created it. Brokers with KRaft pass it on, those before answer NOT_CONTROLLER. */
async function createTopic(cluster: Cluster, it: NewTopic): Promise<boolean> {
  let code = NOT_CONTROLLER
  let message: string | null = null
  for (const node of cluster.nodes) {
    const [answer] = await cluster.send(node, 'query', createTopics([it], CREATE_TIMEOUT_MS))
    code = answer?.code ?? -1
    message = answer?.message ?? null
    if (code === TOPIC_ALREADY_EXISTS) return false
    if (code === 0) return true
    if (code !== NOT_CONTROLLER) break
  }
  throw new KafkaRefusal(`creating topic ${it.topic}${message === null ? '' : ` (${message})`}`, code)
}

/** The number of partitions, once each has a leader. */
async function awaitLeaders(cluster: Cluster, topic: string): Promise<number> {
  for (const until = Date.now() + CREATE_TIMEOUT_MS; Date.now() < until; await sleep(50)) {
    const count = await countPartitions(cluster, topic)
    if (count === 'forbidden') throw new KafkaRefusal(`seeing topic ${topic}, which was created`, MAY_NOT)
    if (count === 'missing') continue
    if (cluster.partitions(topic).every((it) => cluster.leader(topic, it) !== null)) return count
  }
  throw new KafkaRefusal(`topic ${topic} was created and has no leader`, LEADER_NOT_AVAILABLE)
}

const LEADER_NOT_AVAILABLE = 5
const MAY_NOT = 29

/**
 * Checks that every topic a processor needs is there and that verdict topics have at least the input's partitions,
 * since a verdict goes to the partition number of its event. Needs Describe on these topics and no more. Throws
 * TopicsUnfit naming every problem; rejects with NoAnswer where the cluster cannot be reached.
 */
export async function verifyTopics(
  connection: KafkaConnection,
  names: TopicNames,
): Promise<{ readonly partitions: number }> {
  const counts = await withCluster(connection, (cluster) => countAll(cluster, names))
  const countOf = (topic: string): Count => counts.get(topic) ?? 'missing'
  const problems = NEEDED.flatMap((part) => missing(names[part], countOf(names[part])))
  const input = countOf(names.input)
  const partitions = typeof input === 'number' ? input : 0
  for (const part of ALIGNED) {
    problems.push(...tooFew(names[part], countOf(names[part]), names.input, partitions, connection))
  }
  if (problems.length > 0) throw new TopicsUnfit(problems)
  return { partitions }
}

/** How many partitions a topic has. Rejects with NoAnswer or KafkaRefusal. */
export async function partitionsOf(connection: KafkaConnection, topic: string): Promise<number> {
  return withCluster(connection, async (cluster) => {
    await cluster.refresh([topic])
    return cluster.partitions(topic).length
  })
}

type Count = number | 'missing' | 'forbidden'

async function countAll(cluster: Cluster, names: TopicNames): Promise<ReadonlyMap<string, Count>> {
  await cluster.refresh(NEEDED.map((part) => names[part]))
  return new Map(NEEDED.map((part) => [names[part], countKnown(cluster, names[part])]))
}

async function countPartitions(cluster: Cluster, topic: string): Promise<Count> {
  await cluster.refresh([topic])
  return countKnown(cluster, topic)
}

function countKnown(cluster: Cluster, topic: string): Count {
  try {
    return cluster.partitions(topic).length
  } catch (error) {
    if (remedyOf(error) === 'refused') return 'forbidden'
    return 'missing'
  }
}

function missing(topic: string, count: Count): readonly string[] {
  if (count === 'missing') return [`topic ${topic} does not exist: \`sluice setup\` creates it`]
  if (count !== 'forbidden') return []
  return [`topic ${topic} does not exist or may not be seen: create it, and give our user Describe on it`]
}

function tooFew(
  topic: string,
  count: Count,
  input: string,
  partitions: number,
  { brokers }: KafkaConnection,
): readonly string[] {
  if (typeof count !== 'number' || count >= partitions) return []
  const command = `kafka-topics.sh --bootstrap-server ${brokers[0] ?? ''} --alter --topic ${topic} --partitions ${partitions}`
  return [
    `topic ${topic} has ${count} partitions and ${input} has ${partitions}, but a verdict goes to the partition number of its event: run \`${command}\` (to grow, outputs grow first and the input last)`,
  ]
}

async function withCluster<T>(connection: KafkaConnection, work: (cluster: Cluster) => Promise<T>): Promise<T> {
  const cluster = new Cluster(connection, TIMES)
  try {
    return await work(cluster)
  } finally {
    cluster.close()
  }
}
