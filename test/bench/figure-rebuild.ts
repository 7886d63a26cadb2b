import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { drainWith } from './drain.ts'
import { figure, most } from './figure.ts'
import type { Measured } from './figure.ts'
import { startProcessor } from './processor.ts'
import type { Scene } from './scene.ts'

const BATCH = 1000
/** For a million verdicts. */
const GOAL_S = 60

/** How long a processor takes, from its start on, to rebuild state that was lost, from five times the events of the drains. */
export async function rebuildFigures(scene: Scene): Promise<readonly Measured[]> {
  const verdicts = scene.events * 5
  const input = await scene.preloaded(verdicts)
  const deployment = await scene.deployment(input)
  await drainWith(deployment, { kind: 'pipeline', warm: 0, events: verdicts, batch: BATCH }, [])
  const redis = new Redis(scene.stack.redis)
  await forget(redis, deployment.config.SLUICE_DEPLOYMENT)
  const state = `{${deployment.config.SLUICE_DEPLOYMENT}}:state`
  const began = performance.now()
  const processor = await startProcessor(deployment)
  // Nobody has taken the partitions, and so nobody has noticed, before there is an epoch.
  while ((await redis.hget(state, 'epoch')) === null || (await redis.hget(state, 'lostAt')) !== null) await sleep(20)
  const seconds = (performance.now() - began) / 1000
  const cpuS = (await processor.cpuUs()) / 1e6
  await processor.stop()
  redis.disconnect()
  await deployment.remove()
  const note = `${verdicts.toLocaleString('en')} verdicts, ${cpuS.toFixed(1)} s of CPU, start of the process included; one run`
  return [figure('rebuild of lost state', 's', [seconds], most((GOAL_S * verdicts) / 1_000_000), note)]
}

/** As a server that lost its memory, for this deployment alone. */
async function forget(redis: Redis, deployment: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: `{${deployment}}:*`, count: 1000 }))
    if ((keys as string[]).length > 0) await redis.unlink(...(keys as string[]))
}
