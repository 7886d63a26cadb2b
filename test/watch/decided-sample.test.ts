import { describe, expect, test } from 'vitest'
import { certify } from '../../src/calibration/certify.ts'
import { seededRandom } from '../../src/calibration/random.ts'
import { poolOf } from '../../src/calibration/sample.ts'
import { sampleOf, type DecidedEvent } from '../../src/watch/decided-sample.ts'
import type { Report } from '../../src/watch/execution.ts'
import { report, RULES } from './stream.ts'

const NOW = Date.UTC(2026, 10, 24)
const AGE = RULES.maturityMs

const decided = (change: Partial<DecidedEvent> = {}): DecidedEvent => ({
  actionKey: 'a-1',
  decidedAt: NOW - AGE,
  route: 'review',
  selected: true,
  propensity: 1,
  score: 0.9,
  segment: null,
  cluster: null,
  ...change,
})

const said = (reports: readonly Report[]) => Map.groupBy(reports, ({ actionKey }) => actionKey)
const label = (change: Partial<Report> = {}) => report({ at: NOW - AGE + 1, ...change })

describe('a sample of decided events', () => {
  test('takes reviewed events with their labels, and none that is too young', () => {
    const events = [decided(), decided({ actionKey: 'a-2', decidedAt: NOW - AGE + 1 })]
    const { rows, counts } = sampleOf(events, said([label(), label({ actionKey: 'a-2', says: 'wrong' })]), RULES, NOW)
    expect(rows.map(({ event, right }) => [event.actionKey, right])).toEqual([['a-1', 1]])
    expect(counts).toMatchObject({ reviewed: 1, executed: 0, immature: 1, share: 1, missing: 0 })
  })

  test('never counts the label of an executed event that was not picked for audit', () => {
    const audit = { route: 'execute', propensity: 1 } as const
    const events = [decided({ ...audit, selected: false }), decided({ ...audit, actionKey: 'a-2' })]
    const { rows, counts } = sampleOf(events, said([label(), label({ actionKey: 'a-2' })]), RULES, NOW)
    expect(rows.map(({ event }) => event.actionKey)).toEqual(['a-2'])
    expect(counts).toMatchObject({ executed: 2, audited: 1 })
  })

  test('counts a missing label by the rule, and nothing that was not done', () => {
    const events = [decided(), decided({ actionKey: 'a-2' })]
    const reports = said([label({ actionKey: 'a-2', says: 'failed' })])
    const rights = (['assume-wrong', 'assume-right', 'exclude'] as const).map((missing) =>
      sampleOf(events, reports, { ...RULES, missing }, NOW).rows.map(({ right }) => right),
    )
    expect(rights).toEqual([[0], [1], []])
  })

  test('thins what had a greater chance of a label to the smallest, the same ones every time', () => {
    const of = (route: DecidedEvent['route'], propensity: number, count: number): readonly DecidedEvent[] =>
      Array.from({ length: count }, (_, n) => decided({ route, propensity, actionKey: `${route}-${n}` }))
    const events = [...of('review', 1, 5_000), ...of('execute', 0.2, 1_000)]
    const { rows, counts } = sampleOf(events, new Map(), { ...RULES, missing: 'assume-right' }, NOW)
    expect(counts.share).toBe(0.2)
    const byRoute = Map.groupBy(rows, ({ event }) => event.route)
    expect(byRoute.get('execute')).toHaveLength(1_000)
    // 5,000 × 20 %, four standard deviations to each side.
    expect(Math.abs((byRoute.get('review')?.length ?? 0) - 1_000)).toBeLessThan(114)
    const again = sampleOf(events.toReversed(), new Map(), { ...RULES, missing: 'assume-right' }, NOW).rows
    expect(new Set(again.map(({ event }) => event.actionKey))).toEqual(
      new Set(rows.map(({ event }) => event.actionKey)),
    )
  })

  test('keeps an exact certificate’s promise where the executed are worse than the reviewed; all labels together break it', () => {
    const [risk, share] = [0.05, 0.25]
    // Of the riskier kind, two in five, those above 0.5 were executed so far; true risk above a threshold t ≥ 0.5.
    const wrongAt = (isRisky: boolean, score: number): number => (isRisky ? 0.01 + 0.8 * (1 - score) : 0.01)
    const riskAbove = (t: number): number => 0.4 * wrongAt(true, (1 + t) / 2) + 0.6 * 0.01
    const broken = { thinned: 0, together: 0 }
    let certified = 0
    for (let draw = 1; draw <= 60; draw++) {
      const random = seededRandom(draw)
      const reports: Report[] = []
      const events = Array.from({ length: 4_000 }, (_, n): DecidedEvent => {
        const [score, isRisky] = [0.5 + random() / 2, random() < 0.4]
        reports.push(label({ actionKey: `a-${n}`, says: random() < wrongAt(isRisky, score) ? 'wrong' : 'right' }))
        const route = isRisky ? 'execute' : 'review'
        const audit = isRisky ? { propensity: share, selected: random() < share } : {}
        return decided({ actionKey: `a-${n}`, score, route, ...audit })
      })
      const unlabelled = Float64Array.from({ length: 1_000 }, () => 0.5 + random() / 2)
      const known = said(reports)
      const all = events
        .filter(({ selected }) => selected)
        .map((event) => ({
          event,
          right: known.get(event.actionKey)?.[0]?.says === 'right' ? (1 as const) : (0 as const),
        }))
      for (const [way, rows] of [
        ['thinned', sampleOf(events, known, RULES, NOW).rows],
        ['together', all],
      ] as const) {
        const scores = Float64Array.from(rows, ({ event }) => event.score)
        const right = Uint8Array.from(rows, (it) => it.right)
        const { threshold } = certify(poolOf({ scores, right }), unlabelled, {
          risk,
          delta: 0.05,
          budget: 'per-execution',
        })
        if (threshold === null) continue
        if (way === 'thinned') certified += 1
        if (riskAbove(threshold) > risk) broken[way] += 1
      }
    }
    expect(certified).toBeGreaterThan(5)
    // The 99 % quantile of Bin(60, 5 %).
    expect(broken.thinned).toBeLessThanOrEqual(8)
    expect(broken.together).toBeGreaterThan(50)
  })
})
