import { Redis } from 'ioredis'
import { Kafka, logLevel } from 'kafkajs'
import type { Admin } from 'kafkajs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { startRedis } from '../../deploy/local/redis.ts'
import type { LocalRedis } from '../../deploy/local/redis.ts'
import { LogLookup } from '../../src/kafka/lookup.ts'
import { transactionalId } from '../../src/kafka/dead-slots.ts'
import { Scene } from '../brokers/support/kafka-scene.ts'
import { inShort } from './support/answers.ts'
import { endInOrder, endProcesses } from './support/cli.ts'
import { deploy, event, many, policyText } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import type { ProcessorProcess } from './support/processor.ts'
import { startTraffic } from './support/traffic.ts'
import { until } from './support/until.ts'

/** What an operator, a stranger or a mistake can do to a deployment that runs. */

const stack = inject('stack')
let admin: Admin

beforeAll(async () => {
  admin = new Kafka({ brokers: [...stack.brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
})
afterEach(endProcesses)
afterAll(() => admin.disconnect())

const expectExact = async (it: Deployment, positions: readonly string[]): Promise<void> => {
  await it.answers.all(positions)
  expect(await it.answers.audit()).toMatchObject({ lost: [], doubled: [] })
}

describe('Kafka', () => {
  let it: Deployment
  let processor: ProcessorProcess

  beforeAll(async () => {
    it = await deploy(stack)
  })
  afterAll(() => it.close())

  test('a stranger that fences our transactional id now and then costs a replay, and nothing else', async () => {
    processor = it.start()
    await processor.untilReady()
    const traffic = startTraffic(it, [{}], 5)
    const scene = new Scene(stack.brokers)
    for (let time = 0; time < 4; time += 1) {
      await traffic.sees('execute confidence.sufficient')
      await scene.writer(transactionalId(it.name, 'one'))
    }
    await traffic.sees('execute confidence.sufficient')
    expect(await processor.metric('decision_batch_discarded_total')).toBeGreaterThan(0)
    await expectExact(it, await traffic.stop())
    await scene.close()
    await endInOrder(processor)
  })

  test('an output topic that is deleted holds everything back, says which, and goes on when it is made anew', async () => {
    processor = it.start()
    await processor.untilReady()
    const first = await it.send(many(20, { confidence: 0.1 }))
    await it.answers.all(first)
    await admin.deleteTopics({ topics: [it.topics.review] })
    const held = await it.send(many(20, { confidence: 0.4 }))
    await until('/readyz or the log names the topic', async () =>
      processor.log().some(({ level, message }) => level === 'warn' && message.includes(it.topics.review)),
    )
    await sleep(500)
    expect(held.filter((one) => it.answers.find(one) !== undefined)).toEqual([])
    expect(processor.hasEnded()).toBe(false)
    await admin.createTopics({ topics: [{ topic: it.topics.review, numPartitions: 2 }] })
    await expectExact(it, [...first, ...held])
    await endInOrder(processor)
  })

  test('members that join and leave again and again: nothing is lost or doubled', { timeout: 180_000 }, async () => {
    const stays = it.start({ SLUICE_SLOT: 'stays' })
    await stays.untilReady()
    const traffic = startTraffic(it, [{}], 10)
    for (let time = 0; time < 3; time += 1) {
      const comes = it.start({ SLUICE_SLOT: 'comes' })
      await comes.untilReady(60_000)
      await until('it decides too', async () => (await comes.metric('decision_count_total')) > 0)
      await endInOrder(comes)
    }
    await traffic.sees('execute confidence.sufficient')
    await expectExact(it, await traffic.stop())
    await endInOrder(stays)
  })
})

describe('offsets that an operator set back', () => {
  test('are decided again, and nothing is executed a second time', async () => {
    const it = await deploy(stack, { policy: policyText({ window: '1h' }) })
    const before = it.start()
    const sent = await it.send(many(40))
    const first = await it.answers.all(sent)
    expect(new Set(first.map(inShort))).toEqual(new Set(['execute confidence.sufficient']))
    await endInOrder(before)
    const reset = [0, 1].map((partition) => ({ partition, offset: '0' }))
    await until('the group is empty', async () => {
      await admin.setOffsets({ groupId: it.name, topic: it.topics.input, partitions: reset })
      return true
    })
    const after = it.start({ SLUICE_BATCH_RECORDS: '5' })
    await after.untilReady()
    const [later] = await it.send([event()])
    await until('it has come to the end again', async () => inShort(await it.answers.of(later!)) !== '', 40_000)
    const replayed = (): Promise<number> => after.metric('decision_count_total', { code: 'event.replayed' })
    await until('the other partition has too', async () => (await replayed()) >= sent.length, 40_000)
    const keys = first.flatMap((one) => (one.kind === 'verdict' ? [one.verdict.actionKey] : []))
    const again = await readExecutes(it)
    expect(keys.filter((key) => (again.get(key) ?? 0) !== 1)).toEqual([])
    expect(await replayed()).toBe(sent.length)
    expect(await after.metric('decision_count_total', { code: 'state.lost' })).toBe(0)
    expect((await it.answers.verdict(later!)).route).toBe('execute')
    await endInOrder(after)
    await it.close()
  })

  /** Execute verdicts by action key, as they lie in the topic. */
  async function readExecutes(it: Deployment): Promise<ReadonlyMap<string, number>> {
    const lookup = new LogLookup(it.connection)
    const counts = new Map<string, number>()
    for (const record of await lookup.all(it.topics.execute)) {
      const read = await it.records.decode('Verdict', it.topics.execute, record.value)
      if (read.kind === 'value') counts.set(read.value.actionKey, (counts.get(read.value.actionKey) ?? 0) + 1)
    }
    lookup.close()
    return counts
  }
})

describe('Redis', () => {
  let redis: LocalRedis
  beforeAll(async () => {
    redis = await startRedis({ settings: { requirepass: 'first' } })
  })
  afterAll(() => redis.stop())

  test('with a password that was changed: to review, and as before once it is ours again', async () => {
    const address = new URL(redis.url)
    address.password = 'first'
    const it = await deploy({ ...stack, redis: address.href })
    const processor = it.start()
    await processor.untilReady()
    const traffic = startTraffic(it, [{}])
    await traffic.sees('execute confidence.sufficient')
    const operator = new Redis(address.href)
    await operator.config('SET', 'requirepass', 'second')
    await operator.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await traffic.sees('review state.unavailable')
    const detail = await until('it says why', async () => {
      const text = (await processor.health()).parts['redis']!.detail
      return /WRONGPASS|password/i.test(text) && text
    })
    expect(detail).not.toContain('first')
    await operator.config('SET', 'requirepass', 'first')
    await traffic.sees('execute confidence.sufficient')
    operator.disconnect()
    await expectExact(it, await traffic.stop())
    await endInOrder(processor)
    await it.close()
  })
})
