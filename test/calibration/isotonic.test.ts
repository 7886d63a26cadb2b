import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { consistencyBand } from '../../src/calibration/consistency-band.ts'
import { brierParts } from '../../src/calibration/corp.ts'
import { isotonicBlocks } from '../../src/calibration/isotonic.ts'
import { seededRandom } from '../../src/calibration/random.ts'
import { poolOf, type Sample } from '../../src/calibration/sample.ts'
import { drawn, leastMs, samples } from './samples.ts'

/** The isotonic value of each distinct score by its definition: max over starts of min over ends of the mean. */
function maxMin({ scores, right }: Sample): number[] {
  const distinct = [...new Set(scores)].sort((a, b) => a - b)
  const mean = (from: number, to: number): number => {
    const rows = [...right].filter((_, row) => (scores[row] ?? NaN) >= from && (scores[row] ?? NaN) <= to)
    return rows.reduce((sum, it) => sum + it, 0) / rows.length
  }
  return distinct.map((_, at) =>
    Math.max(...distinct.slice(0, at + 1).map((from) => Math.min(...distinct.slice(at).map((to) => mean(from, to))))),
  )
}

describe('isotonic regression', () => {
  test('is the max of the mins of means', () => {
    fc.assert(
      fc.property(samples({ max: 20 }), (sample) => {
        const pooled = poolOf(sample)
        const blocks = isotonicBlocks(pooled)
        const values = [...pooled.scores].map(
          (score) => blocks.find(({ from, to }) => score >= from && score <= to)?.share,
        )
        for (const [index, value] of maxMin(sample).entries()) expect(values[index]).toBeCloseTo(value, 12)
      }),
    )
  })

  test('its blocks hold every row once, rise strictly and keep the number of right rows', () => {
    fc.assert(
      fc.property(samples(), (sample) => {
        const blocks = isotonicBlocks(poolOf(sample))
        expect(blocks.reduce((sum, { rows }) => sum + rows, 0)).toBe(sample.scores.length)
        const rights = blocks.reduce((sum, { rows, share }) => sum + rows * share, 0)
        expect(rights).toBeCloseTo(
          [...sample.right].reduce((sum, it) => sum + it, 0),
          9,
        )
        for (const [index, block] of blocks.slice(1).entries()) {
          expect(block.share).toBeGreaterThan(blocks[index]?.share ?? NaN)
          expect(block.from).toBeGreaterThan(blocks[index]?.to ?? NaN)
        }
      }),
    )
  })

  test('100,000 rows take less than 100 ms', () => {
    const sample = drawn(100_000, (score) => score ** 2)
    const blocks = isotonicBlocks(poolOf(sample))
    expect(blocks.length).toBeGreaterThan(50)
    expect(leastMs(() => expect(isotonicBlocks(poolOf(sample))).toHaveLength(blocks.length))).toBeLessThan(100)
  })
})

describe('the parts of the Brier score', () => {
  test('none is negative, and they add up', () => {
    fc.assert(
      fc.property(samples(), (sample) => {
        const { brier, miscalibration, discrimination, uncertainty } = brierParts(poolOf(sample))
        expect(miscalibration - discrimination + uncertainty).toBeCloseTo(brier, 12)
        expect(miscalibration).toBeGreaterThan(-1e-12)
        expect(discrimination).toBeGreaterThan(-1e-12)
      }),
    )
  })
})

describe('the consistency band', () => {
  const at = [0.1, 0.3, 0.5, 0.7, 0.9]
  const shareInside = (map: (score: number) => number): number => {
    const sample = drawn(3_000, map, seededRandom(7))
    const band = consistencyBand(poolOf(sample), at, seededRandom(8))
    const blocks = isotonicBlocks(poolOf(sample))
    const inside = at.filter((score, index) => {
      const share = blocks.findLast(({ from }) => from <= score)?.share ?? NaN
      return share >= (band[index]?.low ?? NaN) && share <= (band[index]?.high ?? NaN)
    })
    return inside.length / at.length
  }

  test('holds the curve of scores that are what they say, and not that of others', () => {
    expect(shareInside((score) => score)).toBeGreaterThanOrEqual(0.8)
    expect(shareInside((score) => score ** 2)).toBeLessThanOrEqual(0.2)
  })
})
