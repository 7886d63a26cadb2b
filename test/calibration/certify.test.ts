import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { certify } from '../../src/calibration/certify.ts'
import { certifySegments } from '../../src/calibration/certify-segments.ts'
import { oneRowPerCluster } from '../../src/calibration/clusters.ts'
import type { Budget } from '../../src/decision/certificate.ts'
import { fallbackTest } from '../../src/calibration/fallback.ts'
import { gridOf } from '../../src/calibration/grid.ts'
import { seededRandom } from '../../src/calibration/random.ts'
import { dirtyRefusal } from '../../src/calibration/refusal.ts'
import { poolOf, rowsAt, type Sample } from '../../src/calibration/sample.ts'
import { drawn, samples } from './samples.ts'
import { rowsOf, seriesOf } from './series.ts'

const all = (share: number, rows: number): Sample => ({
  scores: Float64Array.from({ length: rows }, (_, row) => (row + 0.5) / rows),
  right: Uint8Array.from({ length: rows }, (_, row) => (row < share * rows ? 0 : 1)),
})

const demandOf = (risk: number, budget: Budget = 'per-execution') => ({ risk, delta: 0.05, budget })

describe('the grid', () => {
  test('falls strictly, is made of scores that were seen, and ends with all of them executed', () => {
    fc.assert(
      fc.property(samples({ min: 1 }), fc.integer({ min: 1, max: 10_000 }), ({ scores }, labels) => {
        const { thresholds } = gridOf(scores, labels, 0.05, 0.05)
        for (const [index, it] of thresholds.entries()) {
          expect(scores).toContain(it)
          if (index > 0) expect(it).toBeLessThan(thresholds[index - 1] ?? NaN)
        }
        expect(thresholds.at(-1)).toBe(Math.min(...scores))
      }),
    )
  })

  test('has a hash that tells every other grid', () => {
    const hash = (scores: readonly number[]) => gridOf(scores, 500, 0.05, 0.05).hash
    expect(hash([0.1, 0.5, 0.9])).toBe(hash([0.9, 0.1, 0.5]))
    expect(hash([0.1, 0.5, 0.9])).not.toBe(hash([0.1, 0.5, 0.9000000000000001]))
  })
})

describe('the fallback test', () => {
  test.each([
    ['the first of two inherits to the second', [0.01, 0.05], [0.03, 0.05], 1],
    ['a start after a failure has only its own', [0.9, 0.9, 0.9, 0.9, 0.02], [0.01, 0.01, 0.01, 0.01, 0.01], null],
    ['a start passes without those before it', [0.9, 0.9, 0.9, 0.9, 0.01], [0.01, 0.01, 0.01, 0.01, 0.01], 4],
    ['all that passed hand on', [0.01, 0.02, 0.03, 0.04, 0.05], [0.01, 0.02, 0.03, 0.04, 0.05], 4],
    ['nothing to test', [], [], null],
    ['an impossible p-value', [Number.NaN], [0.05], null],
  ])('%s', (_, pValues, levels, last) => {
    const found = fallbackTest(pValues, 0.05)
    expect(found.levels).toHaveLength(levels.length)
    for (const [index, level] of levels.entries()) expect(found.levels[index]).toBeCloseTo(level, 12)
    expect(found.last).toBe(last)
  })

  test('a place that starts nothing and follows a failure is never certified, not even at p = 0', () => {
    expect(fallbackTest([0.9, 0, 0.9, 0, 0.9, 0, 0.9, 0, 0.9, 0], 0.05).last).toBeNull()
  })

  test('passes a false one in at most delta of all tries, dependent or not', () => {
    const random = seededRandom(11)
    for (const isShared of [true, false]) {
      let broken = 0
      for (let round = 0; round < 4_000; round++) {
        const shared = random()
        const { last } = fallbackTest(
          Float64Array.from({ length: 40 }, () => (isShared ? shared : random())),
          0.05,
        )
        if (last !== null) broken++
      }
      // Four standard errors above 5 % of 4,000.
      expect(broken).toBeLessThan(200 + 55)
    }
  })
})

