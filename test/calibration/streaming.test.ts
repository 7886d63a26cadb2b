import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { certify } from '../../src/calibration/certify.ts'
import { frozenGrid, gridOf } from '../../src/calibration/grid.ts'
import { seededRandom } from '../../src/calibration/random.ts'
import { ALARM_AT, addOutcome, evidenceOf, newRiskWatch } from '../../src/calibration/risk-watch.ts'
import { poolOf, type Sample } from '../../src/calibration/sample.ts'
import { addLabel, certifiedBy, newStreamingCertificate } from '../../src/calibration/streaming-certificate.ts'
import { drawn, leastMs } from './samples.ts'

const walk = (sample: Sample, grid: ReturnType<typeof gridOf>, risk: number) => {
  let state = newStreamingCertificate(grid, risk)
  for (const [row, score] of sample.scores.entries()) state = addLabel(state, score, sample.right[row] === 1 ? 1 : 0)
  return state
}

const always = (right: 0 | 1, rows: number): Sample => ({
  scores: new Float64Array(rows).fill(0.9),
  right: new Uint8Array(rows).fill(right),
})

describe('the streaming certificate', () => {
  test('is the mean of five products, and the most it ever was', () => {
    const labels = fc.array(
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0 as const, 1 as const)),
    )
    fc.assert(
      fc.property(labels, (rows) => {
        const grid = frozenGrid([0.2, 0.5, 0.8])
        let state = newStreamingCertificate(grid, 0.1)
        const most = [1, 1, 1]
        for (const [count, [score, right]] of rows.entries()) {
          state = addLabel(state, score, right)
          for (const [index, threshold] of grid.thresholds.entries()) {
            const counted = rows.slice(0, count + 1).filter(([it]) => it >= threshold)
            const products = [0.1, 0.25, 0.5, 0.75, 0.95].map((bet) =>
              counted.reduce((product, [, it]) => product * (1 + bet * (0.1 - (1 - it))), 1),
            )
            most[index] = Math.max(most[index] ?? NaN, products.reduce((sum, it) => sum + it, 0) / 5)
          }
        }
        for (const [index, it] of most.entries()) expect((state.most[index] ?? NaN) / it).toBeCloseTo(1, 9)
        expect(state.labels).toBe(rows.length)
      }),
    )
  })

  test('certifies 5 % after some labels without an error, and never after errors only', () => {
    const grid = frozenGrid([0.5])
    expect(certifiedBy(walk(always(1, 50), grid, 0.05), 0.05)).toBeNull()
    expect(certifiedBy(walk(always(1, 110), grid, 0.05), 0.05)).toBe(0.5)
    expect(certifiedBy(walk(always(0, 5_000), grid, 0.05), 0.05)).toBeNull()
  })

  test('the state it was given stays as it was, and a replay ends in the same bytes', () => {
    const sample = drawn(500, (score) => score)
    const grid = gridOf(sample.scores, 500, 0.1, 0.05)
    const first = newStreamingCertificate(grid, 0.1)
    addLabel(first, 0.99, 0)
    expect([...first.wealth].every((it) => it === 1)).toBe(true)
    expect(JSON.stringify(walk(sample, grid, 0.1))).toBe(JSON.stringify(walk(sample, grid, 0.1)))
  })

  test('stays finite after a million right labels', () => {
    let state = newStreamingCertificate(frozenGrid([0]), 0.1)
    for (let label = 0; label < 1_000_000; label++) state = addLabel(state, 1, 1)
    expect(Number.isFinite(state.most[0])).toBe(true)
    expect(certifiedBy(state, 1e-9)).toBe(0)
  })

  test('looked at after every label, it is ever wrong in at most delta of all streams', () => {
    const grid = frozenGrid([0.9, 0.6, 0.3, 0])
    let broken = 0
    for (let stream = 1; stream <= 200; stream++) {
      const random = seededRandom(stream)
      let state = newStreamingCertificate(grid, 0.05)
      for (let label = 0; label < 1_000; label++) {
        // Exactly at the bound above every threshold: nothing may be certified.
        state = addLabel(state, random(), random() < 0.95 ? 1 : 0)
        if (certifiedBy(state, 0.05) === null) continue
        broken++
        break
      }
    }
    expect(broken).toBeLessThanOrEqual(18)
  })

  test('costs little coverage against the same labels tested once', () => {
    const sample = drawn(5_000, (score) => 0.85 + 0.15 * score)
    const unlabelled = drawn(5_000, () => 1, seededRandom(2)).scores
    const fixed = certify(poolOf(sample), unlabelled, { risk: 0.05, delta: 0.05, budget: 'per-execution' })
    const threshold = certifiedBy(walk(sample, gridOf(unlabelled, 5_000, 0.05, 0.05), 0.05), 0.05) ?? NaN
    const covered = unlabelled.filter((score) => score >= threshold).length / unlabelled.length
    expect(covered).toBeGreaterThan(0.6 * fixed.coverage)
    expect(covered).toBeLessThanOrEqual(fixed.coverage)
  })

  test('one label through 100 thresholds takes less than 20 µs', () => {
    const sample = drawn(20_000, (score) => score)
    const grid = frozenGrid(Array.from({ length: 100 }, (_, index) => index / 100))
    let state = newStreamingCertificate(grid, 0.1)
    const ms = leastMs(() => {
      for (const score of sample.scores) state = addLabel(state, Math.max(0.99, score), 1)
    })
    expect((ms * 1_000) / sample.scores.length).toBeLessThan(20)
    expect(state.labels).toBe(5 * sample.scores.length)
  })
})

