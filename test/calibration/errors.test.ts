import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { calibrationError, noiseFloor } from '../../src/calibration/calibration-error.ts'
import { auroc } from '../../src/calibration/metrics.ts'
import { seededRandom } from '../../src/calibration/random.ts'
import { poolOf, type Pooled, type Sample } from '../../src/calibration/sample.ts'
import { smoothCalibrationError } from '../../src/calibration/smooth-error.ts'
import { drawn, samples } from './samples.ts'

test('pooling keeps every row, in ascending order of score', () => {
  fc.assert(
    fc.property(samples(), (sample) => {
      const pooled = poolOf(sample)
      expect([...pooled.scores]).toEqual([...new Set(sample.scores)].sort((a, b) => a - b))
      for (const [group, score] of pooled.scores.entries()) {
        const rows = [...sample.scores].flatMap((it, row) => (it === score ? [sample.right[row] ?? NaN] : []))
        expect(pooled.counts[group]).toBe(rows.length)
        expect(pooled.rights[group]).toBe(rows.reduce((sum, it) => sum + it, 0))
      }
    }),
  )
})

test('auroc is the share of pairs in the right order', () => {
  fc.assert(
    fc.property(samples({ min: 2 }), ({ scores, right }) => {
      const of = (label: number): number[] => [...scores].filter((_, row) => right[row] === label)
      const pairs = of(1).flatMap((up) => of(0).map((down) => (up > down ? 1 : up === down ? 0.5 : 0)))
      const expected = pairs.reduce((sum: number, it) => sum + it, 0) / pairs.length
      const found = auroc(poolOf({ scores, right }))
      if (pairs.length === 0) expect(found).toBeNaN()
      else expect(found).toBeCloseTo(expected, 12)
    }),
  )
})

/** Without a mesh: the integral of the smoothed residuals by 2,000 midpoints, every row and image by itself. */
function smoothed({ scores, right }: Sample, width: number): number {
  const kernel = (x: number): number => Math.exp(-0.5 * (x / width) ** 2) / (width * Math.sqrt(2 * Math.PI))
  const images = [-6, -4, -2, 0, 2, 4, 6]
  let sum = 0
  for (let step = 0; step < 2_000; step++) {
    const t = (step + 0.5) / 2_000
    let here = 0
    for (const [row, score] of scores.entries())
      for (const image of images)
        here += ((right[row] ?? 0) - score) * (kernel(t - score + image) + kernel(t + score + image))
    sum += Math.abs(here / scores.length)
  }
  return sum / 2_000
}

describe('the smooth calibration error', () => {
  test.each([
    ['far off', drawn(150, (score) => score ** 3)],
    ['a little off', drawn(150, (score) => 0.1 + 0.8 * score)],
    ['always 1 too sure', { scores: new Float64Array(20).fill(1), right: new Uint8Array(20) }],
  ])('is the width at which it equals itself: %s', (_, sample) => {
    const error = smoothCalibrationError(poolOf(sample))
    expect(error).toBeGreaterThan(0.02)
    expect(Math.abs(smoothed(sample, error) - error)).toBeLessThan(2e-3)
  })

  test('is near 0 for many rows that are what they say', () => {
    expect(smoothCalibrationError(poolOf(drawn(50_000, (score) => score)))).toBeLessThan(0.01)
  })
})

describe('the noise floor', () => {
  const floorOf = (pooled: Pooled, sample: Sample) => ({
    error: calibrationError(pooled),
    floor: noiseFloor(sample.scores, seededRandom(3)),
  })

  test('explains the error of honest scores, and not that of others', () => {
    const honest = drawn(2_000, (score) => score, seededRandom(5))
    const other = drawn(2_000, (score) => score ** 1.5, seededRandom(5))
    const [a, b] = [floorOf(poolOf(honest), honest), floorOf(poolOf(other), other)]
    expect(a.floor.mean).toBeGreaterThan(0.01)
    expect(a.floor.p95).toBeGreaterThan(a.floor.mean)
    expect(a.error).toBeLessThan(a.floor.p95)
    expect(b.error).toBeGreaterThan(b.floor.p95)
  })
})