describe('a certification', () => {
  test('counts what it says it counts, whole and exactly', () => {
    fc.assert(
      fc.property(samples({ min: 1, max: 200 }), samples({ min: 1 }), (labelled, { scores }) => {
        const { tests } = certify(poolOf(labelled), scores, demandOf(0.3))
        for (const { threshold, executed, errors } of tests) {
          const rows = [...labelled.scores].flatMap((it, row) => (it >= threshold ? [labelled.right[row] ?? NaN] : []))
          expect([executed, errors]).toEqual([rows.length, rows.filter((right) => right === 0).length])
        }
      }),
    )
  })

  test('executes no less when errors become right', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), (seed) => {
        const sample = drawn(600, (score) => 0.7 + 0.3 * score, seededRandom(seed))
        const better = { ...sample, right: sample.right.map((it, row) => (row % 3 === 0 ? 1 : it)) }
        const [before, after] = [sample, better].map((it) => certify(poolOf(it), sample.scores, demandOf(0.1)).coverage)
        expect(after).toBeGreaterThanOrEqual(before ?? NaN)
      }),
    )
  })

  test('needs 59 labels without an error for 5 %, and 58 do not do', () => {
    const of = (rows: number) => certify(poolOf(all(0, rows)), all(0, rows).scores, demandOf(0.05))
    expect(of(59)).toMatchObject({ labelledExecuted: 59, labelledErrors: 0, coverage: 1, refusal: null })
    expect(of(58)).toMatchObject({ threshold: null, coverage: 0, upperBound: null })
    expect(of(58).refusal).toEqual({
      code: 'labels.too_few',
      detail: 'not certifiable at 5 %: 58 labels above any threshold, 59 needed without an error',
      labelsNeeded: 59,
    })
  })

  test('of stated confidence at 1 % is refused for every model, by too many errors', () => {
    for (const model of [
      'gpt-4.1-mini',
      'Qwen3-8B',
      'claude-3-7-sonnet-20250219',
      'Meta-Llama-3.1-70B-Instruct-Turbo',
    ]) {
      const { sample } = seriesOf(`llm-mmlupro/${model}/verbal`)
      for (const budget of ['per-execution', 'per-event'] as const) {
        const { refusal, threshold } = certify(poolOf(sample), sample.scores, demandOf(0.01, budget))
        if (budget === 'per-execution') expect([model, refusal?.code]).toEqual([model, 'labels.too_many_errors'])
        expect(refusal === null).toBe(threshold !== null)
      }
    }
  })

  test('says how many labels would do if errors stay as frequent, and with twice as many they do', () => {
    const { sample } = seriesOf('cifar10-vgg/top1')
    const first = (rows: number) =>
      rowsAt(
        sample,
        Uint32Array.from({ length: rows }, (_, row) => row),
      )
    const { refusal } = certify(poolOf(first(400)), sample.scores, demandOf(0.01))
    const needed = refusal?.labelsNeeded ?? Infinity
    expect(refusal?.code).toBe('labels.too_many_errors')
    expect(refusal?.detail).toMatch(
      /errors among 400 labels .* about \d+ labels in all would do if errors stay as frequent/,
    )
    expect(certify(poolOf(first(2 * needed)), sample.scores, demandOf(0.01)).refusal).toBeNull()
  })

  test('says that no number of labels would do where errors are too frequent above every score', () => {
    const { sample } = seriesOf('llm-mmlupro/Qwen3-8B/verbal')
    const { refusal } = certify(poolOf(sample), sample.scores, demandOf(0.05))
    expect(refusal).toMatchObject({ code: 'labels.too_many_errors', labelsNeeded: null })
    expect(refusal?.detail).toContain('no number of labels would do')
  })

  test('without an unlabelled score is refused', () => {
    expect(certify(poolOf(all(0, 500)), [], demandOf(0.05)).refusal?.code).toBe('scores.missing')
  })

  test('per event allows more than per execution where the model is often wrong', () => {
    const { sample } = seriesOf('cifar100-top1/wideresnet-16-4')
    const [execution, event] = (['per-execution', 'per-event'] as const).map((budget) =>
      certify(poolOf(sample), sample.scores, demandOf(0.05, budget)),
    )
    expect(event?.coverage).toBeGreaterThan(execution?.coverage ?? NaN)
    expect((event?.labelledErrors ?? NaN) / sample.scores.length).toBeLessThan(0.05)
    expect(event?.upperBound).toBeLessThanOrEqual(0.05)
  })

  test('per event stops at the first threshold that does not hold', () => {
    fc.assert(
      fc.property(samples({ min: 50, max: 300 }), (sample) => {
        const { tests } = certify(poolOf(sample), sample.scores, demandOf(0.2, 'per-event'))
        const first = tests.findIndex(({ pValue }) => !(pValue <= 0.05))
        expect(tests.map(({ certified }) => certified)).toEqual(tests.map((_, index) => first < 0 || index < first))
      }),
    )
  })
})

