import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { libraryOf } from '../../src/redis/library.ts'
import { openRedis } from '../../src/redis/open.ts'
import type { RedisConfig, RedisState } from '../../src/redis/open.ts'
import { BACKLOG_EVENTS } from '../conformance/state-caller.ts'
import type { StateSubject } from '../conformance/state-caller.ts'
import type { RedisServer } from './server.ts'
import { wireTo } from './wire.ts'

export const START = 1_700_000_000_000
const source = readFileSync(new URL('../../src/redis/sluice.lua', import.meta.url), 'utf8')

/**
 * The library with its clock in the key `clock`, two fields as TIME answers them, and a third that says which server this
 * is. Nothing else is changed.
 */
export const clockedLibrary = libraryOf(
  source
    .replace("call('TIME')", "call('HMGET', 'clock', 's', 'us')")
    .replace("call('INFO', 'server')", "call('HGET', 'clock', 'server')"),
)

/** The state store on a real server that this test has for itself, its time in the test's hand. */
export async function realSubject(
  server: RedisServer,
  config: Partial<RedisConfig> = {},
): Promise<StateSubject & { redis: RedisState }> {
  const { admin } = server
  let now = START
  // At once, since a call in between would have no clock.
  const flush = (): Promise<unknown> =>
    admin
      .multi()
      .flushall()
      .hset('clock', { s: Math.floor(now / 1000), us: (now % 1000) * 1000, server: 'run_id:a' })
      .exec()
  await flush()
  const wire = await wireTo(server.port)
  const redis = await openRedis({
    url: `redis://127.0.0.1:${wire.port}`,
    deployment: 'conformance',
    topic: 'model.outputs',
    group: 'g',
    deadlineMs: 5000,
    probeMs: 10,
    backlogEvents: BACKLOG_EVENTS,
    library: clockedLibrary,
    ...config,
  })
  const serving = (): Promise<void> => expect.poll(() => redis.trouble(), { interval: 5 }).toBeNull()
  await serving()
  return {
    redis,
    store: redis.store,
    advance: async (ms) => {
      now += ms
      await server.admin.eval(AGE, 0, ms, Math.floor(now / 1000), (now % 1000) * 1000)
    },
    flush: async () => void (await flush()),
    putContext: async (hash, value) => {
      const run = { partition: 0, from: null, next: 1, updates: [{ offset: 0, hash, value }] }
      expect((await redis.context.apply(run)).kind).toBe('applied')
    },
    away: async () => {
      wire.cut()
      await expect.poll(() => redis.trouble(), { interval: 5 }).not.toBeNull()
    },
    back: async () => {
      wire.mend()
      await serving()
    },
    loseNextReply: async () => wire.cutBeforeReply(),
    close: async () => {
      redis.close()
      await wire.close()
    },
  }
}

/**
 * Moves the clock on, and lets every key that expires expire sooner by as much; at once, since a call in between would see
 * the one and not the other.
 */
const AGE = `
  local ms = tonumber(ARGV[1])
  for _, key in ipairs(redis.call('KEYS', '{*')) do
    local left = redis.call('PTTL', key)
    if left > 0 and left <= ms then
      redis.call('DEL', key)
    elseif left > 0 then
      redis.call('PEXPIRE', key, left - ms)
    end
  end
  redis.call('HSET', 'clock', 's', ARGV[2], 'us', ARGV[3])`
