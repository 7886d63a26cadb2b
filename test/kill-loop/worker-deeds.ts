import { setTimeout as sleep } from 'node:timers/promises'
import { between, pick } from '../../src/commands/demo/random.ts'
import type { Random } from '../../src/commands/demo/random.ts'
import type { Gate } from './gate.ts'
import { MOMENTS, REQUESTS, START_REQUESTS } from './points.ts'
import type { Point } from './points.ts'
import type { Tally } from './tally.ts'
import type { Process, Worker } from './worker.ts'

export type Torment = {
  readonly random: Random
  readonly gate: Gate
  readonly tally: Tally
  /** No new deed after it aborts; what is under way is finished. */
  readonly over: AbortSignal
}

/** A start that takes longer is told of as an end in itself. */
const SERVING_MS = 120_000
/** How long an ordered process may take to come to the point; a quiet one may never reserve. */
const POINT_MS = 3_000
/** How long a zombie has to notice that it was replaced. */
const ZOMBIE_MS = 30_000

/** Does one thing after the other to a worker, each as soon as it has served again for a moment. */
export async function torment(worker: Worker, setting: Torment): Promise<void> {
  const { random, gate, over } = setting
  while (!over.aborted) {
    await gate.together(async () => {
      await serves(worker, setting)
      await sleep(between(random, 50, 2500))
      if (!over.aborted && !worker.process.hasEnded) await deedOn(worker, setting)
      await serves(worker, setting)
    })
  }
}

/** Waits until the worker has committed something; starts it again where it ended by itself. */
export async function serves(worker: Worker, { tally }: Pick<Torment, 'tally'>): Promise<void> {
  const until = Date.now() + SERVING_MS
  for (;;) {
    const { process } = worker
    const left = until - Date.now()
    const late = new AbortController()
    const became = await Promise.race([
      process.serving.then(() => 'serving' as const),
      process.ended,
      sleep(Math.max(0, left), 'late' as const, { signal: late.signal }).catch(() => 'late' as const),
    ])
    late.abort()
    if (became === 'late') {
      tally.gave(worker.slot, `did not serve within ${SERVING_MS / 1000} s`)
      await process.end('SIGKILL')
      worker.start()
      return
    }
    if (became === 'serving' && !process.hasEnded) return
    const { code, signal } = await process.ended
    if (worker.process !== process) continue
    tally.gave(worker.slot, signal ?? `exit code ${code}`)
    worker.start()
  }
}

function deedOn(worker: Worker, setting: Torment): Promise<void> {
  const dice = setting.random()
  if (dice < 0.4) return killAnyTime(worker, setting)
  if (dice < 0.74) return killAtPoint(worker, setting)
  if (dice < 0.84) return killWhileStarting(worker, setting)
  if (dice < 0.87) return killForLong(worker, setting)
  if (dice < 0.9) return freeze(worker, setting)
  if (dice < 0.92) return freezeAtPoint(worker, setting)
  if (dice < 0.94) return freezeAndReplace(worker, setting)
  return stopInOrder(worker, setting)
}

export async function killAnyTime(worker: Worker, { tally }: Torment): Promise<void> {
  await worker.process.end('SIGKILL')
  tally.kill(worker.slot, 'at a random moment', null)
  worker.start()
}

async function killAtPoint(worker: Worker, { random, tally }: Torment): Promise<void> {
  const at = `${pick(random, REQUESTS)} ${pick(random, MOMENTS)}`
  worker.process.order({ at, deed: 'SIGKILL' })
  const end = await endWithin(worker.process, POINT_MS)
  if (end) tally.kill(worker.slot, 'at a fail point', at)
  else {
    await worker.process.end('SIGKILL')
    tally.kill(worker.slot, 'at a random moment', null)
  }
  worker.start()
}

/** Once or twice before it has served: at a point of taking over, or at any moment. */
async function killWhileStarting(worker: Worker, setting: Torment): Promise<void> {
  const { random, tally } = setting
  await worker.process.end('SIGKILL')
  tally.kill(worker.slot, 'at a random moment', null)
  const at: Point | null = random() < 0.6 ? `${pick(random, START_REQUESTS)} ${pick(random, MOMENTS)}` : null
  worker.start(at)
  const { process } = worker
  if (at === null) await sleep(between(random, 500, 4000))
  else await Promise.race([process.ended, process.serving])
  if (!process.hasEnded) await process.end('SIGKILL')
  tally.kill(worker.slot, 'while starting', at)
  worker.start()
}

