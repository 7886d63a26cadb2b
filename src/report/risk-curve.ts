import { upperBound } from '../calibration/binomial.ts'
import type { Demand, Tested } from '../calibration/certification.ts'
import { coverageFrom } from '../calibration/certify.ts'
import { vennAbers, type Interval } from '../calibration/venn-abers.ts'
import { poolOf } from '../calibration/sample.ts'
import type { ScoreMap } from '../calibration/score-map.ts'
import type { FittedReliability } from './reliability.ts'
import type { Basis } from './report.ts'

/** One threshold of the grid: what it would execute and how much of that is wrong. */
export type RiskPoint = Tested & {
  /** The share of unlabelled scores at or above it. */
  readonly coverage: number
  /** Errors among what the budget counts them against; null where nothing was executed. */
  readonly share: number | null
  /** Clopper and Pearson's bounds of that, each for this threshold alone. */
  readonly low: number
  readonly high: number
  readonly result: 'certified' | 'failed' | 'not reached'
}

/** A threshold worth naming. */
export type Mark = {
  readonly name: 'certified' | 'by cost' | 'previous'
  readonly threshold: number
  readonly coverage: number
}

export type RiskCurve = {
  /** Strict to loose. */
  readonly points: readonly RiskPoint[]
  readonly marks: readonly Mark[]
  /** The probability of being right of the lowest score that is executed: calibrated, and its Venn–Abers interval. */
  readonly atThreshold: { readonly calibrated: number | null } & Interval
}

export function riskCurveOf(basis: Basis, { map }: FittedReliability): RiskCurve {
  const { certificate, certification, demand, part } = basis
  return {
    points: certification.tests.map((it) => ({
      ...it,
      coverage: coverageFrom(part.scores, it.threshold),
      ...boundsOf(it.executed, it.errors, certification.labels, demand),
      result: it.certified ? 'certified' : it.level > 0 ? 'failed' : 'not reached',
    })),
    marks: marksOf(basis, map),
    atThreshold: {
      calibrated: map?.apply(certificate.threshold) ?? null,
      ...vennAbers(poolOf(part.sample))(certificate.threshold),
    },
  }
}

/** The share of errors and its bounds, of the executed or of all events. */
export function boundsOf(
  executed: number,
  errors: number,
  labels: number,
  { budget, delta }: Demand,
): { readonly share: number | null; readonly low: number; readonly high: number } {
  const of = budget === 'per-event' ? labels : executed
  return {
    share: of === 0 ? null : errors / of,
    low: of === 0 ? 0 : 1 - upperBound(of - errors, of, delta),
    high: upperBound(errors, of, delta),
  }
}

function marksOf({ certificate, costs, part, previousThreshold }: Basis, map: ScoreMap | null): readonly Mark[] {
  const mark = (name: Mark['name'], threshold: number): Mark => ({
    name,
    threshold,
    coverage: coverageFrom(part.scores, threshold),
  })
  const byCost =
    costs === null || map === null ? null : scoreReaching(part.scores, map, 1 - costs.review / costs.wrongExecution)
  return [
    mark('certified', certificate.threshold),
    ...(byCost === null ? [] : [mark('by cost', byCost)]),
    ...(previousThreshold === null ? [] : [mark('previous', previousThreshold)]),
  ]
}

/** The lowest of the scores that the map takes to `probability` or above (Chow's rule); null: none. */
function scoreReaching(scores: Float64Array, map: ScoreMap, probability: number): number | null {
  let lowest = Infinity
  for (const score of scores) if (score < lowest && map.apply(score) >= probability) lowest = score
  return lowest === Infinity ? null : lowest
}
