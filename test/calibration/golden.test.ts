import { describe, expect, test } from 'vitest'
import { binomialTail, labelsNeeded, upperBound } from '../../src/calibration/binomial.ts'
import { calibrationError, debiasedError, equalMassError } from '../../src/calibration/calibration-error.ts'
import { certify } from '../../src/calibration/certify.ts'
import { brierParts } from '../../src/calibration/corp.ts'
import { logisticFit } from '../../src/calibration/logistic.ts'
import { auroc, logit, logLoss, meanLoss } from '../../src/calibration/metrics.ts'
import { addOutcome, evidenceOf, newRiskWatch, type RiskWatch } from '../../src/calibration/risk-watch.ts'
import { poolOf, rowsAt, type Sample } from '../../src/calibration/sample.ts'
import { betaMap, isotonicMap, plattMap } from '../../src/calibration/score-map.ts'
import { GOLDEN, SERIES, seriesOf, type PathFigures } from './series.ts'

const tableOf = (name: string): (readonly [readonly [number, number, number], number])[] =>
  Object.entries(GOLDEN.tables[name] ?? {}).map(([key, value]) => {
    const [a = 0, b = 0, c = 0] = key.split(',').map(Number)
    return [[a, b, c], value]
  })

describe('tables', () => {
  test.each(tableOf('n_required(alpha, delta, errors)'))('labels needed for %j', (key, value) => {
    expect(labelsNeeded(...key)).toBe(value)
  })
  test.each(tableOf('cp_upper(k, n, delta)'))('upper bound of %j', (key, value) => {
    expect(upperBound(...key)).toBeCloseTo(value, 13)
  })
  test.each(tableOf('binom_cdf(k, n, p)'))('binomial tail of %j', (key, value) => {
    expect(binomialTail(...key) / value).toBeCloseTo(1, 10)
  })
})

const pathOf = (first: RiskWatch, labels: Uint8Array, alarm: number): PathFigures => {
  let watch = first
  let max = 0
  let firstOver: number | null = null
  for (const [index, right] of labels.entries()) {
    watch = addOutcome(watch, right === 1 ? 1 : 0)
    max = Math.max(max, evidenceOf(watch))
    if (firstOver === null && evidenceOf(watch) >= alarm) firstOver = index + 1
  }
  return { last: evidenceOf(watch), max, first_at_or_over: firstOver }
}

/** Evidence is a product of thousands of factors: compared as a ratio. */
function expectPath(found: PathFigures, golden: PathFigures): void {
  expect(found.last / golden.last).toBeCloseTo(1, 6)
  expect(found.max / golden.max).toBeCloseTo(1, 6)
  expect(found.first_at_or_over).toBe(golden.first_at_or_over)
}

const FITS = ['beta_abc', 'isotonic_at_0_.05_1', 'platt_logit_ab', 'platt_raw_ab', 'temperature']

/** What is known of a threshold that was not certified: nothing that was executed, and so no risk and no path. */
const NOTHING_EXECUTED = {
  labelled_executed: 0,
  labelled_errors: 0,
  upper_95_alone: null,
  test_coverage: 0,
  test_risk: null,
  e_process_on_test_executed_vs_alpha: null,
  e_detector_vs_half_alpha_ARL1000: null,
}

const everyOther = (sample: Sample, from: 0 | 1): Sample =>
  rowsAt(
    sample,
    Uint32Array.from(sample.scores.keys()).filter((row) => row % 2 === from),
  )

test('all 20 series and all tables are there', () => {
  expect(SERIES).toHaveLength(20)
  expect(Object.entries(GOLDEN.tables).map(([name, rows]) => [name, Object.keys(rows).length])).toEqual([
    ['n_required(alpha, delta, errors)', 50],
    ['cp_upper(k, n, delta)', 12],
    ['binom_cdf(k, n, p)', 4],
  ])
  for (const [, { threshold }] of SERIES) expect(Object.keys(threshold)).toEqual(['0.01', '0.05', '0.1'])
})

