import type { Shrunk } from './shrink.ts'

const LINES = 60

/** A failure for people: what broke, when, with which faults, how to see it again, and the end of its history. */
export function report({ plan, result, tried }: Shrunk): string {
  const { failure, trace } = result
  return [
    '',
    `seed ${plan.seed} fails at step ${failure?.step}: ${failure?.invariant}`,
    `  ${failure?.detail ?? ''}`,
    `smallest history found in ${tried} runs: ${plan.workers} processes, ${plan.brokers} brokers, ${plan.partitions} ` +
      `partitions, ${plan.events} records, ${plan.steps} steps; faults: ${plan.faults.join(', ') || 'none'}`,
    `  npm run simulate -- --seed ${plan.seed} --seeds 1   runs the whole of it again`,
    `its last ${Math.min(LINES, trace.length)} steps, in simulated milliseconds:`,
    ...trace.slice(-LINES).map((line) => `  ${line}`),
  ].join('\n')
}
