import { hash } from 'node:crypto'
import { labelsNeeded } from './binomial.ts'
import { at, type Column } from './column.ts'

/** The thresholds that are tried, strict to loose, and the first 16 bytes of their SHA-256 in hex. */
export type Grid = { readonly thresholds: readonly number[]; readonly hash: string }

const LEVELS = 50

/**
 * Thresholds for certifying with so many labels: the scores that 50 geometric and 50 linear steps of coverage leave above
 * them, from as little as could be certified with one error up to everything. It must be made from scores without labels,
 * seen before those that are tested; else the promise is void. Empty without scores.
 */
export function gridOf(unlabelled: Column, labels: number, risk: number, delta: number): Grid {
  const ascending = Float64Array.from(unlabelled).sort()
  const least = Math.min(1, labelsNeeded(risk, delta, 1) / labels)
  const steps = Array.from({ length: LEVELS }, (_, step) => step / (LEVELS - 1))
  const coverages = [...steps.map((step) => least ** (1 - step)), ...steps.map((step) => least + (1 - least) * step)]
  const thresholds = new Set(coverages.map((coverage) => leftAbove(ascending, coverage)).filter(Number.isFinite))
  return frozenGrid([...thresholds])
}

export function frozenGrid(thresholds: readonly number[]): Grid {
  const strictToLoose = thresholds.toSorted((a, b) => b - a)
  return { thresholds: strictToLoose, hash: hash('sha256', JSON.stringify(strictToLoose), 'hex').slice(0, 32) }
}

/** The (1 − coverage) quantile, the higher of two scores it falls between. */
function leftAbove(ascending: Float64Array, coverage: number): number {
  const last = ascending.length - 1
  // Rounding must not decide which score it is where the quantile falls on one.
  return at(ascending, Math.ceil(last * (1 - coverage) - 1e-9))
}
