import { calibrate } from '../decision/calibrate.ts'
import type { CalibrationTable } from '../decision/calibration.ts'
import { at } from './column.ts'
import { isotonicBlocks } from './isotonic.ts'
import { logisticFit, sigmoid } from './logistic.ts'
import { clipped, logit } from './metrics.ts'
import type { Pooled } from './sample.ts'

export const MAP_KINDS = ['identity', 'isotonic', 'platt', 'beta'] as const
export type MapKind = (typeof MAP_KINDS)[number]

/** A rising map from score to the probability of being right, with what it was fitted to be. */
export type ScoreMap = {
  readonly kind: MapKind
  /** platt: slope, intercept. beta: a, b, c. Else empty. */
  readonly parameters: readonly number[]
  readonly apply: (score: number) => number
}

type Points = CalibrationTable['points']

export const IDENTITY: ScoreMap = { kind: 'identity', parameters: [], apply: (score) => score }

/** Isotonic regression, linear between its blocks and constant outside. */
export function isotonicMap(pooled: Pooled): ScoreMap {
  const points = isotonicPoints(pooled)
  return { kind: 'isotonic', parameters: [], apply: (score) => calibrate(points, score) }
}

function isotonicPoints(pooled: Pooled): Points {
  const points = isotonicBlocks(pooled).flatMap(({ from, to, share }): Points =>
    from === to
      ? [[from, share]]
      : [
          [from, share],
          [to, share],
        ],
  )
  const [only] = points
  return points.length === 1 && only !== undefined
    ? [
        [0, only[1]],
        [1, only[1]],
      ]
    : points
}

/**
 * Platt's sigmoid(slope × logit(score) + intercept), fitted to his targets (n₁ + 1)/(n₁ + 2) and 1/(n₀ + 2). null when the
 * best one falls.
 */
export function plattMap(pooled: Pooled): ScoreMap | null {
  const { scores, counts, rights, rows, rightRows } = pooled
  const [ifRight, ifWrong] = [(rightRows + 1) / (rightRows + 2), 1 / (rows - rightRows + 2)]
  const targets = rights.map((right, group) => right * ifRight + (at(counts, group) - right) * ifWrong)
  const ones = new Float64Array(scores.length).fill(1)
  const parameters = logisticFit({ features: [scores.map(logit), ones], counts, rights: targets })
  const [slope, intercept] = [at(parameters, 0), at(parameters, 1)]
  if (!(slope >= 0)) return null
  return { kind: 'platt', parameters, apply: (score) => sigmoid(slope * logit(score) + intercept) }
}

/**
 * The beta map sigmoid(a ln s − b ln(1 − s) + c) of Kull, Silva Filho and Flach (AISTATS 2017). A term that would make it
 * fall is dropped, and the rest fitted anew; null when no term is left.
 */
export function betaMap({ scores, counts, rights }: Pooled): ScoreMap | null {
  const features = [scores.map((it) => Math.log(clipped(it))), scores.map((it) => -Math.log(1 - clipped(it)))]
  const ones = new Float64Array(scores.length).fill(1)
  const fit = (kept: readonly number[]): readonly number[] =>
    logisticFit({ features: [...features.filter((_, index) => kept.includes(index)), ones], counts, rights })
  const both = fit([0, 1])
  if (at(both, 0) >= 0 && at(both, 1) >= 0) return betaOf(at(both, 0), at(both, 1), at(both, 2))
  const kept = at(both, 0) < 0 ? 1 : 0
  const one = fit([kept])
  if (!(at(one, 0) >= 0)) return null
  return kept === 1 ? betaOf(0, at(one, 0), at(one, 1)) : betaOf(at(one, 0), 0, at(one, 1))
}

const betaOf = (a: number, b: number, c: number): ScoreMap => ({
  kind: 'beta',
  parameters: [a, b, c],
  apply: (score) => sigmoid(a * Math.log(clipped(score)) - b * Math.log(1 - clipped(score)) + c),
})

// ---- as a table -------------------------------------------------------------------------------------------------

const POINTS_MAX = 2_000
const TOLERANCE = 1e-5

/**
 * The map as the points of a calibration table, at most 2,000, that is within 1e-5 of it. `pooled` are the rows it was
 * fitted to.
 */
export function pointsOf(map: ScoreMap, pooled: Pooled): Points {
  if (map.kind === 'identity')
    return [
      [0, 0],
      [1, 1],
    ]
  if (map.kind === 'isotonic') return thinned(isotonicPoints(pooled))
  // The clipping bends the map at both edges; between them it is smooth.
  const edges = [0, clipped(0), 0.5, clipped(1), 1]
  return edges.flatMap((edge, index) => {
    const next = edges[index + 1]
    return next === undefined ? [pointOf(map, edge)] : [pointOf(map, edge), ...between(map, edge, next)]
  })
}

const pointOf = (map: ScoreMap, score: number): Points[number] => [score, map.apply(score)]

function between(map: ScoreMap, from: number, to: number): Points {
  if (to - from < 0.1 && isStraight(map, from, to)) return []
  const middle = (from + to) / 2
  return [...between(map, from, middle), pointOf(map, middle), ...between(map, middle, to)]
}

/** Looked at in three places: a curve that turns in the middle of its chord touches it there. */
function isStraight(map: ScoreMap, from: number, to: number): boolean {
  const [start, end] = [map.apply(from), map.apply(to)]
  return [0.25, 0.5, 0.75].every(
    (share) => Math.abs(map.apply(from + share * (to - from)) - (start + share * (end - start))) <= TOLERANCE / 2,
  )
}

function thinned(points: Points): Points {
  if (points.length <= POINTS_MAX) return points
  const step = (points.length - 1) / (POINTS_MAX - 1)
  return Array.from({ length: POINTS_MAX }, (_, index) => points[Math.round(index * step)] ?? [1, 1])
}