/** Long enough for the others to take its partitions over and to end its transaction. */
async function killForLong(worker: Worker, { random, tally }: Torment): Promise<void> {
  await worker.process.end('SIGKILL')
  tally.kill(worker.slot, 'restarted later', null)
  await sleep(between(random, 5_000, 14_000))
  worker.start()
}

/** 5 to 60 s, mostly around the group's session. */
const frozenFor = (random: Random): number =>
  random() < 0.15 ? between(random, 20_000, 60_000) : between(random, 5_000, 14_000)

async function freeze(worker: Worker, { random, tally }: Torment): Promise<void> {
  const ms = frozenFor(random)
  tally.deed('frozen', `${worker.slot} for ${seconds(ms)}`)
  worker.process.signal('SIGSTOP')
  await sleep(ms)
  worker.process.signal('SIGCONT')
}

async function freezeAtPoint(worker: Worker, { random, tally }: Torment): Promise<void> {
  const at = `${pick(random, REQUESTS)} ${pick(random, ['before', 'answered'])}`
  const ms = frozenFor(random)
  tally.deed('frozen at a fail point', `${worker.slot} at ${at} for ${seconds(ms)}`)
  worker.process.order({ at, deed: 'SIGSTOP' })
  await sleep(ms)
  await wake(worker.process)
}

/** It may not have come to the point where it was to sleep, and must not do so later, when nobody wakes it. */
async function wake(process: Process): Promise<void> {
  process.order({ at: 'nowhere', deed: 'SIGSTOP' })
  for (let times = 0; times < 5; times++) {
    process.signal('SIGCONT')
    await sleep(1_000)
  }
}

/** As when a node is cut off and its pod is started elsewhere: what wakes up is a zombie, and must find that out itself. */
async function freezeAndReplace(worker: Worker, { random, tally }: Torment): Promise<void> {
  const zombie = worker.process
  const at = `${pick(random, REQUESTS)} ${pick(random, ['before', 'answered'])}`
  zombie.order({ at, deed: 'SIGSTOP' })
  await sleep(1_000)
  zombie.signal('SIGSTOP')
  worker.start()
  await sleep(frozenFor(random))
  // Until the other one has joined, the place is still the frozen one's.
  await serves(worker, { tally })
  tally.deed('frozen and replaced, then woken', `${worker.slot} at ${at}`)
  await wake(zombie)
  if (await endWithin(zombie, ZOMBIE_MS)) return
  tally.gave(worker.slot, 'zombie that did not notice')
  await zombie.end('SIGKILL')
}

async function stopInOrder(worker: Worker, { tally }: Torment): Promise<void> {
  tally.deed('stopped in order', worker.slot)
  await stop(worker, tally)
  worker.start()
}

/** One after the other, as a roll-out does it. */
export async function rollingRestart(workers: readonly Worker[], { gate, tally }: Torment): Promise<void> {
  await gate.alone(async () => {
    tally.deed('rolling restart')
    for (const worker of workers) {
      await stop(worker, tally)
      worker.start()
      await serves(worker, { tally })
    }
  })
}

const STOP_MS = 30_000

async function stop(worker: Worker, tally: Tally): Promise<void> {
  const { process } = worker
  process.signal('SIGTERM')
  if (!(await endWithin(process, STOP_MS))) {
    tally.gave(worker.slot, 'did not stop when asked')
    await process.end('SIGKILL')
  }
  const { code, signal } = await process.ended
  if (code !== 0) tally.gave(worker.slot, `after SIGTERM: ${signal ?? `exit code ${code}`}`)
}

async function endWithin(process: Process, ms: number): Promise<boolean> {
  const late = new AbortController()
  const ended = await Promise.race([
    process.ended.then(() => true),
    sleep(ms, false, { signal: late.signal }).catch(() => false),
  ])
  late.abort()
  return ended
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
