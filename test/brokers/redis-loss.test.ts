import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openRedis } from '../../src/redis/open.ts'
import type { RedisState } from '../../src/redis/open.ts'
import { blast, Caller, DAY, HOUR, inquiryAt, velocity } from '../conformance/state-caller.ts'
import { startRedis } from '../redis/server.ts'
import type { RedisServer } from '../redis/server.ts'

/** What is lost a key at a time, and what is in the keys. */

let server: RedisServer
let redis: RedisState
let caller: Caller

beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(async () => {
  await server.admin.flushall()
  redis = await open()
  caller = new Caller(redis.store)
  await caller.own()
})
afterEach(() => redis.close())

async function open(): Promise<RedisState> {
  const options = { url: server.url, deployment: 'loss', topic: 'model.outputs', group: 'g', deadlineMs: 5000 }
  const opened = await openRedis(options)
  await expect.poll(() => opened.trouble()).toBeNull()
  return opened
}

test('without its epoch, state refuses its owners and counts as lost', async () => {
  await caller.observe(0, [{}, {}], { committed: 0 })
  await server.admin.del('{loss}:state')
  expect(await caller.ask([caller.range(2, [{}])])).toEqual({ kind: 'fenced', partition: 0 })
  await caller.own(0, 1, 1)
  const seen = await caller.observe(1, [{}, {}])
  expect(seen.map((it) => [it.lost, it.counters.get('velocity')])).toEqual([
    [true, 0],
    [true, 1],
  ])
})

test('with another epoch, state refuses its owners and counts as lost', async () => {
  await server.admin.hset('{loss}:state', 'epoch', 'another')
  expect(await caller.ask([caller.range(0, [{}])])).toEqual({ kind: 'fenced', partition: 0 })
  await caller.own()
  expect((await caller.observe(0, [{}]))[0]!.lost).toBe(true)
})

test('without an owner, state is of an older release or was handed over, and counts as lost', async () => {
  await caller.observe(0, [{}, {}], { committed: 0 })
  await server.admin.hdel('{loss}:state', 'owner')
  await caller.own(0, 2, 2)
  expect((await caller.observe(2, [{}]))[0]).toMatchObject({ lost: true, counters: new Map([['velocity', 0]]) })
})

test('an event whose facts are gone is observed and counted anew, as lost, and does not repeat itself', async () => {
  await caller.observe(0, [{}, {}], { committed: 0 })
  await server.admin.del('{loss}:f:0')
  expect(await caller.ask([caller.range(0, [{}, {}], { committed: 0 })])).toEqual({ kind: 'fenced', partition: 0 })
  await caller.own(0, 0, 0)
  const seen = await caller.observe(0, [{}, {}], { committed: 0 })
  expect(seen.map((it) => [it.lost, it.first, it.counters.get('velocity')])).toEqual([
    [true, null, 0],
    [true, null, 1],
  ])
  expect(await caller.observe(0, [{}, {}], { committed: 0 })).toEqual(seen)
})

test('a partition whose hash is gone is fenced, then lost', async () => {
  await caller.observe(0, [{}])
  await server.admin.del('{loss}:p:0')
  expect(await caller.ask([caller.range(1, [{}])])).toEqual({ kind: 'fenced', partition: 0 })
  await caller.own(0, 1, 1)
  expect((await caller.observe(1, [{}]))[0]!.lost).toBe(true)
})

test('keys carry one hash tag and no text of events, policies or entities', async () => {
  const asked = {
    actionKey: 'a'.repeat(32),
    counters: [velocity('0123'), blast()],
    context: [{ name: 'seller', key: 'Ann', hash: 'ffff' }],
  }
  await caller.observe(0, [asked], { committed: 0 })
  await caller.reserve(0, [asked])
  await redis.context.apply({ partition: 0, from: null, next: 1, updates: [] })
  const keys = await server.admin.keys('*')
  const epoch = await server.admin.hget('{loss}:state', 'epoch')
  expect(keys.sort()).toEqual([
    `{loss}:c:${epoch}:eblast-m1`,
    `{loss}:c:${epoch}:pv-0123`,
    '{loss}:context',
    `{loss}:e:${'a'.repeat(32)}`,
    '{loss}:f:0',
    '{loss}:p:0',
    '{loss}:state',
  ])
})

test('what is counted and remembered expires, what was committed is trimmed', async () => {
  await caller.observe(
    0,
    Array.from({ length: 50 }, () => ({})),
    { committed: 0 },
  )
  const epoch = await server.admin.hget('{loss}:state', 'epoch')
  const ttl = await server.admin.pttl(`{loss}:c:${epoch}:pv-ann`)
  expect(ttl).toBeGreaterThan(HOUR)
  expect(ttl).toBeLessThanOrEqual(HOUR * (1 + 2 / 16))
  expect(await server.admin.pttl('{loss}:e:key-0')).toBeGreaterThan(DAY - 5000)
  await caller.observe(50, [{}], { committed: 50 })
  expect(await server.admin.hkeys('{loss}:f:0')).toEqual(['o50-51'])
})

test('a counter whose limit was narrowed expires no sooner for it', async () => {
  await caller.observe(0, [{}])
  const wish = { counters: [velocity('ann', 60_000)] }
  await caller.observe(1, [wish, wish])
  const epoch = await server.admin.hget('{loss}:state', 'epoch')
  expect(await server.admin.pttl(`{loss}:c:${epoch}:pv-ann`)).toBeGreaterThan(HOUR)
})

test('a policy with thousands of counters and contexts for one call is no trouble', async () => {
  const wishes = Array.from({ length: 3000 }, (_, n) => ({
    counters: [velocity(`v${n}`), blast(`b${n}`)],
    context: [{ name: 'seller', key: 'k', hash: `h${n}` }],
  }))
  await caller.observe(0, wishes, { committed: 0 })
  const claims = wishes.map((wish, offset) => ({ offset, inquiry: inquiryAt(offset, wish) }))
  const reserved = await redis.store.reserve([{ partition: 0, token: caller.tokens.get(0)!, claims }])
  expect(reserved.kind).toBe('reserved')
  const again = await caller.observe(
    3000,
    wishes.map((it, n) => ({ ...it, actionKey: `again-${n}` })),
  )
  expect(new Set(again.flatMap((it) => [...it.counters.values()]))).toEqual(new Set([1]))
})

test('a process without work learns of a loss all the same', async () => {
  await caller.observe(0, [{}])
  await server.admin.flushall()
  await expect.poll(async () => (await caller.ask([])).kind, { timeout: 5000 }).toBe('fenced')
})

test('a new deployment is not trusted before the owners of all partitions have told what they know', async () => {
  await server.admin.flushall()
  const [one, two] = [await open(), await open()]
  const [first, second] = [new Caller(one.store, 2), new Caller(two.store, 2)]
  await first.own(0)
  const lost = async (from: number) => (await first.observe(from, [{}]))[0]!.lost
  expect(await lost(0)).toBe(true)
  await second.own(1)
  expect(await lost(1)).toBe(true)
  expect((await second.ask([])).kind).toBe('observed')
  expect(await lost(2)).toBe(false)
  one.close()
  two.close()
})
