import { Kafka, logLevel } from 'kafkajs'
import type { Admin } from 'kafkajs'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { startKafka } from '../../deploy/local/kafka.ts'
import type { LocalKafka } from '../../deploy/local/kafka.ts'
import { transactionalId } from '../../src/kafka/dead-slots.ts'
import { Scene } from '../brokers/support/kafka-scene.ts'
import { endInOrder, endProcesses } from './support/cli.ts'
import { deploy } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import { limitFiles } from './support/full-disk.ts'
import type { ProcessorProcess } from './support/processor.ts'
import { startTraffic } from './support/traffic.ts'
import { until } from './support/until.ts'

/** Three brokers that hold everything three times: coordinators and leaders move, and a broker's disk fills up. */

const stack = inject('stack')
let kafka: LocalKafka
let admin: Admin
let scene: Scene
let it: Deployment
let processor: ProcessorProcess

beforeAll(async () => {
  kafka = await startKafka({ nodes: 3 })
  admin = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  scene = new Scene(kafka.brokers)
})
beforeEach(async () => {
  it = await deploy({ ...stack, brokers: kafka.brokers })
  processor = it.start()
  await processor.untilReady()
})
afterEach(async () => {
  await endProcesses()
  await it.close()
})
afterAll(async () => {
  await scene.close()
  await admin.disconnect()
  await kafka.stop()
})

/** Takes each partition of a topic from the broker that leads it, and waits until others lead; then all hold it again. */
async function moveLeaders(topic: string): Promise<void> {
  const partitionsOf = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]?.partitions ?? []
  const before = await partitionsOf()
  const assign = (replicasOf: (leader: number) => number[]) =>
    admin.alterPartitionReassignments({
      topics: [
        {
          topic,
          partitionAssignment: before.map(({ partitionId, leader }) => ({
            partition: partitionId,
            replicas: replicasOf(leader),
          })),
        },
      ],
    })
  const others = (leader: number): number[] => [1, 2, 3].filter((node) => node !== leader)
  await assign(others)
  const leaders = new Map(before.map(({ partitionId, leader }) => [partitionId, leader]))
  await until(`every partition of ${topic} has another leader`, async () =>
    (await partitionsOf()).every(({ partitionId, leader }) => leader > 0 && leader !== leaders.get(partitionId)),
  )
  await assign((leader) => [...others(leader), leader])
}

const coordinatorOf = async (kind: 'group' | 'transaction', name: string): Promise<number> => {
  scene.cluster.forgetCoordinators()
  return scene.cluster.coordinator(kind, name)
}

test.each([
  ['group', '__consumer_offsets', () => it.name],
  ['transaction', '__transaction_state', () => transactionalId(it.name, 'one')],
] as const)(
  'the %s coordinator moves under traffic, again and again: nothing is lost or doubled',
  { timeout: 120_000 },
  async (kind, topic, name) => {
    const traffic = startTraffic(it, [{}], 5)
    const metCode = () => processor.metric('decision_batch_discarded_total', { code: 'NOT_COORDINATOR' })
    // A move between two transactions costs nothing; until one has met a transaction, which is then named.
    for (let moves = 0; moves < 3 || ((await metCode()) === 0 && moves < 12); moves++) {
      await traffic.sees('execute confidence.sufficient')
      const before = await coordinatorOf(kind, name())
      await moveLeaders(topic)
      await until('another broker coordinates', async () => (await coordinatorOf(kind, name())) !== before)
      const { ms } = await traffic.sees('execute confidence.sufficient')
      expect(ms, `move ${moves + 1}; the processor’s log:\n${processor.stdout().slice(-4000)}`).toBeLessThan(10_000)
    }
    expect(await metCode()).toBeGreaterThan(0)
    await expectExact(await traffic.stop())
    expect(await processor.metric('decision_count_total', { code: 'state.lost' })).toBe(0)
    await endInOrder(processor)
  },
)

test('the leaders of input and outputs move under traffic: nothing is lost or doubled', async () => {
  const traffic = startTraffic(it, [{}], 5)
  for (const topic of [it.topics.input, it.topics.execute, it.topics.input]) {
    await traffic.sees('execute confidence.sufficient')
    await moveLeaders(topic)
  }
  await traffic.sees('execute confidence.sufficient')
  await expectExact(await traffic.stop())
  await endInOrder(processor)
})

test('a broker whose disk is full ends, the others go on, and it comes back once it has room', async () => {
  const traffic = startTraffic(it, [{}], 5)
  await traffic.sees('execute confidence.sufficient')
  const node = await coordinatorOf('transaction', transactionalId(it.name, 'one'))
  const pid = kafka.pids.get(node) ?? 0
  await limitFiles(pid, 1)
  await until('the broker has given up', () => hasEnded(pid), 20_000)
  await traffic.sees('execute confidence.sufficient')
  await kafka.kill(node)
  await kafka.restart(node)
  await traffic.sees('execute confidence.sufficient')
  await expectExact(await traffic.stop())
  expect(await processor.metric('decision_count_total', { code: 'state.unavailable' })).toBe(0)
  await endInOrder(processor)
})

async function expectExact(sent: readonly string[]): Promise<void> {
  await it.answers.all(sent)
  const { lost, doubled, events } = await it.answers.audit()
  expect([lost, doubled]).toEqual([[], []])
  // The sender is not told of what a dying broker took, and sends it again: a record of its own.
  expect(events).toBeGreaterThanOrEqual(sent.length)
}

function hasEnded(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}