describe('the watch over executed risk', () => {
  /** Outcomes until the alarm, of at most `most`; null: none. Each is audited with a chance between 0.1 and 1. */
  function alarmAfter(seed: number, risk: number, most: number, truth: (outcome: number) => number): number | null {
    const random = seededRandom(seed)
    let watch = newRiskWatch('anytime', risk, 0.1)
    for (let event = 0; watch.outcomes < most; event++) {
      const propensity = event % 3 === 0 ? 1 : event % 3 === 1 ? 0.5 : 0.1
      // Errors are commonest where audits are rare, as when large amounts are audited more.
      const errorShare = truth(watch.outcomes) * (propensity === 0.1 ? 1.5 : 0.75)
      const isError = random() < errorShare
      if (random() >= propensity) continue
      watch = addOutcome(watch, isError ? 0 : 1, propensity)
      if (evidenceOf(watch) >= ALARM_AT) return watch.outcomes
    }
    return null
  }

  test.each([
    ['500 outcomes of a risk just at the bound', 500, 0.05],
    ['20,000 outcomes of half the risk', 20_000, 0.025],
  ])('raises at most 5 %% false alarms over 200 quiet streams with unequal audit shares: %s', (_, most, truth) => {
    const alarms = Array.from({ length: 200 }, (_, seed) => alarmAfter(seed, 0.05, most, () => truth))
    expect(alarms.filter((it) => it !== null).length).toBeLessThanOrEqual(18)
  })

  test('weighs outcomes by their chance of being audited: unweighted, the common ones would hide the bad', () => {
    const alarms = Array.from({ length: 50 }, (_, seed) => alarmAfter(seed, 0.05, 20_000, () => 0.15))
    expect(alarms.every((it) => it !== null)).toBe(true)
  })

  const figures: (readonly [number, number, number])[] = [
    [0.01, 2, 725],
    [0.01, 3, 266],
    [0.01, 5, 128],
    [0.05, 2, 208],
    [0.05, 3, 85],
    [0.05, 5, 29],
  ]
  test.each(figures)('of %d notices %d times the risk in a median of 1.3 × %d outcomes', (risk, multiple, median) => {
    const good = 1_000
    const delays = Array.from({ length: 300 }, (_, seed) => {
      const random = seededRandom(seed + 1)
      let watch = newRiskWatch('anytime', risk)
      for (;;) {
        const truth = watch.outcomes < good ? risk / 2 : risk * multiple
        watch = addOutcome(watch, random() < truth ? 0 : 1)
        if (evidenceOf(watch) >= ALARM_AT) return watch.outcomes - good
      }
    }).sort((a, b) => a - b)
    expect(delays.filter((it) => it <= 0).length).toBeLessThan(15)
    expect(delays[150]).toBeLessThanOrEqual(1.3 * median)
  })
})
