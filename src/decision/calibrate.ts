import type { CalibrationTable } from './calibration.ts'

type Points = CalibrationTable['points']

/**
 * The calibrated score of `raw`: linear between two points, constant outside; never falls when `raw` rises. Rounded to 12
 * decimals, so that a threshold which lies on the line is reached in spite of binary fractions.
 */
export const calibrate = (points: Points, raw: number): number => Math.round(interpolate(points, raw) * 1e12) / 1e12

function interpolate(points: Points, raw: number): number {
  const above = firstAbove(points, raw)
  const left = points[above - 1]
  const right = points[above]
  if (left === undefined) return right?.[1] ?? Number.NaN
  if (right === undefined) return left[1]
  const share = (raw - left[0]) / (right[0] - left[0])
  // Rounding could carry the sum past the next point, and the map would fall there.
  return Math.min(right[1], left[1] + (right[1] - left[1]) * share)
}

/** The index of the first point whose raw score is greater; the number of points when there is none. */
function firstAbove(points: Points, raw: number): number {
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((points[middle]?.[0] ?? 0) > raw) high = middle
    else low = middle + 1
  }
  return low
}

/** Why `points` are no calibration table, in a sentence that names the point (counted from 1); null when they are. */
export function calibrationProblem(points: Points): string | null {
  if (points.length < 2) return `a table needs at least 2 points, this one has ${points.length}`
  for (const [index, point] of points.entries()) {
    const problem = pointProblem(point, points[index - 1])
    if (problem !== null) return `point ${index + 1} [${point.join(', ')}]: ${problem}`
  }
  return null
}

function pointProblem([raw, calibrated]: Points[number], previous: Points[number] | undefined): string | null {
  if (!(raw >= 0 && raw <= 1)) return 'the raw score must lie between 0 and 1'
  if (!(calibrated >= 0 && calibrated <= 1)) return 'the calibrated score must lie between 0 and 1'
  if (previous === undefined) return null
  if (!(raw > previous[0])) return `the raw score must be greater than the one before, ${previous[0]}`
  if (!(calibrated >= previous[1])) return `the calibrated score must not be less than the one before, ${previous[1]}`
  return null
}
