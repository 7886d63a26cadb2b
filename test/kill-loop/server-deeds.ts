import { setTimeout as sleep } from 'node:timers/promises'
import { between } from '../../src/commands/demo/random.ts'
import { serves } from './worker-deeds.ts'
import type { Torment } from './worker-deeds.ts'
import { untilInSync } from './servers.ts'
import type { KillServers } from './servers.ts'
import type { Worker } from './worker.ts'

/** How long replicas may take to follow again after a broker came back. */
const IN_SYNC_MS = 120_000
/** After an outage: until every process has told Redis what it missed, which an idle one does with each empty poll. */
const CAUGHT_UP_MS = 3_000

/** A broker dies like in a power cut and comes back, all under traffic and beside the deaths of processes. */
export async function killBroker(servers: KillServers, { random, gate, tally }: Torment): Promise<void> {
  const node = 1 + Math.floor(random() * servers.brokers)
  await gate.together(async () => {
    tally.broker(node)
    await servers.kafka.kill(node)
    await sleep(between(random, 0, 3000))
    await bringBack(servers, node)
    tally.note('broker is back', { node })
    await untilInSync(servers, IN_SYNC_MS).catch((error: unknown) => tally.gave('brokers', String(error)))
    tally.note('all in sync')
  })
}

/** A machine that is busy may need more than one try until the broker answers in time. */
async function bringBack({ kafka }: KillServers, node: number): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await kafka.restart(node)
    } catch (error) {
      if (tries === START_TRIES) throw error
      await kafka.kill(node)
    }
  }
}

const START_TRIES = 3

/**
 * Redis dies while no process does: what it misses lies in the processes' memory, and a process that died too would take
 * it along, which counts as lost state, by design. Deaths of both at the same time come at the end of a round.
 */
export async function killRedis(servers: KillServers, workers: readonly Worker[], torment: Torment): Promise<void> {
  const { random, gate, tally } = torment
  await gate.alone(async () => {
    for (const worker of workers) await serves(worker, torment)
    if (random() < 0.5) {
      tally.deed('Redis killed')
      await servers.redis.kill()
      await sleep(between(random, 0, 3000))
      await servers.redis.restart()
    } else {
      tally.deed('Redis failed over')
      await servers.redis.failOver()
      await servers.redis.mend()
    }
    tally.note('Redis is back')
    await sleep(CAUGHT_UP_MS)
  })
}

/** The replica lacks the writes of the last moment when it takes over, which must be noticed. */
export async function loseLastWrites({ redis }: KillServers, { random, tally }: Torment): Promise<void> {
  const lagMs = between(random, 300, 1500)
  await redis.failOverWithLoss(lagMs)
  tally.deed('Redis failed over with its last writes lost', `of ${Math.round(lagMs)} ms`)
  await redis.mend()
}
