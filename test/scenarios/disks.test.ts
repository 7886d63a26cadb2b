import { afterEach, beforeAll, expect, inject, test, afterAll } from 'vitest'
import { startRedis } from '../../deploy/local/redis.ts'
import type { LocalRedis } from '../../deploy/local/redis.ts'
import { endInOrder, endProcesses } from './support/cli.ts'
import { deploy } from './support/deployment.ts'
import { limitFiles } from './support/full-disk.ts'
import { startTraffic } from './support/traffic.ts'

const stack = inject('stack')
let redis: LocalRedis

beforeAll(async () => {
  redis = await startRedis({ settings: { appendonly: 'yes' }, before: 'trap "" XFSZ' })
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
