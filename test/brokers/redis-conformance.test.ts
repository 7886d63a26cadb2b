import { afterAll, beforeAll } from 'vitest'
import { stateStoreConformance } from '../conformance/state-store.ts'
import { realSubject } from '../redis/real-subject.ts'
import { startRedis } from '../redis/server.ts'
import type { RedisServer } from '../redis/server.ts'

let server: RedisServer

beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())

stateStoreConformance('Redis', () => realSubject(server))
