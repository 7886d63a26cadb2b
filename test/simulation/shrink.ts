import type { Mutant } from './mutant.ts'
import type { Plan } from './plan.ts'
import { runSeed } from './seed.ts'
import type { SeedResult } from './seed.ts'

/** A smaller plan that breaks the same invariant, and what it came to. */
export type Shrunk = { readonly plan: Plan; readonly result: SeedResult; readonly tried: number }

/** More runs than this are not worth the wait. */
const RUNS_MAX = 300

/**
 * Leaves out kinds of faults, deeds, steps, events, processes, brokers and partitions for as long as the same invariant
 * breaks. A smaller plan has other chances, so what is left is what the failure needs and not a cut of its history.
 */
export async function shrink(plan: Plan, found: SeedResult, mutant: Mutant): Promise<Shrunk> {
  let best: Shrunk = { plan, result: found, tried: 0 }
  let tried = 0
  for (let isSmaller = true; isSmaller && tried < RUNS_MAX;) {
    isSmaller = false
    for (const candidate of smaller(best.plan, best.result)) {
      if (tried++ >= RUNS_MAX) break
      const result = await runSeed(candidate, mutant)
      if (result.failure?.invariant !== found.failure?.invariant) continue
      best = { plan: candidate, result, tried }
      isSmaller = true
      break
    }
  }
  return { ...best, tried }
}

function* smaller(plan: Plan, { failure }: SeedResult): Generator<Plan> {
  const step = failure?.step ?? plan.steps
  if (step < plan.steps) yield { ...plan, steps: step }
  for (const fault of plan.faults) yield { ...plan, faults: plan.faults.filter((it) => it !== fault) }
  if (plan.deedsMax > 1000) yield { ...plan, deedsMax: 64 }
  for (const share of [0.5, 0.8]) {
    const deedsMax = Math.floor(plan.deedsMax * share)
    if (deedsMax < plan.deedsMax && plan.deedsMax <= 1000) yield { ...plan, deedsMax }
    const events = Math.floor(plan.events * share)
    if (events > 0 && events < plan.events) yield { ...plan, events }
    const steps = Math.floor(plan.steps * share)
    if (steps > 0) yield { ...plan, steps }
  }
  if (plan.workers > 1) yield { ...plan, workers: plan.workers - 1 }
  if (plan.partitions > 1) yield { ...plan, partitions: plan.partitions - 1 }
  if (plan.brokers > 1) yield { ...plan, brokers: plan.brokers - 1 }
  if (plan.reads) yield { ...plan, reads: false }
}
