import { execFile } from 'node:child_process'
import { freemem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { startKafka } from '../../deploy/local/kafka.ts'
import type { LocalKafka } from '../../deploy/local/kafka.ts'
import { startRegistry } from '../../deploy/local/registry.ts'
import { RedisPair } from './redis-pair.ts'

/** What three brokers, a registry, two Redis and the processors take, bytes. */
const NEEDED = 5 * 1024 ** 3

export type KillServers = {
  readonly kafka: LocalKafka
  readonly redis: RedisPair
  readonly registry: string
  readonly brokers: number
  readonly close: () => Promise<void>
}

/** Three brokers with every partition on all of them; one where memory forbids. `brokers` null chooses. */
export async function startServers(brokers: 1 | 3 | null): Promise<KillServers> {
  const nodes = brokers ?? (freemem() > NEEDED ? 3 : 1)
  const [kafka, redis, registry] = await Promise.all([startKafka({ nodes }), RedisPair.start(), startRegistry()])
  return {
    kafka,
    redis,
    registry: registry.url,
    brokers: nodes,
    close: async () => void (await Promise.all([kafka.stop(), redis.stop(), registry.stop()])),
  }
}

const run = promisify(execFile)

/** Until every partition has all its replicas in sync, so that the next broker's death leaves a leader to each. */
export async function untilInSync({ kafka, brokers }: KillServers, withinMs: number): Promise<void> {
  const until = Date.now() + withinMs
  for (;;) {
    const behind = await partitionsBehind(kafka.brokers, brokers)
    if (behind === 0) return
    if (Date.now() > until) throw new Error(`${behind} partitions are not in sync after ${withinMs / 1000} s`)
    await sleep(500)
  }
}

type Listing = {
  readonly topics: readonly { readonly partitions: readonly { readonly isrs: readonly unknown[] }[] }[]
}

async function partitionsBehind(addresses: readonly string[], brokers: number): Promise<number> {
  const args = ['-L', '-J', '-b', addresses.join(','), '-m', '5']
  const listed = await run('kcat', args, { maxBuffer: 2 ** 26 }).catch(() => null)
  if (listed === null) return Infinity
  const { topics } = JSON.parse(listed.stdout) as Listing
  return topics.flatMap(({ partitions }) => partitions).filter(({ isrs }) => isrs.length < brokers).length
}
