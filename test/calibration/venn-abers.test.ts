import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { isotonicBlocks } from '../../src/calibration/isotonic.ts'
import { poolOf, type Sample } from '../../src/calibration/sample.ts'
import { vennAbers } from '../../src/calibration/venn-abers.ts'
import { drawn, samples } from './samples.ts'

/** The isotonic value of `score` after a row with it and this label was added. */
function withRow({ scores, right }: Sample, score: number, label: 0 | 1): number {
  const added = { scores: Float64Array.of(...scores, score), right: Uint8Array.of(...right, label) }
  return isotonicBlocks(poolOf(added)).find(({ from, to }) => score >= from && score <= to)?.share ?? NaN
}

const asked = fc.oneof(
  fc.integer({ min: 0, max: 16 }).map((it) => it / 16),
  fc.double({ min: 0, max: 1, noNaN: true }),
)

test('is what isotonic regression says with one more error, and with one more right row', () => {
  fc.assert(
    fc.property(samples(), asked, (sample, score) => {
      const { low, high } = vennAbers(poolOf(sample))(score)
      expect(low).toBeCloseTo(withRow(sample, score, 0), 10)
      expect(high).toBeCloseTo(withRow(sample, score, 1), 10)
    }),
    { numRuns: 500 },
  )
})

test('is narrow where there are many rows', () => {
  const narrow = vennAbers(poolOf(drawn(100_000, (score) => score)))
  const wide = vennAbers(poolOf(drawn(50, (score) => score)))
  const width = ({ low, high }: { low: number; high: number }): number => high - low
  expect(width(narrow(0.6))).toBeLessThan(0.02)
  expect(width(wide(0.6))).toBeGreaterThan(0.02)
  expect(narrow(0.6).low).toBeGreaterThan(0.55)
  expect(narrow(0.6).high).toBeLessThan(0.65)
})
