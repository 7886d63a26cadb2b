import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { calibrate, calibrationProblem } from '../../src/decision/calibrate.ts'
import { chooseMap } from '../../src/calibration/choose-map.ts'
import { logLoss, meanLoss } from '../../src/calibration/metrics.ts'
import { seededRandom } from '../../src/calibration/random.ts'
import { poolOf, type Sample } from '../../src/calibration/sample.ts'
import { betaMap, IDENTITY, isotonicMap, plattMap, pointsOf } from '../../src/calibration/score-map.ts'
import { drawn, samples } from './samples.ts'
import { seriesOf } from './series.ts'

describe('every map, as a table the processor reads', () => {
  test('rises, and is within 1e-4 of what was fitted', () => {
    fc.assert(
      fc.property(samples({ min: 5 }), (sample) => {
        const pooled = poolOf(sample)
        for (const map of [IDENTITY, isotonicMap(pooled), plattMap(pooled), betaMap(pooled)]) {
          if (map === null) continue
          const points = pointsOf(map, pooled)
          expect(calibrationProblem(points)).toBeNull()
          expect(points.length).toBeLessThanOrEqual(2_000)
          for (const score of [0, 1e-7, 0.003, 0.1, 0.25, 0.49, 0.5, 0.73, 0.999, 1])
            expect(Math.abs(calibrate(points, score) - map.apply(score))).toBeLessThan(1e-4)
        }
      }),
    )
  })

  test('of more blocks than a table may have is thinned out', () => {
    const groups = 50_000
    const scores = Float64Array.from({ length: groups }, (_, group) => group / groups)
    const counts = scores.map(() => groups)
    // One more right row in each group than in the one before: every group is a block.
    const rights = scores.map((_, group) => group)
    const steep = { scores, counts, rights, rows: groups * groups, rightRows: (groups * (groups - 1)) / 2 }
    const points = pointsOf(isotonicMap(steep), steep)
    expect(points).toHaveLength(2_000)
    expect(calibrationProblem(points)).toBeNull()
  })
})

describe('a map that would fall', () => {
  const backwards = drawn(2_000, (score) => 1 - score)
  test('is no candidate', () => {
    expect(plattMap(poolOf(backwards))).toBeNull()
    expect(betaMap(poolOf(backwards))).toBeNull()
    expect(chooseMap(backwards, seededRandom(1))?.candidates.map(({ kind }) => kind)).toEqual(['identity', 'isotonic'])
  })
})

const sharpened = (score: number): number => score ** 2 / (score ** 2 + (1 - score) ** 2)
const stepped = (sample: Sample): Sample => ({ ...sample, scores: sample.scores.map((it) => Math.round(it * 20) / 20) })
const kinds = (sample: Sample) => chooseMap(sample, seededRandom(1))?.candidates.map(({ kind }) => kind)

describe('the choice', () => {
  test.each([
    ['too few rows: no map', drawn(199, sharpened), undefined],
    ['few rows, continuous: curves', drawn(999, sharpened), ['identity', 'beta', 'platt']],
    ['few rows, few scores: steps', stepped(drawn(999, sharpened)), ['identity', 'isotonic']],
    ['many rows: all', drawn(1_000, sharpened), ['identity', 'isotonic', 'beta', 'platt']],
  ])('%s', (_, sample, expected) => {
    expect(kinds(sample)).toEqual(expected)
  })

  test('leaves honest scores alone', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const honest = drawn(2_000, (score) => score, seededRandom(seed))
      expect(chooseMap(honest, seededRandom(seed))?.map.kind).toBe('identity')
    }
  })

  test('finds the curve that made the labels', () => {
    const chosen = chooseMap(drawn(5_000, sharpened), seededRandom(1))
    expect(chosen?.map.kind).toMatch(/platt|beta/)
    for (const score of [0.1, 0.3, 0.5, 0.8]) expect(chosen?.map.apply(score)).toBeCloseTo(sharpened(score), 1)
  })

  test('is the same for the same seed', () => {
    const sample = drawn(1_500, sharpened)
    expect(chooseMap(sample, seededRandom(4))?.candidates).toEqual(chooseMap(sample, seededRandom(4))?.candidates)
  })

  test.each(['llm-mmlupro/gpt-4.1-mini/verbal', 'llm-mcqa/Mistral', 'cifar10-vgg/top1', 'credit-default/nb'])(
    'makes the log loss of scores that overstate at least 3 %% less: %s',
    (name) => {
      const pooled = poolOf(seriesOf(name).sample)
      const chosen = chooseMap(seriesOf(name).sample, seededRandom(1))
      if (chosen === null) throw new Error('no map')
      expect(chosen.map.kind).not.toBe('identity')
      expect(meanLoss(pooled, logLoss, chosen.map.apply)).toBeLessThan(0.97 * meanLoss(pooled, logLoss))
    },
  )
})
