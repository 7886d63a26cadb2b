import { afterEach, beforeEach, expect, test } from 'vitest'
import { openRedis } from '../../src/redis/open.ts'
import type { RedisState } from '../../src/redis/open.ts'
import { blast, Caller } from '../conformance/state-caller.ts'
import { startRedis } from '../redis/server.ts'
import type { RedisServer } from '../redis/server.ts'
import { wireTo } from '../redis/wire.ts'

/** Another server may lack what the one before had answered, which only the owners of all partitions can tell. */

const SOLD = { actionKey: 'sold', counters: [blast()] }

let server: RedisServer
let stack: AsyncDisposableStack
let one: Caller
let two: Caller
let second: RedisState

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  server = stack.use(await startRedis('--appendonly', 'yes', '--appendfsync', 'always'))
  ;[one] = await joined(server.url)
  ;[two, second] = await joined(server.url)
  await one.own(0)
  await two.own(1)
  for (const it of [one, two]) await it.ask([])
  await one.observe(0, [SOLD, {}], { committed: 0 })
  await one.reserve(0, [SOLD])
  await two.observe(0, [{}], { partition: 1, committed: 0 })
})
afterEach(() => stack.disposeAsync())

async function joined(url: string): Promise<[Caller, RedisState]> {
  const redis = await openRedis({ url, deployment: 'change', topic: 'model.outputs', group: 'g', deadlineMs: 5000 })
  stack.defer(() => redis.close())
  await expect.poll(() => redis.trouble()).toBeNull()
  return [new Caller(redis.store, 2), redis]
}

async function restart(...callers: readonly RedisState[]): Promise<void> {
  await server.kill()
  for (const it of callers) await expect.poll(() => it.trouble()).not.toBeNull()
  await server.start()
  for (const it of callers) await expect.poll(() => it.trouble(), { timeout: 5000 }).toBeNull()
}

const isLost = async (from: number): Promise<boolean> => (await two.observe(from, [{}], { partition: 1 }))[0]!.lost

test('what is observed on another server counts as lost until the owners of all partitions have met it', async () => {
  await restart(second)
  expect([await isLost(1), second.store.isIncomplete]).toEqual([true, true])
  expect(await second.rebuild.claim(2)).toEqual({ kind: 'unproven', partition: 0 })
  await expect.poll(async () => (await one.ask([])).kind).toBe('observed')
  expect(await second.rebuild.claim(2)).toEqual({ kind: 'whole' })
  expect(await isLost(2)).toBe(false)
})

test('an owner that reconnects to the same server goes on as before', async () => {
  const wire = await wireTo(server.port)
  stack.defer(() => wire.close())
  ;[two, second] = await joined(`redis://127.0.0.1:${wire.port}`)
  await two.own(1, 1, 1)
  wire.cut()
  await expect.poll(() => second.trouble()).not.toBeNull()
  wire.mend()
  await expect.poll(() => second.trouble()).toBeNull()
  expect(await isLost(1)).toBe(false)
})

test('who takes a partition over on another server vouches for it, once the group has confirmed it', async () => {
  await one.observe(2, [], { committed: 2 })
  await restart(second)
  const [newcomer] = await joined(server.url)
  await newcomer.own(0, 2, 2)
  expect(await isLost(1)).toBe(true)
  expect((await newcomer.observe(2, [{}]))[0]).toMatchObject({ lost: false })
  expect(await isLost(2)).toBe(false)
})

test('places that may have been taken before a commit of which another server has not heard count as lost', async () => {
  await restart(second)
  const [newcomer] = await joined(server.url)
  await newcomer.own(0, 2, 2)
  expect((await newcomer.observe(2, [{}]))[0]).toMatchObject({ lost: true })
})

test('an owner that takes its partition again on another server knows what it has taken there', async () => {
  await restart(second)
  await expect.poll(() => one.own(0, 2, 2).catch(() => null), { timeout: 5000 }).not.toBeNull()
  await two.own(1, 1, 1)
  expect((await one.observe(2, [{}]))[0]).toMatchObject({ lost: false })
  expect(await isLost(1)).toBe(false)
})

test('a rebuild begins once all have taken their partitions in the new epoch, however busy they are', async () => {
  // A gap shows that state was lost, on the same server.
  expect((await one.ask([one.range(9, [{}])])).kind).toBe('fenced')
  await one.own(0, 9, 9)
  await one.observe(9, [{}])
  expect((await two.ask([two.range(1, [{}], { partition: 1 })])).kind).toBe('fenced')
  await two.own(1, 1, 1)
  expect((await second.rebuild.claim(2)).kind).toBe('unproven')
  await two.observe(1, [{}], { partition: 1 })
  expect((await second.rebuild.claim(2)).kind).toBe('yours')
})
