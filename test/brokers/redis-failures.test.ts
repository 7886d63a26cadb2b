import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openRedis } from '../../src/redis/open.ts'
import type { RedisConfig, RedisState } from '../../src/redis/open.ts'
import { blast, Caller, DAY, velocity } from '../conformance/state-caller.ts'
import type { Wish } from '../conformance/state-caller.ts'
import { startRedis } from '../redis/server.ts'
import type { RedisServer } from '../redis/server.ts'
import { wireTo } from '../redis/wire.ts'

const DEADLINE_MS = 400
/** What two shared cores may add to a time. */
const SLACK_MS = 400
/** A second, and the slack. */
const RETURN_MS = 1000 + SLACK_MS

let server: RedisServer
let redis: RedisState
let caller: Caller

const open = (config: Partial<RedisConfig> = {}): Promise<RedisState> =>
  openRedis({
    url: server.url,
    deployment: 'failures',
    topic: 'model.outputs',
    group: 'g',
    deadlineMs: DEADLINE_MS,
    ...config,
  })
const some = (n: number, wish: Wish = {}): Wish[] => Array.from({ length: n }, () => wish)

async function timed<T>(run: () => Promise<T>): Promise<{ readonly result: T; readonly ms: number }> {
  const start = performance.now()
  const result = await run()
  return { result, ms: performance.now() - start }
}

/** How long it takes until the store answers again, milliseconds. */
async function untilServing(state: RedisState): Promise<number> {
  const { ms } = await timed(() => expect.poll(() => state.trouble(), { interval: 5, timeout: 5000 }).toBeNull())
  return ms
}

const count = async (from: number): Promise<number | undefined> =>
  (await caller.observe(from, some(1)))[0]!.counters.get('velocity')

beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())

