// oxlint-disable-next-line import/no-unassigned-import -- it must take the timers' place before anything is loaded
import './virtual-time.ts'
import { MUTANTS, plant } from './mutants.ts'
import { NO_MUTANT } from './mutant.ts'
import type { Mutant } from './mutant.ts'
import { planOf } from './plan.ts'
import type { Plan } from './plan.ts'
import { runSeed } from './seed.ts'
import type { SeedResult } from './seed.ts'
import { shrink } from './shrink.ts'
import type { Shrunk } from './shrink.ts'
import { addResult, emptyTally } from './tally.ts'
import type { Tally } from './tally.ts'

/** A process of its own, since it has no clock but the simulated one. Does one order after the other. */

export type Order =
  /** Runs `count` seeds from `from` on. */
  | { readonly kind: 'seeds'; readonly from: number; readonly count: number; readonly steps: number }
  /** Runs seeds with a planted bug until one finds it. */
  | { readonly kind: 'mutant'; readonly name: string; readonly seedsMax: number; readonly steps: number }
  /** Runs one plan, and makes it smaller if it fails. */
  | { readonly kind: 'plan'; readonly plan: Plan; readonly mutant: string | null; readonly shrinks: boolean }

export type Failed = { readonly plan: Plan; readonly result: SeedResult }

export type Done =
  | { readonly kind: 'seeds'; readonly tally: Tally; readonly failed: readonly Failed[]; readonly cpuMs: number }
  | { readonly kind: 'mutant'; readonly name: string; readonly seeds: number; readonly failed: Failed | null }
  | { readonly kind: 'plan'; readonly shrunk: Shrunk }

// Errors are values here, and their stacks cost a tenth of the time; who looks into a crash runs its seed alone.
const LIMIT = Error.stackTraceLimit
Error.stackTraceLimit = 0

const mutantOf = (name: string | null): Mutant => MUTANTS.find((it) => it.name === name) ?? NO_MUTANT

async function runSeeds(from: number, count: number, steps: number): Promise<Done> {
  const tally = emptyTally()
  const failed: Failed[] = []
  const began = process.cpuUsage()
  for (let seed = from; seed < from + count; seed++) {
    const plan = planOf(seed, steps)
    const result = await runSeed(plan)
    addResult(tally, result)
    if (result.failure !== null) failed.push({ plan, result })
  }
  const { user, system } = process.cpuUsage(began)
  return { kind: 'seeds', tally, failed, cpuMs: (user + system) / 1000 }
}

async function runMutant(name: string, seedsMax: number, steps: number): Promise<Done> {
  const mutant = mutantOf(name)
  const unplant = plant(mutant)
  try {
    for (let seed = 1; seed <= seedsMax; seed++) {
      const plan = planOf(seed, steps)
      const result = await runSeed(plan, mutant)
      if (result.failure !== null) return { kind: 'mutant', name, seeds: seed, failed: { plan, result } }
    }
    return { kind: 'mutant', name, seeds: seedsMax, failed: null }
  } finally {
    unplant()
  }
}

async function runPlan(plan: Plan, name: string | null, shrinks: boolean): Promise<Done> {
  const mutant = mutantOf(name)
  const unplant = plant(mutant)
  Error.stackTraceLimit = LIMIT
  try {
    const result = await runSeed(plan, mutant)
    const shrunk = shrinks && result.failure !== null ? await shrink(plan, result, mutant) : { plan, result, tried: 0 }
    return { kind: 'plan', shrunk }
  } finally {
    Error.stackTraceLimit = 0
    unplant()
  }
}

function carryOut(order: Order): Promise<Done> {
  switch (order.kind) {
    case 'seeds':
      return runSeeds(order.from, order.count, order.steps)
    case 'mutant':
      return runMutant(order.name, order.seedsMax, order.steps)
    default:
      return runPlan(order.plan, order.mutant, order.shrinks)
  }
}

async function answer(order: Order): Promise<void> {
  try {
    process.send?.(await carryOut(order))
  } catch (error) {
    console.error(error)
    process.exit(1)
  }
}

process.on('message', (order: Order) => void answer(order))
process.on('disconnect', () => process.exit(0))