describe.each(SERIES)('%s', (name, golden) => {
  const { sample, leftOut } = seriesOf(name)
  const pooled = poolOf(sample)

  test('rows', () => {
    expect([sample.scores.length, leftOut, sample.scores[0]]).toEqual([
      golden.rows,
      golden.left_out,
      golden.first_score,
    ])
  })

  test('metrics, to 1e-9', () => {
    const parts = brierParts(pooled)
    const found = {
      ece15: calibrationError(pooled),
      ece15_equal_mass: equalMassError(sample),
      ece2_debiased15: debiasedError(sample),
      brier: parts.brier,
      'logloss_clip1e-6': meanLoss(pooled, logLoss),
      auroc: auroc(pooled),
      corp_mcb: parts.miscalibration,
      corp_dsc: parts.discrimination,
      corp_unc: parts.uncertainty,
    }
    expect(Object.keys(found)).toEqual(Object.keys(golden.metrics))
    for (const [metric, value] of Object.entries(found))
      expect(value, metric).toBeCloseTo(golden.metrics[metric] ?? 0, 10)
  })

  test('fits, to 1e-4', () => {
    expect(Object.keys(golden.fit).sort()).toEqual(FITS)
    const expectAll = (found: readonly number[] | undefined, figures: readonly number[]) => {
      expect(found).toHaveLength(figures.length)
      for (const [index, figure] of figures.entries())
        expect(Math.abs((found?.[index] ?? NaN) - figure)).toBeLessThan(1e-4)
    }
    expectAll(plattMap(pooled)?.parameters, golden.fit.platt_logit_ab)
    expectAll(betaMap(pooled)?.parameters, golden.fit.beta_abc)
    const isotonic = isotonicMap(pooled)
    const at = Array.from({ length: 21 }, (_, step) => isotonic.apply(step * 0.05))
    expectAll(at, golden.fit['isotonic_at_0_.05_1'])
    // A temperature is the inverse slope without an intercept; Platt's targets on the plain score test the same solver.
    const { counts, rights, scores } = pooled
    const [slope = 0] = logisticFit({ features: [scores.map(logit)], counts, rights })
    expectAll([1 / slope], [golden.fit.temperature])
    const [n1, n0] = [pooled.rightRows, pooled.rows - pooled.rightRows]
    const targets = rights.map((it, i) => (it * (n1 + 1)) / (n1 + 2) + ((counts[i] ?? 0) - it) / (n0 + 2))
    const features = [scores, scores.map(() => 1)]
    expectAll(logisticFit({ features, counts, rights: targets }), golden.fit.platt_raw_ab)
  })

  test.each(Object.entries(golden.threshold))('thresholds at %s, exactly', (risk, figures) => {
    const others = everyOther(sample, 1)
    const found = certify(poolOf(everyOther(sample, 0)), others.scores, {
      risk: Number(risk),
      delta: 0.05,
      budget: 'per-execution',
    })
    expect([found.grid.size, found.tests[0]?.threshold, found.tests.at(-1)?.threshold]).toEqual([
      figures.grid_size,
      figures.grid_first,
      figures.grid_last,
    ])
    expect([found.threshold, found.labelledExecuted, found.labelledErrors]).toEqual([
      figures.lambda,
      figures.labelled_executed,
      figures.labelled_errors,
    ])
    expect(found.coverage).toBeCloseTo(figures.test_coverage, 12)
    expect(found.refusal === null).toBe(figures.lambda !== null)
    expect(Object.keys(figures)).toEqual([
      'grid_size',
      'grid_first',
      'grid_last',
      'lambda',
      ...Object.keys(NOTHING_EXECUTED),
    ])
    if (figures.lambda === null)
      expect([found.upperBound, figures]).toEqual([null, { ...figures, ...NOTHING_EXECUTED }])
    else expect(found.upperBound).toBeCloseTo(figures.upper_95_alone ?? NaN, 12)
  })

  const certified = Object.entries(golden.threshold).filter(([, { lambda }]) => lambda !== null)
  test.each(certified)('watching what the threshold at %s executes', (risk, figures) => {
    const others = everyOther(sample, 1)
    const executed = others.right.filter((_, row) => (others.scores[row] ?? NaN) >= (figures.lambda ?? NaN))
    const errors = executed.reduce((sum, right) => sum + 1 - right, 0)
    expect(errors / executed.length).toBeCloseTo(figures.test_risk ?? NaN, 12)
    const process = figures.e_process_on_test_executed_vs_alpha
    const detector = figures.e_detector_vs_half_alpha_ARL1000
    if (process === null || detector === null) throw new Error('a certified threshold without figures')
    expectPath(pathOf(newRiskWatch('from-start', Number(risk)), executed, 20), process)
    expectPath(pathOf(newRiskWatch('anytime', Number(risk) / 2), executed, 1_000), detector)
  })
})
