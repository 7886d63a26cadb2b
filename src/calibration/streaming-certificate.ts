import { at } from './column.ts'
import { fallbackTest } from './fallback.ts'
import type { Grid } from './grid.ts'

const BETS = [0.1, 0.25, 0.5, 0.75, 0.95] as const

/**
 * What labels that came one by one prove about each threshold of a grid, at any time and however often it is looked at: a
 * mean of bets against "the risk is above the bound" (an e-process), and the most it ever was.
 */
export type StreamingCertificate = {
  readonly grid: Grid
  readonly risk: number
  /** What each bet on each threshold has grown to: threshold by threshold, five bets each. */
  readonly wealth: Float64Array
  /** The highest mean of the five so far, per threshold. */
  readonly most: Float64Array
  readonly labels: number
}

export const newStreamingCertificate = (grid: Grid, risk: number): StreamingCertificate => ({
  grid,
  risk,
  wealth: new Float64Array(grid.thresholds.length * BETS.length).fill(1),
  most: new Float64Array(grid.thresholds.length).fill(1),
  labels: 0,
})

/**
 * The state after one more label. Scores at or above a threshold count for it: the bets win on right, lose on errors. Where
 * labels were picked with unequal chances, `weight` is the smallest chance over this one's, at most 1.
 */
export function addLabel(state: StreamingCertificate, score: number, right: 0 | 1, weight = 1): StreamingCertificate {
  const { thresholds } = state.grid
  const wealth = state.wealth.slice()
  const most = state.most.slice()
  const factors = Float64Array.from(BETS, (bet) => 1 + bet * weight * (state.risk - (1 - right)))
  for (let index = 0; index < thresholds.length; index++) {
    if (!(score >= (thresholds[index] ?? Number.NaN))) continue
    const mean = multiply(wealth, index * BETS.length, factors)
    if (mean > (most[index] ?? Number.NaN)) most[index] = mean
  }
  return { ...state, wealth, most, labels: state.labels + 1 }
}

/** Multiplies the bets that begin at `from` in place, each by its factor, and answers their mean. */
function multiply(wealth: Float64Array, from: number, factors: Float64Array): number {
  let sum = 0
  for (let bet = 0; bet < factors.length; bet++) {
    // Infinity could not be written down as JSON, and proves no more.
    const grown = Math.min(Number.MAX_VALUE, (wealth[from + bet] ?? Number.NaN) * (factors[bet] ?? Number.NaN))
    wealth[from + bet] = grown
    sum += grown / factors.length
  }
  return sum
}

/** The loosest threshold certified by now, where the promise may ever fail with a chance of `delta`; null: none. */
export function certifiedBy({ grid, most }: StreamingCertificate, delta: number): number | null {
  const { last } = fallbackTest(
    most.map((it) => 1 / it),
    delta,
  )
  return last === null ? null : at(grid.thresholds, last)
}
