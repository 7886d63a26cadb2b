import { setTimeout as sleep } from 'node:timers/promises'
import { between } from '../../src/commands/demo/random.ts'
import { until } from '../scenarios/support/until.ts'
import { policyInForce } from './policy.ts'
import { countedTwice, recount, storedCounters } from './recount.ts'
import type { Recount } from './recount.ts'
import { openScene } from './scene.ts'
import type { Scene, SceneSettings } from './scene.ts'
import { killBroker, killRedis, loseLastWrites } from './server-deeds.ts'
import { untilInSync } from './servers.ts'
import type { Tally } from './tally.ts'
import type { KillTraffic } from './traffic.ts'
import { verify } from './verify.ts'
import type { Seen } from './verify.ts'
import type { Gap } from './watch.ts'
import { killAnyTime, rollingRestart, serves, torment } from './worker-deeds.ts'

export type RoundSettings = SceneSettings & {
  readonly kills: number
  /** So many kills of processes come for each of a broker. */
  readonly brokerEvery: number
  /** No further deeds after it; what was done is verified. */
  readonly over: AbortSignal
}

export type RoundResult = {
  readonly tally: Tally
  readonly seen: Omit<Seen, 'marks'>
  /** The counters in Redis before its last writes were lost on purpose, and after that loss was rebuilt. */
  readonly recounts: readonly (Recount | NotCompared)[]
  readonly countedTwice: readonly string[]
  /** How often state was lost, planned or not. */
  readonly losses: number
  readonly executor: ExecutorResult
  readonly gap: Gap & { readonly during: string }
}

/** State was lost and not rebuilt in time, so that there was nothing exact to compare with. */
export type NotCompared = { readonly notCompared: string }

export type ExecutorResult = {
  readonly executed: number
  readonly doubled: readonly string[]
  readonly missing: readonly string[]
}

/** So many kills of processes come for each of these. */
const KILLS_FOR = { redis: 25, executor: 20, rollingRestart: 60 } as const
/** Kills that come together with the loss of Redis' last writes, at a round's end. */
const LAST_KILLS = 4
const DRAIN_MS = 180_000
const REBUILT_MS = 90_000

/**
 * One deployment from its first event to its last: tormented, drained, its counters read from Redis; then Redis fails
 * over without its last writes while processes and a broker die; drained again, and everything verified.
 */
export async function playRound(settings: RoundSettings): Promise<RoundResult> {
  await using open = new AsyncDisposableStack()
  const scene = await openScene(settings, open)
  await tormentAll(scene, settings)
  const before = await countersNow(scene)
  await loseStateUnderKills(scene, settings)
  const after = await countersNow(scene)
  const all = await verify(scene.deployment, policyInForce())
  const { marks, ...seen } = all
  const gap = scene.watch.takeLongest()
  return {
    tally: scene.tally,
    seen,
    recounts: [
      compared(before, all, scene, 'before the planned loss'),
      compared(after, all, scene, 'after the planned loss'),
    ],
    countedTwice: countedTwice(marks, scene.epochs.laterFrom),
    losses: scene.epochs.laterFrom.length,
    executor: await settleExecutor(scene, seen),
    gap: { ...gap, during: scene.tally.during(gap.ended - gap.ms - 1000, gap.ended) },
  }
}

/** What Redis has counted when all input below `ends` was decided; null when its state is lost. */
type CountersNow = {
  readonly ends: ReadonlyMap<number, number>
  readonly stored: ReadonlyMap<string, number> | null
}

async function countersNow({ inputEnds, deployment, servers, tally }: Scene): Promise<CountersNow> {
  const ends = await inputEnds()
  const stored = await storedCounters(servers.redis, deployment.name, REBUILT_MS)
  tally.note('counters read', { ends: [...ends], lost: stored === null })
  return { ends, stored }
}

function compared(
  { ends, stored }: CountersNow,
  { marks, unread }: Seen,
  { deployment }: Scene,
  when: string,
): Recount | NotCompared {
  if (stored === null) return { notCompared: `${when}: state was lost and not rebuilt in ${REBUILT_MS / 1000} s` }
  const decided = marks.filter(({ partition, offset }) => offset < (ends.get(partition) ?? 0))
  return recount(decided, stored, deployment.topics.input, unread)
}

