import type { SeedResult } from './seed.ts'

/** What many seeds came to. */
export type Tally = {
  seeds: number
  steps: number
  simulatedMs: number
  verdicts: number
  deadLetters: number
  /** Verdicts decided without state. */
  degraded: number
  commits: number
  discards: number
  /** Processes that were started. */
  processes: number
  /** The longest time from the healing of a world until its last answer, simulated milliseconds. */
  recoveryMsMax: number
  /** The sum of all trace hashes modulo 2^64, which is the same in whatever order the seeds were run. */
  hash: string
}

export const emptyTally = (): Tally => ({
  seeds: 0,
  steps: 0,
  simulatedMs: 0,
  verdicts: 0,
  deadLetters: 0,
  degraded: 0,
  commits: 0,
  discards: 0,
  processes: 0,
  recoveryMsMax: 0,
  hash: '0000000000000000',
})

export function addResult(tally: Tally, result: SeedResult): void {
  tally.seeds++
  tally.steps += result.steps
  tally.simulatedMs += Math.round(result.simulatedMs)
  tally.verdicts += result.verdicts
  tally.deadLetters += result.deadLetters
  tally.degraded += result.degraded
  tally.commits += result.commits
  tally.discards += result.discards
  tally.processes += result.processes
  tally.recoveryMsMax = Math.max(tally.recoveryMsMax, Math.round(result.recoveryMs))
  tally.hash = sumOf(tally.hash, result.hash)
}

export function addTally(into: Tally, more: Tally): void {
  into.seeds += more.seeds
  into.steps += more.steps
  into.simulatedMs += more.simulatedMs
  into.verdicts += more.verdicts
  into.deadLetters += more.deadLetters
  into.degraded += more.degraded
  into.commits += more.commits
  into.discards += more.discards
  into.processes += more.processes
  into.recoveryMsMax = Math.max(into.recoveryMsMax, more.recoveryMsMax)
  into.hash = sumOf(into.hash, more.hash)
}

const sumOf = (a: string, b: string): string =>
  BigInt.asUintN(64, BigInt(`0x${a}`) + BigInt(`0x${b}`))
    .toString(16)
    .padStart(16, '0')
