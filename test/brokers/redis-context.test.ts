import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ContextValue } from '../../src/decision/facts.ts'
import type { ContextApplied, ContextUpdate } from '../../src/redis/context-store.ts'
import { openRedis } from '../../src/redis/open.ts'
import type { RedisState } from '../../src/redis/open.ts'
import { Caller } from '../conformance/state-caller.ts'
import { startRedis } from '../redis/server.ts'
import type { RedisServer } from '../redis/server.ts'

let server: RedisServer
let redis: RedisState
let caller: Caller
let nextOffset = 0

beforeAll(async () => {
  server = await startRedis()
  redis = await openRedis({
    url: server.url,
    deployment: 'context',
    topic: 'model.outputs',
    group: 'g',
    deadlineMs: 5000,
  })
})
afterAll(async () => {
  redis.close()
  await server[Symbol.asyncDispose]()
})
beforeEach(async () => {
  await expect.poll(() => redis.trouble()).toBeNull()
  await server.admin.flushall()
  caller = new Caller(redis.store)
  await caller.own()
  nextOffset = 0
})

const value = (version: number): ContextValue => ({ source: 'crm', version, time: 1, attributes: { version } })
const put = (offset: number, version: number | null, hash = 'h'): ContextUpdate => ({
  offset,
  hash,
  value: version === null ? null : value(version),
})
const apply = (from: number | null, next: number, ...updates: ContextUpdate[]): Promise<ContextApplied> =>
  redis.context.apply({ partition: 0, from, next, updates })

/** The version that a decision would see. */
async function seen(hash = 'h'): Promise<number | undefined> {
  const [observation] = await caller.observe(nextOffset++, [{ context: [{ name: 'seller', key: 'k', hash }] }])
  return observation!.context.get('seller')?.version
}

test('a newer version replaces an older one, an equal or older one changes nothing', async () => {
  expect(await apply(null, 1, put(0, 5))).toEqual({ kind: 'applied', changed: 1 })
  expect(await apply(1, 3, put(1, 5), put(2, 4))).toEqual({ kind: 'applied', changed: 0 })
  expect(await seen()).toBe(5)
  expect(await apply(3, 4, put(3, 10))).toEqual({ kind: 'applied', changed: 1 })
  expect(await seen()).toBe(10)
})

test('a tombstone forgets, and within one run the order counts', async () => {
  await apply(null, 2, put(0, 5), put(1, null))
  expect(await seen()).toBeUndefined()
  await apply(2, 5, put(2, 3), put(3, null), put(4, 1))
  expect(await seen()).toBe(1)
})

test('a run that is applied again changes nothing, and a late tombstone does not remove what is newer', async () => {
  await apply(null, 2, put(0, 5), put(1, null))
  await apply(2, 3, put(2, 6))
  expect(await apply(1, 2, put(1, null))).toEqual({ kind: 'applied', changed: 0 })
  expect(await seen()).toBe(6)
  expect(await redis.context.positions()).toEqual({ kind: 'positions', next: new Map([[0, 3]]) })
})

test('a tombstone is not undone by an updater that lags', async () => {
  await apply(null, 2, put(0, 5), put(1, null))
  expect(await apply(0, 1, put(0, 5))).toEqual({ kind: 'applied', changed: 0 })
  expect(await seen()).toBeUndefined()
})

test('after a loss the updater is told to start over, until it has', async () => {
  await apply(null, 5, put(0, 5))
  await server.admin.flushall()
  expect(await apply(5, 6, put(5, 1, 'other'))).toEqual({ kind: 'behind', position: null })
  expect(await apply(null, 1, put(0, 5))).toEqual({ kind: 'applied', changed: 1 })
  expect(await apply(5, 6, put(5, 1, 'other'))).toEqual({ kind: 'behind', position: 1 })
  expect(await apply(1, 6, put(5, 1, 'other'))).toEqual({ kind: 'applied', changed: 1 })
})

test('partitions of the topic have positions of their own, and a run may be empty', async () => {
  await apply(null, 3)
  await redis.context.apply({ partition: 4, from: null, next: 9, updates: [] })
  expect(await redis.context.positions()).toEqual({
    kind: 'positions',
    next: new Map([
      [0, 3],
      [4, 9],
    ]),
  })
})

test('a number without JSON is null to a decision', async () => {
  const odd = { ...value(1), attributes: { a: Number.NaN, b: Infinity, c: 1 } }
  await apply(null, 1, { offset: 0, hash: 'h', value: odd })
  const [observation] = await caller.observe(0, [{ context: [{ name: 'seller', key: 'k', hash: 'h' }] }])
  expect(observation!.context.get('seller')?.attributes).toEqual({ a: null, b: null, c: 1 })
})
