import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { startRedis } from '../../deploy/local/redis.ts'
import type { LocalRedis } from '../../deploy/local/redis.ts'
import type { Attributes } from '../../src/decision/event.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { endInOrder, endProcesses } from './support/cli.ts'
import { deploy, event } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import type { ProcessorProcess } from './support/processor.ts'
import { until } from './support/until.ts'

/** Facts about entities on their way from the topic into decisions. */

const stack = inject('stack')
let redis: LocalRedis
let it: Deployment
let processor: ProcessorProcess

beforeAll(async () => {
  redis = await startRedis()
  it = await deploy({ ...stack, redis: redis.url })
  processor = it.start()
  await processor.untilReady()
})
afterAll(async () => {
  await endProcesses()
  await it.close()
  await redis.stop()
})

const write = (key: string, version: number, attributes: Attributes, time = Date.now()): Promise<void> =>
  it.writeContext({ entity: 'seller', key, version, time, source: '/crm', attributes })

async function decide(owner: string): Promise<Verdict> {
  const [at] = await it.send([event({ action: 'item.sell', subject: { type: 'item', id: 'i', owner } })])
  return await it.answers.verdict(at!)
}

/** Decides again and again until the context is taken up. */
const decided = (what: string, owner: string, holds: (verdict: Verdict) => boolean): Promise<Verdict> =>
  until(what, async () => {
    const verdict = await decide(owner)
    return holds(verdict) && verdict
  })

const versionOf = ({ facts }: Verdict): number | undefined => facts.context[0]?.value?.version

test('what is written about an entity is known to decisions made after it', async () => {
  expect((await decide('ann')).code).toBe('context.missing')
  await write('ann', 1, { trusted: true, rating: 4 })
  const trusted = await decided('version 1 is known', 'ann', (it) => versionOf(it) === 1)
  expect(trusted.route).toBe('execute')
  expect(trusted.facts.context[0]).toMatchObject({ key: 'ann', value: { source: '/crm', attributes: { rating: 4 } } })
  await write('ann', 2, { trusted: false, rating: 4 })
  const distrusted = await decided('version 2 is known', 'ann', (it) => versionOf(it) === 2)
  expect(distrusted).toMatchObject({ route: 'review', code: 'policy.distrusted' })
})

test('an older version that comes later changes nothing', async () => {
  await write('bob', 5, { trusted: true, rating: 3 })
  await write('bob', 4, { trusted: false, rating: 1 })
  await write('after-bob', 1, { trusted: true, rating: 1 })
  await decided('what was written after it is known', 'after-bob', (it) => versionOf(it) === 1)
  const verdict = await decided('version 5 is known', 'bob', (it) => versionOf(it) !== undefined)
  expect(verdict).toMatchObject({ route: 'execute', facts: { context: [{ value: { version: 5 } }] } })
})

test('a tombstone forgets the entity', async () => {
  await write('eve', 1, { trusted: true, rating: 3 })
  await decided('she is known', 'eve', ({ route }) => route === 'execute')
  await it.forgetContext('seller:eve')
  const verdict = await decided('she is forgotten', 'eve', ({ route }) => route !== 'execute')
  expect(verdict.code).toBe('context.missing')
})

test('facts that are too old, or from the future, are not relied upon', async () => {
  await write('old', 1, { trusted: true, rating: 3 }, Date.now() - 48 * 3_600_000)
  await write('early', 1, { trusted: true, rating: 3 }, Date.now() + 48 * 3_600_000)
  for (const owner of ['old', 'early']) {
    const verdict = await decided('they are known', owner, (it) => versionOf(it) === 1)
    expect(verdict).toMatchObject({ route: 'review', code: 'context.stale' })
  }
})

test('a record that cannot be used is told of and changes nothing, and the next is taken', async () => {
  await write('mel', 1, { trusted: true, rating: 3 })
  await decided('she is known', 'mel', ({ route }) => route === 'execute')
  const value = Buffer.from('garbage')
  const record = { topic: it.topics.context, partition: null, value, timestamp: Date.now(), headers: [] }
  const keys = ['seller:mel', 'no-colon', ':', '']
  await it.producer.send(keys.map((key) => ({ ...record, key: Buffer.from(key) })))
  await write('mel', 2, { trusted: true, rating: 5 })
  const verdict = await decided('the next is taken', 'mel', (it) => versionOf(it) === 2)
  expect(verdict.route).toBe('execute')
  const told = await until('all are told of', () => {
    const lines = processor.log().filter(({ message }) => message.startsWith('a record cannot be used'))
    return lines.length >= keys.length && lines
  })
  expect(told.length).toBe(keys.length)
  for (const line of told) expect(String(line['position'])).toMatch(new RegExp(`^${it.topics.context}:\\d+:\\d+$`))
  expect((await processor.health()).status).toBe(200)
})

test('a rule that the facts do not fit sends the event to a person', async () => {
  await write('odd', 1, { trusted: 'yes', rating: 3 })
  const verdict = await decided('it is known', 'odd', (it) => versionOf(it) === 1)
  expect(verdict.route).not.toBe('execute')
})

test('emptied Redis has all contexts again by itself', async () => {
  await write('zoe', 7, { trusted: true, rating: 3 })
  await decided('she is known', 'zoe', ({ route }) => route === 'execute')
  const admin = new Redis(redis.url)
  await admin.flushall()
  admin.disconnect()
  const began = performance.now()
  await decided('state is lost', 'zoe', ({ facts }) => facts.state === 'lost')
  const back = await decided('all is as before', 'zoe', ({ route }) => route === 'execute')
  expect(versionOf(back)).toBe(7)
  expect((await decide('bob')).facts.context[0]?.value?.version).toBe(5)
  expect((await decide('eve')).code).toBe('context.missing')
  expect(performance.now() - began).toBeLessThan(8000)
})

test('a killed Redis that comes back empty has all contexts again by itself', async () => {
  await redis.kill()
  await decided('state is away', 'zoe', ({ code }) => code === 'state.unavailable')
  await redis.restart()
  const back = await decided('all is as before', 'zoe', ({ route }) => route === 'execute')
  expect(versionOf(back)).toBe(7)
  expect(await it.answers.audit()).toMatchObject({ lost: [], doubled: [] })
  await endInOrder(processor)
})
