import { describe, expect, test } from 'vitest'
import { outlookOf } from '../../src/calibration/next-labels.ts'
import { seededRandom } from '../../src/calibration/random.ts'
import { stabilityIndex } from '../../src/calibration/stability-index.ts'
import { drawn } from './samples.ts'

const demand = { risk: 0.05, delta: 0.05, budget: 'per-execution' } as const

describe('the outlook', () => {
  const sample = drawn(400, (score) => 0.86 + 0.14 * score)
  const unlabelled = drawn(2_000, () => 1, seededRandom(2)).scores

  test('is that more labels certify more, and certify at all more often', () => {
    const found = outlookOf(sample, unlabelled, demand, [100, 400, 1_400, 5_400], seededRandom(1))
    expect(found.map(({ labels }) => labels)).toEqual([100, 400, 1_400, 5_400])
    for (const [index, { coverage, certified }] of found.entries()) {
      expect(coverage.mean).toBeGreaterThanOrEqual(found[index - 1]?.coverage.mean ?? 0)
      expect(certified).toBeGreaterThanOrEqual(found[index - 1]?.certified ?? 0)
      expect(coverage.p10).toBeLessThanOrEqual(coverage.p90)
    }
    expect(found.at(-1)?.certified).toBe(1)
  })

  test('is the same for the same seed, and empty without labels', () => {
    const of = (seed: number) => JSON.stringify(outlookOf(sample, unlabelled, demand, [400], seededRandom(seed)))
    expect(of(1)).toBe(of(1))
    const none = { scores: new Float64Array(), right: new Uint8Array() }
    expect(outlookOf(none, unlabelled, demand, [100], seededRandom(1))).toEqual([])
  })
})

describe('the population stability index', () => {
  test('is 0 for the same scores, and grows when they move', () => {
    const { scores } = drawn(5_000, () => 1)
    expect(stabilityIndex(scores, scores)).toBe(0)
    const moved = [0.9, 0.7, 0.5].map((factor) =>
      stabilityIndex(
        scores,
        scores.map((it) => it * factor),
      ),
    )
    expect(moved[0]).toBeGreaterThan(0.05)
    expect(moved[1]).toBeGreaterThan(moved[0] ?? NaN)
    expect(moved[2]).toBeGreaterThan(moved[1] ?? NaN)
  })

  test('stays finite where a bin is empty or all scores are equal', () => {
    expect(stabilityIndex(new Float64Array(100).fill(0.5), new Float64Array(100).fill(0.9))).toBeLessThan(20)
    expect(stabilityIndex(Float64Array.of(0.1), Float64Array.of(0.2))).toBeGreaterThanOrEqual(0)
  })

  test('without any drift is above what chance makes of it in about one case of twenty', () => {
    const above = Array.from({ length: 400 }, (_, seed) => {
      const random = seededRandom(seed + 1)
      const of = () => Float64Array.from({ length: 500 }, () => random())
      return stabilityIndex(of(), of()) > 16.919 * (2 / 500)
    }).filter(Boolean)
    expect(above.length).toBeGreaterThan(5)
    expect(above.length).toBeLessThan(40)
  })
})