describe('clusters', () => {
  const rows = rowsOf('elections-538-clustered.csv')
  const clusters = rows.map(({ cluster }) => cluster ?? '')
  const sample = {
    scores: Float64Array.from(rows, ({ score }) => Number(score)),
    right: Uint8Array.from(rows, ({ label }) => Number(label)),
  }

  test('give one row each, any of them equally often', () => {
    const counts = new Map<number, number>()
    const random = seededRandom(2)
    for (let round = 0; round < 3_000; round++)
      for (const row of oneRowPerCluster(['a', 'b', 'a', 'a', 'b'], random)) counts.set(row, (counts.get(row) ?? 0) + 1)
    for (const row of [0, 2, 3]) expect(Math.abs((counts.get(row) ?? 0) - 1_000)).toBeLessThan(110)
    for (const row of [1, 4]) expect(Math.abs((counts.get(row) ?? 0) - 1_500)).toBeLessThan(110)
  })

  test('taken as independent break the promise far more often than it may be; one row each is refused', () => {
    const names = [...new Set(clusters)]
    const random = seededRandom(1)
    const outcomes = Array.from({ length: 200 }, () => {
      const inFirst = new Set(names.filter(() => random() < 0.5))
      const half = (isFirst: boolean) =>
        rowsAt(
          sample,
          Uint32Array.from(rows.keys()).filter((row) => inFirst.has(clusters[row] ?? '') === isFirst),
        )
      const [labelled, rest] = [half(true), half(false)]
      const { threshold } = certify(poolOf(labelled), rest.scores, demandOf(0.05))
      if (threshold === null) return 'refused'
      const executed = rest.right.filter((_, row) => (rest.scores[row] ?? NaN) >= threshold)
      return executed.reduce((sum, right) => sum + 1 - right, 0) / executed.length > 0.05 ? 'broken' : 'kept'
    })
    expect(outcomes.filter((it) => it === 'broken').length).toBeGreaterThan(18)
    const inClusters = { sample, segments: null, clusters }
    const unlabelled = { scores: sample.scores, segments: null }
    const { whole } = certifySegments(inClusters, unlabelled, { ...demandOf(0.05), jointly: false }, seededRandom(1))
    expect(whole).toMatchObject({ threshold: null, labels: names.length })
    expect(whole.refusal?.code).toBe('labels.too_many_errors')
  })
})

describe('segments', () => {
  const rows = rowsOf('llm-mcqa.csv').filter(({ model }) => model === 'gpt-3.5-turbo')
  const sample = {
    scores: Float64Array.from(rows, ({ score }) => Number(score)),
    right: Uint8Array.from(rows, ({ label }) => Number(label)),
  }
  const segments = rows.map(({ segment }) => segment ?? '')
  const certifyAll = (jointly: boolean) =>
    certifySegments(
      { sample, segments, clusters: null },
      { scores: sample.scores, segments },
      { ...demandOf(0.1), jointly },
      seededRandom(1),
    )

  test('are certified each by its own rows, and the whole by all', () => {
    const { whole, segments: parts } = certifyAll(false)
    expect(parts.map(({ segment }) => segment)).toEqual([...new Set(segments)].sort())
    expect(parts.reduce((sum, { labels }) => sum + labels, 0)).toBe(rows.length)
    expect(whole.labels).toBe(rows.length)
    for (const part of parts) {
      const places = Uint32Array.from(rows.keys()).filter((row) => segments[row] === part.segment)
      const alone = rowsAt(sample, places)
      expect(part).toEqual({ segment: part.segment, ...certify(poolOf(alone), alone.scores, demandOf(0.1)) })
    }
  })

  test('promised jointly are held to a stricter level each', () => {
    const [each, jointly] = [certifyAll(false), certifyAll(true)]
    expect(jointly.whole).toEqual(each.whole)
    const level = (parts: typeof each.segments) => parts[0]?.tests[0]?.level ?? NaN
    expect(level(jointly.segments)).toBeCloseTo(level(each.segments) / each.segments.length, 12)
  })
})

test('more than one row in twenty without a score is refused', () => {
  expect(dirtyRefusal(5, 100, 'labelled')).toBeNull()
  expect(dirtyRefusal(6, 100, 'labelled')).toEqual({
    code: 'scores.dirty',
    detail: '6 of 100 labelled rows have no score between 0 and 1, and at most 5 % may lack one',
    labelsNeeded: null,
  })
})
