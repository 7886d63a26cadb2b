import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, inject, test } from 'vitest'
import { httpAnswers, redisAnswers } from '../../deploy/local/answers.ts'
import { startKafka } from '../../deploy/local/kafka.ts'
import { aliveBrokers } from '../../deploy/local/kafka-probe.ts'
import { startRedis } from '../../deploy/local/redis.ts'

const portOf = (address: string | undefined): number => Number(address?.split(':').at(-1))

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function eventually(holds: () => boolean): Promise<boolean> {
  for (let left = 100; left > 0 && !holds(); left--) await sleep(50)
  return holds()
}

describe('the servers of this run', () => {
  const stack = inject('stack')

  test('Kafka answers, at every address', async () => {
    expect(stack.brokers).not.toEqual([])
    for (const broker of stack.brokers) expect(await aliveBrokers(portOf(broker))).not.toEqual([])
  })

  test('the registry speaks the Confluent API', async () => {
    expect(await httpAnswers(`${stack.registry}/subjects`)).toBe(true)
  })

  test('Redis answers', async () => {
    expect(await redisAnswers(Number(new URL(stack.redis).port))).toBe(true)
  })
})

describe('a local Kafka', () => {
  test('of three nodes goes on without a killed one, which comes back with its data', async () => {
    const kafka = await startKafka({ nodes: 3 })
    try {
      expect([...kafka.pids.keys()].toSorted((a, b) => a - b)).toEqual([1, 2, 3])
      const killed = kafka.pids.get(2) ?? 0
      await kafka.kill(2)
      expect(isAlive(killed)).toBe(false)
      expect(await aliveBrokers(portOf(kafka.brokers[1]))).toEqual([])
      expect(await aliveBrokers(portOf(kafka.brokers[0]))).toContain(1)
      await kafka.restart(2)
      expect((await aliveBrokers(portOf(kafka.brokers[1]))).toSorted((a, b) => a - b)).toEqual([1, 2, 3])
    } finally {
      await kafka.stop()
    }
    expect(kafka.pids.size).toBe(0)
  })

  test('that cannot start says so with the end of its log', async () => {
    const starting = startKafka({ properties: { 'num.io.threads': 'many' } })
    await expect(starting).rejects.toThrow(/did not start: it ended with exit code 1[^]*num\.io\.threads/)
  })
})

describe('a local Redis', () => {
  test('comes back empty on the same port after a kill', async () => {
    const redis = await startRedis()
    try {
      const before = redis.pid
      await redis.kill()
      expect(isAlive(before)).toBe(false)
      await redis.restart()
      expect(redis.pid).not.toBe(before)
      expect(await redisAnswers(redis.port)).toBe(true)
    } finally {
      await redis.stop()
    }
  })
})

describe('servers and what they wrote end with the process that started them', () => {
  const starter = `
    import { startKafka } from './deploy/local/kafka.ts'
    import { startRedis } from './deploy/local/redis.ts'
    process.once('SIGTERM', () => process.exit(0))
    const [kafka, redis] = await Promise.all([startKafka(), startRedis()])
    console.log(JSON.stringify({ pids: [...kafka.pids.values(), redis.pid], folder: kafka.folder }))
    setInterval(() => undefined, 1000)`

  test.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)('also when it is ended by %s', async (signal) => {
    const root = join(import.meta.dirname, '..', '..')
    const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', starter], { cwd: root })
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    const { pids, folder } = JSON.parse(line) as { readonly pids: readonly number[]; readonly folder: string }
    expect(pids.map(isAlive)).toEqual([true, true])
    child.kill(signal)
    await once(child, 'exit')
    expect(await eventually(() => !pids.some(isAlive))).toBe(true)
    expect(await eventually(() => !existsSync(folder))).toBe(true)
  })
})
