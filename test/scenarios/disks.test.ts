import { Redis } from 'ioredis'
import { afterEach, beforeAll, expect, inject, test, afterAll } from 'vitest'
import { startRedis } from '../../deploy/local/redis.ts'
import type { LocalRedis } from '../../deploy/local/redis.ts'
import { endInOrder, endProcesses } from './support/cli.ts'
import { inShort } from './support/answers.ts'
import { deploy, event, policyText } from './support/deployment.ts'
import { limitFiles } from './support/full-disk.ts'
import { startTraffic } from './support/traffic.ts'
import { until } from './support/until.ts'

const stack = inject('stack')
let redis: LocalRedis

beforeAll(async () => {
  // Reading its log back takes 250 µs a command, as with one that is a hundred times as long.
  redis = await startRedis({ settings: { appendonly: 'yes', 'key-load-delay': '250' }, before: 'trap "" XFSZ' })
})
afterEach(endProcesses)
afterAll(() => redis.stop())

test('Redis whose disk is full refuses writes: to review, and as before once it has room', async () => {
  const it = await deploy({ ...stack, redis: redis.url })
  const processor = it.start()
  await processor.untilReady()
  const traffic = startTraffic(it, [{}])
  await traffic.sees('execute confidence.sufficient')
  await limitFiles(redis.pid, 1)
  await traffic.sees('review state.unavailable')
  expect((await processor.health()).parts['redis']?.detail).toContain('MISCONF')
  expect(await processor.metric('state_refusals_total', { kind: 'unavailable' })).toBeGreaterThan(0)
  expect(await processor.metric('decision_count_total', { code: 'state.unavailable' })).toBeGreaterThan(0)
  await limitFiles(redis.pid, null)
  const back = await traffic.sees('execute confidence.sufficient')
  expect(back.ms).toBeLessThan(10_000)
  const sent = await traffic.stop()
  await it.answers.all(sent)
  expect(await it.answers.audit()).toEqual({ lost: [], doubled: [], events: sent.length })
  expect(await processor.metric('decision_count_total', { code: 'state.lost' })).toBe(0)
  await endInOrder(processor)
  await it.close()
})

test('Redis that was killed and reads its log back: to review until it has, and nothing is forgotten', async () => {
  // While it loads, Redis answers every 256 ms or so.
  const patient = { policy: policyText({ window: '1h' }), settings: { REDIS_DEADLINE_MS: '1500' } }
  const it = await deploy({ ...stack, redis: redis.url }, patient)
  const processor = it.start()
  await processor.untilReady()
  const again = event()
  const [first] = await it.send([again])
  const traffic = startTraffic(it, [{}])
  await traffic.sees('execute confidence.sufficient')
  await lengthenLog(24_000)
  await redis.kill()
  const loading = redis.restart()
  await until('it is told that Redis is loading', async () =>
    (await processor.health()).parts['redis']?.detail.includes('LOADING'),
  )
  await traffic.sees('review state.unavailable')
  await loading
  await traffic.sees('execute confidence.sufficient')
  const [repeat] = await it.send([again])
  const verdict = await it.answers.verdict(repeat ?? '')
  expect([inShort(await it.answers.of(repeat ?? '')), verdict.facts.first?.decisionId]).toEqual([
    'reject event.duplicate',
    first,
  ])
  const sent = await traffic.stop()
  await it.answers.all(sent)
  expect(await it.answers.audit()).toEqual({ lost: [], doubled: [], events: sent.length + 2 })
  expect(await processor.metric('decision_count_total', { code: 'state.lost' })).toBe(0)
  await endInOrder(processor)
  await it.close()
})

/** Somebody else's keys; Redis answers in between, every thousand of them, that it is loading. */
async function lengthenLog(commands: number): Promise<void> {
  const client = new Redis(redis.url)
  const pipeline = client.pipeline()
  for (let n = 0; n < commands; n++) pipeline.set(`other:${n}`, '')
  await pipeline.exec()
  client.disconnect()
}
