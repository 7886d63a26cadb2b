import { describe, expect, test } from 'vitest'
import { upperBound } from '../../src/calibration/binomial.ts'
import { reportOf } from '../../src/report/report-of.ts'
import type { Report, ReportInput } from '../../src/report/report.ts'
import { seriesOf } from '../calibration/series.ts'
import { certifiedInput, fullInput } from './reported.ts'

function reported(input: ReportInput): Report {
  const report = reportOf(input)
  if (typeof report === 'string') throw new Error(report)
  return report
}

const full = reported(fullInput())

describe('a report', () => {
  test('is of the certificate: every threshold counted again from the rows, the failures among them', () => {
    const { labelled, unlabelled, certificate } = fullInput()
    const { scores, right } = labelled.data.sample
    expect(full.risk.points).toHaveLength(certificate.grid.size)
    for (const { threshold, executed, errors, coverage, share, low, high } of full.risk.points) {
      const above = [...scores.keys()].filter((row) => (scores[row] ?? NaN) >= threshold)
      const wrong = above.filter((row) => right[row] === 0).length
      expect([executed, errors, share]).toEqual([above.length, wrong, wrong / above.length])
      expect(coverage).toBe(
        unlabelled.data.scores.filter((it) => it >= threshold).length / unlabelled.data.scores.length,
      )
      expect(high).toBe(upperBound(wrong, above.length, 0.05))
      expect(low).toBeLessThanOrEqual(share ?? NaN)
    }
    const chosen = full.risk.points.findLast(({ result }) => result === 'certified')
    expect(chosen).toMatchObject({
      threshold: certificate.threshold,
      executed: certificate.labelledExecuted,
      errors: certificate.labelledErrors,
      high: certificate.upperBound,
      coverage: certificate.coverage,
    })
    expect(new Set(full.risk.points.map(({ result }) => result))).toEqual(
      new Set(['certified', 'failed', 'not reached']),
    )
  })

  test('names the thresholds: certified, by cost, and of the policy before', () => {
    expect(full.risk.marks.map(({ name }) => name)).toEqual(['certified', 'by cost', 'previous'])
    const [, byCost, previous] = full.risk.marks
    // A wrong execution costs five reviews, so executing pays from 80 % on.
    expect(byCost?.threshold).toBeGreaterThan(0.9)
    expect(previous?.threshold).toBe(0.9)
    expect(previous?.coverage).toBeCloseTo(0.65, 1)
  })

  test('shows before and after calibration what the golden figures say of all rows, and a band around the diagonal', () => {
    const { before, after, auroc } = full.reliability
    const { sample } = seriesOf('llm-mcqa/gpt-3.5-turbo')
    expect(before.histogram.reduce((sum, rows) => sum + rows, 0)).toBe(Math.ceil(sample.scores.length / 2))
    expect(before.parts.miscalibration - before.parts.discrimination + before.parts.uncertainty).toBeCloseTo(
      before.measures.brier,
      12,
    )
    expect(auroc).toBeGreaterThan(0.7)
    expect(after?.measures.calibrationError).toBeLessThan(0.1 * before.measures.calibrationError)
    expect(after?.measures.logLoss).toBeLessThan(before.measures.logLoss)
    for (const diagram of [before, after]) {
      expect(diagram?.noiseFloor.mean).toBeLessThanOrEqual(diagram?.noiseFloor.p95 ?? NaN)
      const { band = [], curve = [] } = diagram ?? {}
      for (const { low, high } of band) expect(low).toBeLessThanOrEqual(high)
      const middle = band.filter(({ score }) => score > 0.6 && score < 0.99)
      for (const { score, low, high } of middle) {
        expect(low).toBeLessThanOrEqual(score + 0.05)
        expect(high).toBeGreaterThanOrEqual(score - 0.05)
      }
      for (const [index, [score, right]] of curve.entries()) {
        expect(score).toBeGreaterThanOrEqual(curve[index - 1]?.[0] ?? 0)
        expect(right).toBeGreaterThanOrEqual(curve[index - 1]?.[1] ?? 0)
      }
    }
  })

  test('puts the worst segment first, which one threshold for all hides', () => {
    expect(full.segments?.map(({ segment }) => segment)).toEqual([
      'truthfulqa',
      'winogrande',
      'hellaswag',
      'mmlu',
      'arc',
    ])
    const [worst] = full.segments ?? []
    expect((worst?.executedErrors ?? NaN) / (worst?.executed ?? NaN)).toBeGreaterThan(0.15)
    expect(worst).toMatchObject({ own: null, refusal: { code: 'labels.too_many_errors' } })
    expect(full.segments?.reduce((sum, { executed }) => sum + executed, 0)).toBe(full.certificate.labelledExecuted)
  })

  test('of one segment rests on its rows alone, and has each segment at its own threshold', () => {
    const input = certifiedInput({ segment: 'arc' })
    const report = reported(input)
    expect(report.reliability.rows).toBe(input.certificate.labels)
    const arc = report.segments?.find(({ segment }) => segment === 'arc')
    expect(arc).toMatchObject({ applied: input.certificate.threshold, executed: input.certificate.labelledExecuted })
    expect(report.segments?.[0]).toMatchObject({ applied: null, executed: 0 })
  })

  test('says how much goes to review, expected and as decided', () => {
    const { expected, reviewsPerDay, observed } = full.mix
    const { scores } = fullInput().unlabelled.data
    expect(expected.execute + expected.review).toBe(scores.length)
    expect(expected.execute / scores.length).toBe(full.certificate.coverage)
    expect(expected.withoutScore).toBe(3)
    expect(reviewsPerDay).toBe(expected.review + 3)
    expect(observed?.routes.reduce((sum, { events }) => sum + events, 0)).toBe(6_000)
    expect(observed?.codes[0]).toMatchObject({ route: 'review', code: 'confidence.below_execute' })
  })

  test('estimates the executed risk from audits by their chance, by stratum, and where the detector alarms', () => {
    const { audit } = full
    expect(audit?.strata.map(({ propensity }) => propensity)).toEqual([
      { from: 1, to: 1 },
      { from: 0.5, to: 0.5 },
      { from: 0.1, to: 0.1 },
    ])
    // Three quarters at 7 %, one at 33 %.
    expect(audit?.estimate).toBeCloseTo(0.135, 1)
    for (const { marked, known, errors, upperBound: bound } of audit?.strata ?? []) {
      expect(known).toBeLessThan(marked)
      expect(bound).toBe(upperBound(errors, known, 0.05))
    }
    expect(audit?.alarm).toBeGreaterThan(400)
    expect(Math.max(...(audit?.path ?? []).map(([, evidence]) => evidence))).toBeGreaterThan(audit?.alarmAt ?? NaN)
  })

  test('counts costs of 1,000 events for each way to decide', () => {
    const rows = new Map(full.costs.rows.map((row) => [row.policy, row]))
    expect([...rows.keys()]).toEqual([
      'this certificate',
      'by cost within it',
      'previous policy',
      'execute all',
      'review all',
    ])
    expect(rows.get('review all')).toMatchObject({ executed: 0, reviewed: 1_000, wrong: 0, cost: 4_000 })
    const certified = rows.get('this certificate')
    expect(certified?.wrong).toBeCloseTo(
      (1_000 * full.certificate.coverage * full.certificate.labelledErrors) / full.certificate.labelledExecuted,
      9,
    )
    expect(certified?.cost).toBeCloseTo(20 * (certified?.wrong ?? NaN) + 4 * (certified?.reviewed ?? NaN), 9)
    const least = Math.min(...full.costs.rows.map(({ cost }) => cost ?? NaN))
    expect([certified?.cost, rows.get('by cost within it')?.cost]).toContain(least)
    // At the ratio where both are equal, they are.
    const { reviewAll, executeAll } = full.costs.breakEven
    expect((certified?.wrong ?? NaN) * (reviewAll ?? NaN) + (certified?.reviewed ?? NaN)).toBeCloseTo(1_000, 6)
    expect((rows.get('execute all')?.wrong ?? NaN) * (executeAll ?? NaN)).toBeCloseTo(
      (certified?.wrong ?? NaN) * (executeAll ?? NaN) + (certified?.reviewed ?? NaN),
      6,
    )
  })

  test('says what more labels would buy, and that half of them would buy less', () => {
    const { labels } = full.certificate
    expect(full.outlook.map((it) => it.labels)).toEqual([
      Math.ceil(labels / 2),
      labels,
      labels + 1_000,
      labels + 2_000,
      labels + 5_000,
    ])
    const means = full.outlook.map(({ coverage }) => coverage.mean)
    expect(means[0]).toBeLessThan(means[1] ?? NaN)
    for (const { coverage, certified } of full.outlook) {
      expect(coverage.p10).toBeLessThanOrEqual(coverage.mean)
      expect(coverage.p90).toBeGreaterThanOrEqual(coverage.mean)
      expect(certified).toBe(1)
    }
  })

  test('looks at the data', () => {
    const states = new Map(full.quality.map(({ what, state }) => [what, state]))
    expect(Object.fromEntries(states)).toEqual({
      'labelled rows': 'look',
      'unlabelled rows': 'look',
      independence: 'look',
      labels: 'fine',
      'errors above the threshold': 'fine',
      'distinct scores': 'fine',
      'labelled against unlabelled scores': 'fine',
      thresholds: 'fine',
      window: 'fine',
    })
  })

  test('has nothing of what was not given', () => {
    const plain = reported(certifiedInput())
    expect(plain).toMatchObject({ segments: null, audit: null, mix: { observed: null }, costs: { costs: null } })
    expect(plain.risk.marks.map(({ name }) => name)).toEqual(['certified'])
    expect(plain.costs.rows.map(({ cost }) => cost)).toEqual([null, null, null])
  })

  test('is the same, number for number, each time', () => {
    expect(JSON.stringify(reported(fullInput()))).toBe(JSON.stringify(full))
  })

  test.each<[string, Partial<ReportInput['certificate']>, string]>([
    ['another threshold', { threshold: 0.9 }, 'threshold 0.998123101, not 0.9'],
    ['other counts', { labelledErrors: 1 }, 'labelledErrors 121, not 1'],
    ['another grid', { grid: { size: 96, hash: 'x' } }, ', not x'],
    ['a segment that the data do not have', { segment: 'nowhere' }, 'the data have no segment `nowhere`'],
  ])('is refused where the data give %s', (_, changed, said) => {
    const input = fullInput()
    expect(reportOf({ ...input, certificate: { ...input.certificate, ...changed } })).toContain(said)
  })
})