describe('a Redis that fails', () => {
  beforeEach(async () => {
    await server.admin.flushall()
    redis = await open()
    await untilServing(redis)
    caller = new Caller(redis.store)
    await caller.own()
    await caller.observe(0, some(2))
  })
  afterEach(() => redis.close())

  test('is given up at the deadline once, and then at once, and is back within a second of its return', async () => {
    server.freeze()
    const first = await timed(() => caller.ask([caller.range(2, some(3))]))
    const later = await timed(async () => {
      for (let n = 0; n < 20; n++) await caller.ask([caller.range(5 + n, some(1))])
    })
    server.thaw()
    const back = await untilServing(redis)
    expect(first.result.kind).toBe('unavailable')
    expect(first.ms).toBeGreaterThan(DEADLINE_MS - 5)
    expect(first.ms).toBeLessThan(DEADLINE_MS + SLACK_MS)
    expect(later.ms).toBeLessThan(DEADLINE_MS)
    expect(back).toBeLessThan(RETURN_MS)
    expect(await count(25)).toBe(25)
  })

  test('is back within a second after being frozen for long, and what arrived late changed nothing', async () => {
    server.freeze()
    const started = performance.now()
    for (let from = 2; performance.now() - started < 3000; from++) {
      expect((await caller.ask([caller.range(2, some(3))])).kind).toBe('unavailable')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    server.thaw()
    expect(await untilServing(redis)).toBeLessThan(RETURN_MS)
    const seen = await caller.observe(5, some(1))
    expect([seen[0]!.counters.get('velocity'), seen[0]!.lost]).toEqual([5, false])
  })

  test.each([
    { how: 'paused for writes', start: ['CLIENT', 'PAUSE', '600', 'WRITE'], end: ['CLIENT', 'UNPAUSE'] },
    { how: 'made a replica', start: ['REPLICAOF', '127.0.0.1', '1'], end: ['REPLICAOF', 'NO', 'ONE'] },
    { how: 'out of memory', start: ['CONFIG', 'SET', 'maxmemory', '1'], end: ['CONFIG', 'SET', 'maxmemory', '0'] },
    {
      how: 'forgetting its functions under a lock',
      start: ['ACL', 'SETUSER', 'default', '-fcall'],
      end: ['ACL', 'SETUSER', 'default', '+fcall'],
    },
  ])('that was $how loses nothing, and is back within a second', async ({ start, end }) => {
    await server.admin.call(start[0]!, ...start.slice(1))
    const { result, ms } = await timed(() => caller.ask([caller.range(2, some(3))]))
    await server.admin.call(end[0]!, ...end.slice(1))
    expect(result).toMatchObject({ kind: 'unavailable', fault: { code: 'state.unavailable', retry: true } })
    expect(ms).toBeLessThan(DEADLINE_MS + SLACK_MS)
    expect(await untilServing(redis)).toBeLessThan(RETURN_MS)
    const seen = await caller.observe(5, some(1))
    expect([seen[0]!.counters.get('velocity'), seen[0]!.lost]).toEqual([5, false])
  })

  test('that is busy for long answers within the deadline or not at all', async () => {
    const busy = server.admin.call('DEBUG', 'SLEEP', '0.7')
    const { result, ms } = await timed(() => caller.ask([caller.range(2, some(3))]))
    await busy
    expect(result.kind).toBe('unavailable')
    expect(ms).toBeLessThan(DEADLINE_MS + SLACK_MS)
    expect(await untilServing(redis)).toBeLessThan(RETURN_MS)
    expect(await count(5)).toBe(5)
  })

  test('that forgot its functions gets them again within the call', async () => {
    await server.admin.function('FLUSH')
    expect(await count(2)).toBe(2)
    expect(redis.trouble()).toBeNull()
  })

  test('that holds something else under our keys is a fault, not an exception', async () => {
    await server.admin.set('{failures}:p:0', 'not a hash')
    const answer = await caller.ask([caller.range(2, some(1))])
    expect(answer).toMatchObject({ kind: 'unavailable', fault: { detail: expect.stringContaining('WRONGTYPE') } })
  })

  test('that holds context somebody else wrote is a fault, not an exception', async () => {
    await server.admin.set('{failures}:x:h', '{"version":1,')
    const asked = [{ context: [{ name: 'seller', key: 'k', hash: 'h' }] }]
    const answer = await caller.ask([caller.range(2, asked)])
    expect(answer).toMatchObject({ kind: 'unavailable', fault: { detail: expect.stringContaining('cannot be read') } })
  })

  test('that was restarted empty is noticed: fenced, and lost after acquiring', async () => {
    await server.kill()
    expect((await caller.ask([caller.range(2, some(3))])).kind).toBe('unavailable')
    await server.start()
    expect(await untilServing(redis)).toBeLessThan(RETURN_MS)
    expect(await caller.ask([caller.range(5, some(1))])).toEqual({ kind: 'fenced', partition: 0 })
    await caller.own(0, 5, 5)
    expect((await caller.observe(5, some(1)))[0]!.lost).toBe(true)
  })

  test('that came back without its last writes is noticed by partitions whose own are all there', async () => {
    await caller.ownAll(new Map([0, 1].map((it) => [it, { start: 2 - 2 * it, committed: null }])))
    await caller.observe(0, some(1), { partition: 1 })
    await server.admin.save()
    await caller.observe(1, some(3, { actionKey: 'late' }), { partition: 1 })
    await server.kill()
    await server.start()
    await untilServing(redis)
    expect((await caller.ask([caller.range(2, some(1))])).kind).toBe('fenced')
    await caller.own(0, 2, 2)
    expect((await caller.observe(2, some(1)))[0]!.lost).toBe(true)
  })

  test('that came back without its last reservations is noticed, though every observation is there', async () => {
    const asks = { counters: [blast()] }
    await caller.own(0, 2, null)
    await caller.observe(2, some(2, asks), { committed: 2 })
    await server.admin.save()
    await caller.reserve(2, some(2, asks))
    await server.kill()
    await server.start()
    await untilServing(redis)
    expect((await caller.ask([caller.range(4, some(1, asks))])).kind).toBe('fenced')
    await caller.own(0, 4, 4)
    expect((await caller.observe(4, some(1, asks)))[0]!.lost).toBe(true)
  })

  test('that came back without its last reservations is noticed by who acquires first', async () => {
    const asks = { counters: [blast()] }
    await caller.own(0, 2, null)
    await caller.observe(2, some(2, asks), { committed: 2 })
    await server.admin.save()
    await caller.reserve(2, some(2, asks))
    await server.kill()
    await server.start()
    await untilServing(redis)
    await caller.own(0, 4, 4)
    expect((await caller.observe(4, some(1, asks)))[0]!.lost).toBe(true)
  })

  test('belongs to one group: another one is told whose it is and what to do, and decides without it', async () => {
    const other = await open({ group: 'other' })
    await untilServing(other)
    const answer = await other.store.acquire(new Map([[0, { start: 0, committed: null }]]), 1, 1)
    expect(answer).toMatchObject({
      kind: 'unavailable',
      fault: { detail: expect.stringMatching(/belongs to group g on topic model.outputs.*set SLUICE_DEPLOYMENT/) },
    })
    expect(other.trouble()?.detail).toContain('belongs to group g')
    const asks = new Caller(other.store)
    expect(await asks.ask([asks.range(0, some(1))])).toEqual(answer)
    expect(await asks.ask([])).toEqual(answer)
    expect((await caller.ask([caller.range(2, some(1))])).kind).toBe('observed')
    other.close()
  })

  test('that only lost the connection has lost nothing', async () => {
    await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await expect.poll(() => redis.trouble(), { interval: 1 }).not.toBeNull()
    await untilServing(redis)
    expect((await caller.observe(2, some(1)))[0]!.lost).toBe(false)
  })

  test('keeps a long outage in order, and catches up in steps no longer than the deadline', async () => {
    await server.admin.call('REPLICAOF', '127.0.0.1', '1')
    const batch = 1000
    let from = 2
    for (; from < 60_000; from += batch)
      await caller.ask([caller.range(from, some(batch, { counters: [velocity('long', DAY)] }))])
    await server.admin.call('REPLICAOF', 'NO', 'ONE')
    await untilServing(redis)
    let answer = await timed(() => caller.ask([caller.range(from, some(1, { counters: [velocity('long', DAY)] }))]))
    for (let tries = 0; tries < 50 && answer.result.kind !== 'observed'; tries++) {
      expect(answer.ms).toBeLessThan(DEADLINE_MS + SLACK_MS)
      from += 1
      await untilServing(redis)
      answer = await timed(() => caller.ask([caller.range(from, some(1, { counters: [velocity('long', DAY)] }))]))
    }
    if (answer.result.kind !== 'observed') throw new Error(JSON.stringify(answer.result))
    const seen = answer.result.observations.get(0)!.get(from)!
    expect([seen.counters.get('velocity'), seen.lost]).toEqual([from - 2, false])
    expect(redis.store.backlogEvents).toBe(0)
  })
})

describe('a connection', () => {
  beforeEach(async () => void (await server.admin.flushall()))

  test('that cannot be made does not keep anyone waiting, and is made as soon as Redis is there', async () => {
    await server.kill()
    const opened = await timed(() => open())
    const late = opened.result
    caller = new Caller(late.store)
    const answer = await timed(() => caller.store.acquire(new Map([[0, { start: 0, committed: null }]]), 1, 1))
    await server.start()
    const back = await untilServing(late)
    late.close()
    expect(opened.ms).toBeLessThan(DEADLINE_MS + SLACK_MS)
    expect(answer.result).toMatchObject({
      kind: 'unavailable',
      fault: { detail: expect.stringContaining('ECONNREFUSED') },
    })
    expect(answer.ms).toBeLessThan(SLACK_MS)
    expect(back).toBeLessThan(RETURN_MS)
  })

  test('that falls silent is replaced', async () => {
    const wire = await wireTo(server.port)
    const state = await open({ url: `redis://127.0.0.1:${wire.port}` })
    await untilServing(state)
    caller = new Caller(state.store)
    await caller.own()
    wire.hush()
    expect((await caller.ask([caller.range(0, some(2))])).kind).toBe('unavailable')
    expect(await untilServing(state)).toBeLessThan(3000)
    expect(await count(2)).toBe(2)
    state.close()
    await wire.close()
  })

  test('needs no right but to its own keys and these commands', async () => {
    const rights = [
      '+fcall',
      '+function|load',
      '+info',
      '+hget',
      '+hmget',
      '+hset',
      '+hdel',
      '+hkeys',
      '+hgetall',
      '+mget',
      '+pttl',
      '+set',
      '+unlink',
      '+time',
    ]
    await server.admin.call('ACL', 'SETUSER', 'narrow', 'on', '>secret', '~{failures}:*', ...rights)
    const state = await open({ url: `redis://narrow:secret@127.0.0.1:${server.port}` })
    await untilServing(state)
    caller = new Caller(state.store)
    await caller.ownAll(new Map([0, 7].map((partition) => [partition, { start: 0, committed: null }])))
    await caller.observe(0, some(3), { partition: 7, committed: 0 })
    await caller.observe(0, some(4), { partition: 7, committed: 0 })
    await caller.reserve(0, some(2), 7)
    await caller.own(7, 2, 2)
    const applied = await state.context.apply({
      partition: 0,
      from: null,
      next: 1,
      updates: [{ offset: 0, hash: 'h', value: null }],
    })
    expect(applied.kind).toBe('applied')
    expect((await state.context.positions()).kind).toBe('positions')
    expect((await state.check()).kind).toBe('suitable')
    state.close()
  })

  test('with a wrong password is a fault that does not tell it', async () => {
    await server.admin.call('ACL', 'SETUSER', 'narrow', 'on', '>secret')
    const state = await open({ url: `redis://narrow:wrong-word@127.0.0.1:${server.port}` })
    const trouble = state.trouble()
    state.close()
    expect(trouble?.detail).toMatch(/WRONGPASS/)
    expect(JSON.stringify(trouble)).not.toContain('wrong-word')
  })
})

describe('a server that is not fit', () => {
  const checked = async (...options: readonly string[]): Promise<unknown> => {
    await using other = await startRedis(...options)
    const state = await open({ url: other.url })
    const result = await state.check()
    state.close()
    return result
  }

  test('that evicts is warned of', async () => {
    const result = await checked('--maxmemory-policy', 'allkeys-lru', '--appendonly', 'yes')
    expect(result).toMatchObject({
      kind: 'suitable',
      warnings: [expect.stringContaining('set `maxmemory-policy noeviction`')],
    })
  })

  test('that keeps no log is warned of, one that does is not', async () => {
    expect(await checked()).toMatchObject({ warnings: [expect.stringContaining('appendonly yes')] })
    expect(await checked('--appendonly', 'yes')).toMatchObject({ kind: 'suitable', warnings: [] })
  })

  test('in cluster mode is refused', async () => {
    expect(await checked('--cluster-enabled', 'yes')).toMatchObject({
      kind: 'unsuitable',
      problem: expect.stringContaining('Cluster'),
    })
  })
})
