import { setTimeout as sleep } from 'node:timers/promises'
import { followTopic } from '../../src/kafka/follow.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { until } from '../scenarios/support/until.ts'
import { openScene } from './scene.ts'
import type { Scene, SceneSettings } from './scene.ts'
import { untilInSync } from './servers.ts'
import { serves } from './worker-deeds.ts'
import type { Worker } from './worker.ts'

/** Milliseconds; `goal` is held against the 95th percentile. */
export type Recovery = {
  readonly what: string
  readonly goal: number
  readonly samples: readonly number[]
  readonly median: number
  readonly p95: number
}

/** What the issue of this harness promises, milliseconds. */
const GOALS = {
  'worker killed and restarted: its partitions are served again': 3_000,
  'worker killed and not restarted: others serve its partitions': 12_000,
  'worker stopped with SIGTERM: others serve its partitions': 3_000,
  'broker killed: every partition is served again': 15_000,
  'Redis killed or frozen: decisions go on without state': 1_000,
  'Redis returned: decisions with state again': 5_000,
} as const
type What = keyof typeof GOALS

type Record = (what: What, ms: number) => void

/**
 * How long each kind of loss is felt, in answers that a read_committed reader sees: from the last one of a partition
 * before it to the first one after, so that the silence of ordinary traffic is in it. `times` of each kind.
 */
export async function measureRecovery(settings: SceneSettings, times: number): Promise<readonly Recovery[]> {
  await using open = new AsyncDisposableStack()
  const scene = await openScene(settings, open)
  const samples = new Map<What, number[]>()
  const record: Record = (what, ms) => {
    samples.set(what, [...(samples.get(what) ?? []), ms])
    settings.say(`${(ms / 1000).toFixed(2).padStart(6)} s  ${what}`)
  }
  // A broker without others is missed until it is back, whatever the processors do.
  if (scene.servers.brokers === 1) settings.say('one broker alone: what its loss costs is not measured')
  const traffic = scene.traffic()
  await sleep(3_000)
  const [victim] = scene.workers
  if (victim === undefined) throw new Error('recovery needs workers')
  for (let n = 0; n < times; n++) {
    await killedAndRestarted(scene, victim, record)
    await killedForGood(scene, victim, record)
    await stoppedInOrder(scene, victim, record)
    await redisAway(scene, n % 2 === 0, record)
    if (scene.servers.brokers > 1) await brokerKilled(scene, 1 + (n % scene.servers.brokers), record)
  }
  await traffic.stop()
  return [...samples].map(([what, all]) => ({ what, goal: GOALS[what], samples: all, ...quantilesOf(all) }))
}

function quantilesOf(samples: readonly number[]): { readonly median: number; readonly p95: number } {
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? NaN
  return { median: at(0.5), p95: at(0.95) }
}

/** Long enough for a session, a rebalance and a broker's return. */
const SEEN_MS = 60_000

/** Does it, and gives the longest silence of a partition until each has an answer that was decided after it. */
async function silenceAfter(scene: Scene, deed: () => Promise<void>): Promise<number> {
  await settled(scene)
  const partitions = [...(await scene.inputEnds()).keys()]
  scene.watch.takeLongest()
  const served = new Set<number>()
  let since = Infinity
  const stop = scene.watch.listen((partition, decidedAt) => decidedAt > since && served.add(partition))
  try {
    await deed()
    since = Date.now()
    await until('all are served again', () => partitions.every((it) => served.has(it)), SEEN_MS)
    return scene.watch.takeLongest().ms
  } finally {
    stop()
  }
}

/** Every partition is served without a pause worth the name, by its rightful owner, since two seconds. */
async function settled({ watch, workers, tally }: Scene): Promise<void> {
  for (const worker of workers) await serves(worker, { tally })
  watch.takeLongest()
  await sleep(2_000)
  while (watch.takeLongest().ms > 1_000) await sleep(2_000)
}

async function killedAndRestarted(scene: Scene, worker: Worker, record: Record): Promise<void> {
  const ms = await silenceAfter(scene, async () => {
    await worker.process.end('SIGKILL')
    worker.start()
  })
  record('worker killed and restarted: its partitions are served again', ms)
}

async function killedForGood(scene: Scene, worker: Worker, record: Record): Promise<void> {
  const ms = await silenceAfter(scene, async () => void (await worker.process.end('SIGKILL')))
  record('worker killed and not restarted: others serve its partitions', ms)
  worker.start()
}

async function stoppedInOrder(scene: Scene, worker: Worker, record: Record): Promise<void> {
  const ms = await silenceAfter(scene, async () => void (await worker.process.end('SIGTERM')))
  record('worker stopped with SIGTERM: others serve its partitions', ms)
  worker.start()
}

/** Leaders, coordinators and the records not yet replicated go with it; it comes back after the others have taken over. */
async function brokerKilled(scene: Scene, node: number, record: Record): Promise<void> {
  const { kafka } = scene.servers
  const ms = await silenceAfter(scene, () => kafka.kill(node))
  // A coordinator may notice later than the leaders do.
  await sleep(5_000)
  record('broker killed: every partition is served again', Math.max(ms, scene.watch.takeLongest().ms))
  await kafka.restart(node)
  await untilInSync(scene.servers, SEEN_MS)
}

async function redisAway(scene: Scene, dies: boolean, record: Record): Promise<void> {
  await settled(scene)
  const { redis } = scene.servers
  const states = new States(scene)
  try {
    await states.see('ok', 0)
    const gone = Date.now()
    if (dies) await redis.kill()
    else redis.freeze()
    record('Redis killed or frozen: decisions go on without state', (await states.see('unavailable', gone)) - gone)
    await sleep(1_000)
    const returned = Date.now()
    if (dies) await redis.restart()
    else redis.thaw()
    record('Redis returned: decisions with state again', (await states.see('ok', returned)) - returned)
  } finally {
    await states.close()
  }
}

/** Sees with which state verdicts are decided, as they become visible. */
class States {
  readonly #stop = new AbortController()
  readonly #following: readonly Promise<void>[]
  #seen: { readonly state: string; readonly decidedAt: number; readonly at: number }[] = []

  constructor({ deployment: { connection, topics, records } }: Scene) {
    this.#following = (['execute', 'review', 'reject'] as const).map(
      (route) =>
        followTopic(connection, topics[route], {
          from: 'end',
          signal: this.#stop.signal,
          onRecord: async ({ value }) => {
            const read = await records.decode('Verdict', topics[route], value)
            if (read.kind === 'value') this.#take(read.value)
          },
        }).ended,
    )
  }

  /** When the first verdict with this state that was decided after `since` was seen; milliseconds since 1970. */
  async see(state: string, since: number): Promise<number> {
    const first = await until(
      `a verdict with state ${state}`,
      () => this.#seen.find((it) => it.state === state && it.decidedAt >= since),
      SEEN_MS,
    )
    return first.at
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#following)
  }

  #take({ facts }: Verdict): void {
    this.#seen.push({ state: facts.state, decidedAt: facts.now, at: Date.now() })
  }
}
