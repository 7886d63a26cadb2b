import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest'
import { startRedis } from '../../deploy/local/redis.ts'
import type { LocalRedis } from '../../deploy/local/redis.ts'
import { inShort } from './support/answers.ts'
import { endInOrder, endProcesses } from './support/cli.ts'
import { deploy, event, many } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import { until } from './support/until.ts'

/**
 * A processor's clock is wrong by a day. Decisions go by Redis' clock, so nothing about them changes; without Redis they
 * say whose clock they went by, and what looks too new by it is not executed. Brokers take no record from the future.
 */

const DAY = 24 * 3_600_000
const MINUTE = 60_000
const stack = inject('stack')
const shifted = (ms: number) => ({
  NODE_OPTIONS: `--import=${new URL('support/shifted-clock.ts', import.meta.url).href}`,
  SHIFT_MS: String(ms),
})

let redis: LocalRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterEach(endProcesses)
afterAll(() => redis.stop())

let it: Deployment
beforeEach(async () => {
  it = await deploy({ ...stack, redis: redis.url })
})
afterEach(() => it.close())

test('a day slow: no decision changes while Redis answers, and nothing is executed on that clock when it does not', async () => {
  const processor = it.start(shifted(-DAY))
  await processor.untilReady()
  const [expired] = await it.send([event({ expiresAt: Date.now() - MINUTE })])
  for (const position of await it.send(many(20))) {
    const { route, facts } = await it.answers.verdict(position)
    expect([route, facts.clock]).toEqual(['execute', 'redis'])
    expect(Math.abs(facts.now - Date.now())).toBeLessThan(MINUTE)
  }
  expect(inShort(await it.answers.of(expired ?? ''))).toBe('reject event.expired')
  await redis.kill()
  const [needing, stateless] = await it.send([event(), event({ action: 'item.hide' })])
  expect((await it.answers.verdict(needing ?? '')).route).toBe('review')
  const { code, route, facts } = await it.answers.verdict(stateless ?? '')
  expect([route, code, facts.clock]).toEqual(['review', 'event.time_in_future', 'processor'])
  expect(await processor.metric('decision_count_total', { code })).toBeGreaterThan(0)
  await redis.restart()
  expect(await it.answers.audit()).toEqual({ lost: [], doubled: [], events: 23 })
  await endInOrder(processor)
})

test('a day fast: the brokers refuse what it writes, it says why, and all is decided once when the clock is right', async () => {
  const wrong = it.start(shifted(DAY))
  const sent = await it.send(many(20))
  const detail = async (): Promise<string> => (await wrong.health()).parts['kafka']?.detail ?? ''
  await until('it says that its clock is ahead', async () => (await detail()).includes('clock is ahead'))
  expect((await wrong.health()).status).toBe(503)
  expect(await wrong.metric('decision_batch_discarded_total', { code: 'INVALID_TIMESTAMP' })).toBeGreaterThan(0)
  expect(it.answers.count).toBe(0)
  await endInOrder(wrong)
  const right = it.start()
  const answers = await it.answers.all(sent)
  expect(new Set(answers.map(inShort))).toEqual(new Set(['execute confidence.sufficient']))
  expect(await it.answers.audit()).toEqual({ lost: [], doubled: [], events: 20 })
  await endInOrder(right)
})
