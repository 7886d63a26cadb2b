import { cpus, loadavg } from 'node:os'

/** What a figure must reach; null: it is reported only. */
export type Goal = { readonly at: 'least' | 'most' | 'exactly'; readonly value: number }

/** One measured figure. `runs` are what `value` is the median of. */
export type Figure = {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly runs: readonly number[]
  readonly goal: Goal | null
  readonly note: string
  /** Of the last minute, before and after it was measured. */
  readonly load: readonly [before: number, after: number]
}

export type Measured = Omit<Figure, 'load'>

export const figure = (
  name: string,
  unit: string,
  runs: readonly number[],
  goal: Goal | null = null,
  note = '',
): Measured => ({ name, value: median(runs), unit, runs, goal, note })

export const least = (value: number): Goal => ({ at: 'least', value })
export const most = (value: number): Goal => ({ at: 'most', value })
export const exactly = (value: number): Goal => ({ at: 'exactly', value })

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >>> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** The value below which `share` (0 to 1) of the others lie. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** Null where there is no goal. A value that is no number misses it. */
export function isReached({ value, goal }: Measured): boolean | null {
  if (goal === null) return null
  if (goal.at === 'least') return value >= goal.value
  return goal.at === 'most' ? value <= goal.value : value === goal.value
}

export type Machine = {
  readonly cores: number
  readonly processor: string
  readonly node: string
  readonly kafka: string
  readonly redis: string
}

export const machineOf = (kafka: string, redis: string): Machine => ({
  cores: cpus().length,
  processor: cpus()[0]?.model ?? 'unknown',
  node: process.version,
  kafka,
  redis,
})

export const loadNow = (): number => Math.round((loadavg()[0] ?? Number.NaN) * 10) / 10
