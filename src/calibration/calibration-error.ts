import { at, type Column } from './column.ts'
import type { Pooled, Sample } from './sample.ts'
import type { Random } from './random.ts'

const BINS = 15

/**
 * Expected calibration error over 15 bins (low, high] of equal width: the mean distance, weighted by rows, between what a
 * bin's scores say and how often they were right. Never 0 for a finite sample, so say it beside `noiseFloor`.
 */
export function calibrationError({ scores, counts, rights, rows }: Pooled): number {
  const gaps = new Float64Array(BINS)
  for (let group = 0; group < scores.length; group++) {
    const bin = binOf(at(scores, group))
    gaps[bin] = at(gaps, bin) + at(counts, group) * at(scores, group) - at(rights, group)
  }
  return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / rows
}

const binOf = (score: number): number => Math.max(0, Math.ceil(score * BINS) - 1)

type Bin = { readonly rows: number; readonly said: number; readonly right: number }

/** The same over 15 bins of equally many rows; equal scores stay in the order the rows came. */
export const equalMassError = (sample: Sample): number =>
  equalMassBins(sample).reduce((sum, { said, right }) => sum + Math.abs(said - right), 0) / sample.scores.length

/**
 * The root mean squared distance over bins of equally many rows, less what chance alone adds to it; 0 when chance explains
 * all (Kumar, Liang, Ma: "Verified Uncertainty Calibration", 2019).
 */
export function debiasedError(sample: Sample): number {
  const bins = equalMassBins(sample).filter(({ rows }) => rows > 1)
  const squared = bins.reduce((sum, { rows, said, right }) => {
    const share = right / rows
    return sum + rows * ((said / rows - share) ** 2 - (share * (1 - share)) / (rows - 1))
  }, 0)
  return Math.sqrt(Math.max(0, squared / sample.scores.length))
}

function equalMassBins({ scores, right }: Sample): readonly Bin[] {
  const order = Uint32Array.from(scores, (_, row) => row).sort((a, b) => at(scores, a) - at(scores, b) || a - b)
  const size = Math.floor(order.length / BINS)
  const larger = order.length % BINS
  return Array.from({ length: BINS }, (_, bin) => {
    const from = bin * size + Math.min(bin, larger)
    const rows = order.subarray(from, from + size + (bin < larger ? 1 : 0))
    return { rows: rows.length, said: sumAt(scores, rows), right: sumAt(right, rows) }
  })
}

const sumAt = (column: Column, rows: Uint32Array): number => rows.reduce((sum, row) => sum + at(column, row), 0)

/**
 * What `calibrationError` would be by chance alone if the scores were exactly right: mean and 95th percentile over
 * `draws` samples whose labels are drawn from the scores.
 */
export function noiseFloor(
  scores: Float64Array,
  random: Random,
  draws = 200,
): { readonly mean: number; readonly p95: number } {
  const bins = Uint8Array.from(scores, binOf)
  const errors = Float64Array.from({ length: draws }, () => errorByChance(scores, bins, random)).sort()
  return { mean: errors.reduce((sum, it) => sum + it, 0) / draws, p95: at(errors, Math.ceil(0.95 * draws) - 1) }
}

/** The calibration error of labels drawn from the scores. */
function errorByChance(scores: Float64Array, bins: Uint8Array, random: Random): number {
  const gaps = new Float64Array(BINS)
  for (let row = 0; row < scores.length; row++) {
    const score = scores[row] ?? Number.NaN
    const bin = bins[row] ?? 0
    gaps[bin] = (gaps[bin] ?? Number.NaN) + score - (random() < score ? 1 : 0)
  }
  return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / scores.length
}
