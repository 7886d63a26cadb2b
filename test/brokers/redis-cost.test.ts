import { hash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Inquiry } from '../../src/decision/inquiry.ts'
import { openRedis } from '../../src/redis/open.ts'
import { Caller, DAY, HOUR } from '../conformance/state-caller.ts'
import { startRedis } from '../redis/server.ts'
import type { RedisServer } from '../redis/server.ts'

let server: RedisServer

beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())

const hex = (n: number, salt: number): string => hash('sha256', `${salt}:${n}`, 'hex').slice(0, 32)

/** One proposals limit, one executions limit, one context; `actors` of each to choose from but for the executions. */
const inquiry = (offset: number, actors: number): Inquiry => ({
  offset,
  actionKey: hex(offset, 1),
  digest: hex(offset, 2),
  counters: [
    { limit: 'burst-per-seller', count: 'proposals', key: hex(offset % actors, 3), max: 20, windowMs: 60_000 },
    { limit: 'removals-per-model', count: 'executions', key: hex(offset % 7, 4), max: 1e9, windowMs: HOUR },
  ],
  context: [{ name: 'seller', key: `s-${offset % actors}`, hash: hex(offset % actors, 5) }],
})

/** CPU that the server has used so far, in its own threads and in the kernel, microseconds. */
async function serverCpu(): Promise<number> {
  const info = await server.admin.info('cpu')
  const seconds = [...info.matchAll(/used_cpu_(?:sys|user):([\d.]+)/g)].map((it) => Number(it[1]))
  return seconds.reduce((sum, it) => sum + it, 0) * 1e6
}

/** About five times what an idle machine of 2024 needs; the figures themselves are printed. */
const MOST_MICROSECONDS = 60

test.each([
  { batch: 500, actors: 100, claimed: 0 },
  { batch: 500, actors: 20_000, claimed: 0 },
  { batch: 2000, actors: 100, claimed: 0 },
  { batch: 2000, actors: 20_000, claimed: 0 },
  { batch: 1000, actors: 20_000, claimed: 0.5 },
])('batches of $batch, $actors actors, $claimed claimed: round trips are exact, CPU is small', async (setup) => {
  const { batch, actors, claimed } = setup
  await server.admin.flushall()
  const redis = await openRedis({
    url: server.url,
    deployment: 'cost',
    topic: 'model.outputs',
    group: 'g',
    deadlineMs: 5000,
  })
  await expect.poll(() => redis.trouble()).toBeNull()
  const value = { source: 'crm', version: 1, time: 1, attributes: { trusted: true, orders: 12 } }
  const updates = Array.from({ length: actors }, (_, n) => ({ offset: n, hash: hex(n, 5), value }))
  expect((await redis.context.apply({ partition: 0, from: null, next: actors, updates })).kind).toBe('applied')
  const caller = new Caller(redis.store)
  const token = await caller.own()
  // A new deployment asks each owner once.
  expect((await redis.store.observe([], DAY, DAY)).kind).toBe('observed')
  const batches = 20_000 / batch
  const prepared = Array.from({ length: batches }, (_, n) =>
    Array.from({ length: batch }, (_, at) => inquiry(n * batch + at, actors)),
  )
  const [cpu, trips, own] = [await serverCpu(), redis.roundTrips(), process.cpuUsage()]
  for (const [n, inquiries] of prepared.entries()) {
    const from = n * batch
    const range = { partition: 0, token, from, next: from + batch, committed: Math.max(0, from - batch), inquiries }
    expect((await redis.store.observe([range], DAY, DAY)).kind).toBe('observed')
    if (claimed === 0) continue
    const claims = inquiries.slice(0, batch * claimed).map((it) => ({ offset: it.offset, inquiry: it }))
    expect((await redis.store.reserve([{ partition: 0, token, claims }])).kind).toBe('reserved')
  }
  const { user, system } = process.cpuUsage(own)
  const perEvent = { redis: ((await serverCpu()) - cpu) / 20_000, node: (user + system) / 20_000 }
  console.log(
    `${JSON.stringify(setup)} µs of CPU per event: Redis ${perEvent.redis.toFixed(1)}, this process ${perEvent.node.toFixed(1)}`,
  )
  expect(redis.roundTrips() - trips).toBe(batches * (claimed === 0 ? 1 : 2))
  expect(perEvent.redis).toBeLessThan(MOST_MICROSECONDS)
  redis.close()
})