async function tormentAll(scene: Scene, { kills, brokerEvery, over }: RoundSettings): Promise<void> {
  const { tally, workers, servers } = scene
  const enough = new AbortController()
  const either = AbortSignal.any([enough.signal, over])
  const traffic = scene.traffic()
  const every = (each: number, actor: number, deed: (torment: ReturnType<Scene['torment']>) => Promise<void>) =>
    repeat(tally, each, either, () => deed(scene.torment(actor, either)))
  const actors = [
    ...workers.map((worker, at) => torment(worker, scene.torment(at, either))),
    every(brokerEvery, 100, (it) => killBroker(servers, it)),
    every(KILLS_FOR.redis, 200, (it) => killRedis(servers, workers, it)),
    every(KILLS_FOR.rollingRestart, 300, (it) => rollingRestart(workers, it)),
    every(KILLS_FOR.executor, 400, async () => {
      tally.deed('executor killed')
      await scene.executor.killAndRestart()
    }),
  ]
  while (tally.killed < kills && !over.aborted) await sleep(100)
  enough.abort()
  await Promise.all(actors)
  await drain(scene, traffic)
}

/** The deed each time so many more processes have been killed. */
async function repeat(tally: Tally, each: number, over: AbortSignal, deed: () => Promise<void>): Promise<void> {
  for (let next = each; !over.aborted;) {
    if (tally.killed < next) await sleep(100)
    else {
      await deed()
      next = Math.max(next, tally.killed) + each
    }
  }
}

/** Both at the same time, so that what one process has in its memory is lost with what Redis has not kept. */
async function loseStateUnderKills(scene: Scene, { over }: RoundSettings): Promise<void> {
  const torment = scene.torment(500, over)
  const traffic = scene.traffic()
  await sleep(between(torment.random, 500, 1500))
  const deaths = async (): Promise<void> => {
    for (let n = 0; n < LAST_KILLS; n++) {
      const worker = scene.workers[n % scene.workers.length]
      if (worker === undefined) continue
      await serves(worker, torment)
      await sleep(between(torment.random, 0, 600))
      await killAnyTime(worker, torment)
    }
  }
  // A broker that died first would stop the writes that are to be lost.
  const brokerDeath = sleep(2000).then(() => killBroker(scene.servers, torment))
  await Promise.all([loseLastWrites(scene.servers, torment), brokerDeath, deaths()])
  await drain(scene, traffic)
}

/** Until all that came is answered. What is not in time is left to the verifier to name. */
async function drain({ tally, workers, servers, watch, inputEnds }: Scene, traffic: KillTraffic): Promise<void> {
  // Each must have had something to decide since it was started.
  for (const worker of workers) await serves(worker, { tally })
  await traffic.stop()
  await untilInSync(servers, DRAIN_MS).catch((error: unknown) => tally.gave('brokers', String(error)))
  const events = [...(await inputEnds()).values()].reduce((sum, end) => sum + end, 0)
  tally.note('draining', { events })
  await until(`${events} events are answered`, () => watch.visible >= events, DRAIN_MS).catch((error: unknown) =>
    tally.note('not drained', { error: String(error), visible: watch.visible }),
  )
  // Redis is told of what it missed with the next empty poll.
  await sleep(1500)
}

/** Every executable action is done once, and nothing else. */
async function settleExecutor(
  { executor }: Scene,
  { executeKeys }: Pick<Seen, 'executeKeys'>,
): Promise<ExecutorResult> {
  const enough = () => new Set([...executor.read().executed, ...executor.read().late]).size >= executeKeys.size
  await until('all is executed', enough, 60_000).catch(() => undefined)
  await executor.stop()
  const { executed, late, again } = executor.read()
  const once = new Set(executed)
  const done = new Set([...executed, ...late])
  return {
    executed: once.size,
    doubled: [
      ...repeatsOf(executed),
      ...Array.from({ length: again }, () => 'handed over again'),
      ...executed.filter((key) => !executeKeys.has(key)).map((key) => `${key} without a verdict`),
    ],
    missing: [...executeKeys].filter((key) => !done.has(key)),
  }
}

function repeatsOf(keys: readonly string[]): readonly string[] {
  const seen = new Set<string>()
  return keys.filter((key) => seen.size === seen.add(key).size)
}
