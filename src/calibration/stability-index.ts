import { at, countBelow } from './column.ts'

const DRIFT_BINS = 10

/**
 * The population stability index of two sets of scores over ten bins of equally many of the first: Σ (q − p) ln(q / p). A
 * hint that traffic has changed, never a proof: with few rows it is large by chance. Half a row is added to each bin, so
 * that an empty one is not infinite.
 */
export function stabilityIndex(before: Float64Array, after: Float64Array): number {
  const ascending = before.toSorted()
  const edges = Array.from({ length: DRIFT_BINS - 1 }, (_, bin) =>
    at(ascending, Math.floor(((bin + 1) * ascending.length) / DRIFT_BINS)),
  )
  const [p, q] = [sharesOf(ascending, edges), sharesOf(after.toSorted(), edges)]
  return p.reduce((sum, share, bin) => sum + (at(q, bin) - share) * Math.log(at(q, bin) / share), 0)
}

function sharesOf(ascending: Float64Array, edges: readonly number[]): readonly number[] {
  const below = [0, ...edges.map((edge) => countBelow(ascending, edge)), ascending.length]
  return Array.from(
    { length: DRIFT_BINS },
    (_, bin) => (at(below, bin + 1) - at(below, bin) + 0.5) / (ascending.length + DRIFT_BINS / 2),
  )
}
