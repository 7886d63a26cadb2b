import { Violation } from './books.ts'
import { deedsOf, doDeed, heal } from './deeds.ts'
import { NO_MUTANT } from './mutant.ts'
import type { Mutant } from './mutant.ts'
import type { Plan } from './plan.ts'
import { Scene } from './scene.ts'
import { useTicker } from './virtual-time.ts'

/** After this much simulated time without faults every input must have its answer, milliseconds. */
export const RECOVERY_MS = 60_000
/** For how long all must stay well after that, milliseconds. */
const QUIET_MS = 1_500
/** More than this is a loop. */
const TURNS_MAX = 100_000

export type Failure = { readonly step: number; readonly invariant: string; readonly detail: string }

export type SeedResult = {
  readonly seed: number
  readonly hash: string
  readonly steps: number
  readonly simulatedMs: number
  /** How long it took after the healing until every input had its answer, milliseconds. */
  readonly recoveryMs: number
  readonly verdicts: number
  readonly deadLetters: number
  readonly degraded: number
  readonly commits: number
  readonly discards: number
  readonly processes: number
  readonly failure: Failure | null
  readonly trace: readonly string[]
}

let present: Scene | null = null

/** What nobody waits for would end a process; here it ends the seed. */
process.on('unhandledRejection', (reason) => present?.fail(reason))
process.on('uncaughtException', (error) => present?.fail(error))

/** One world from its beginning to its end. */
export async function runSeed(plan: Plan, mutant: Mutant = NO_MUTANT): Promise<SeedResult> {
  const scene = new Scene(plan, mutant)
  present = scene
  let failure: Failure | null = null
  let recoveryMs = 0
  try {
    scene.begin()
    await misbehave(scene)
    recoveryMs = await recover(scene)
    scene.books.close()
  } catch (error) {
    failure = failureOf(scene, error)
  }
  present = null
  useTicker(null)
  const { world, books, commits, discards, processes } = scene
  return {
    seed: plan.seed,
    hash: world.trace.hash,
    steps: world.steps,
    simulatedMs: world.now(),
    recoveryMs,
    verdicts: books.verdicts,
    deadLetters: books.deadLetters,
    degraded: books.degraded,
    commits,
    discards,
    processes: processes.length,
    failure,
    trace: world.trace.last,
  }
}

async function misbehave(scene: Scene): Promise<void> {
  const { plan, world } = scene
  const deeds = deedsOf(scene)
  let done = 0
  while (world.steps < plan.steps) {
    if (deeds.length > 0 && done < plan.deedsMax && world.chance.deeds() * plan.deedEvery < 1) {
      const kind = deeds[Math.floor(world.chance.deeds() * deeds.length)]
      if (kind !== undefined) doDeed(scene, kind)
      done++
    }
    await step(scene)
    if (scene.produced === plan.events && scene.books.isComplete) return
  }
}

async function recover(scene: Scene): Promise<number> {
  const { world, books, plan } = scene
  heal(scene)
  scene.read()
  const from = world.now()
  const until = from + RECOVERY_MS
  while (!(scene.produced === plan.events && books.isComplete)) await stepBefore(until, scene)
  const took = world.now() - from
  const quiet = world.now() + QUIET_MS
  while (world.now() < quiet) await step(scene)
  // What was lost unseen is seen at the latest when something comes, and what comes may repeat what was executed.
  scene.produceLast()
  while (!(books.isComplete && scene.isRead && books.isCaughtUp)) await stepBefore(until + QUIET_MS, scene)
  return took
}

async function stepBefore(until: number, scene: Scene): Promise<void> {
  if (scene.world.now() > until)
    throw new Violation('every input gets its answer in time', `not in ${RECOVERY_MS} ms: ${scene.standing()}`)
  await step(scene)
}

async function step(scene: Scene): Promise<void> {
  if (scene.world.turns > TURNS_MAX) throw new Violation('nothing runs in circles', `${TURNS_MAX} turns`)
  if (!(await scene.world.step())) throw new Violation('time goes on', 'nothing is due any more')
  if (scene.violation !== null) throw scene.violation
  if (scene.touched) scene.books.look()
  scene.touched = false
  if (scene.world.steps % 16 === 0) scene.checkBounds()
}

function failureOf(scene: Scene, error: unknown): Failure {
  const step = scene.world.steps
  if (error instanceof Violation) return { step, invariant: error.invariant, detail: error.message }
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { step, invariant: 'nothing crashes', detail }
}
