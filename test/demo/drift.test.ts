import { describe, expect, test } from 'vitest'
import { driftPlan, type DriftPlan } from '../../src/commands/demo/drift/drift-plan.ts'
import { isBroken, summaryLines, tallyLine } from '../../src/commands/demo/drift/drift-lines.ts'
import { DriftTally } from '../../src/commands/demo/drift/drift-tally.ts'
import { driftingModel, type Proposal } from '../../src/commands/demo/drift/drifting-model.ts'
import type { Verdict } from '../../src/decision/verdict.ts'

const DRIFT_AT = 20_000
const proposals = (seed: number, count: number): readonly Proposal[] => {
  const model = driftingModel(seed, 'run', DRIFT_AT, () => 0)
  return Array.from({ length: count }, () => model.next().value)
}
const wrongShare = (of: readonly Proposal[], from: number): number => {
  const executed = of.filter(({ event }) => (event.confidence ?? 0) >= from)
  return executed.filter(({ right }) => !right).length / executed.length
}

describe('the model that drifts', () => {
  const all = proposals(7, 40_000)
  const [before, after] = [all.slice(0, DRIFT_AT), all.slice(DRIFT_AT)]

  test('keeps 5 % from 0.95 up until it drifts, and never by a plain threshold of 0.8', () => {
    expect(wrongShare(before, 0.95)).toBeLessThan(0.012)
    expect(wrongShare(after, 0.95)).toBeGreaterThan(0.13)
    expect(wrongShare(before, 0.81)).toBeGreaterThan(0.07)
    expect(wrongShare(after, 0.81)).toBeGreaterThan(0.2)
  })

  test('states the same before and after, so that only outcomes show it', () => {
    const stated = (of: readonly Proposal[]): number =>
      of.filter(({ event }) => event.confidence === 0.99).length / of.length
    expect(Math.abs(stated(before) - stated(after))).toBeLessThan(0.015)
  })

  test('the same seed gives the same events and the same truth', () => {
    expect(proposals(7, 50)).toEqual(all.slice(0, 50))
    expect(proposals(8, 50)).not.toEqual(all.slice(0, 50))
  })
})

test.each([
  [{}, { events: 25_000, perSecond: 250, historyEnds: 2500, driftAt: 20_000 }],
  [{ events: 10_000 }, { events: 10_000, perSecond: 100, historyEnds: 1000, driftAt: 8000 }],
  [
    { events: 14_000, perSecond: 200 },
    { perSecond: 200, driftAt: 11_200 },
  ],
  [{ events: 100 }, '--events 100: a certificate, its drift and its withdrawal need 10000'],
  [{ perSecond: 1000 }, /^--rate 1000: 25000 events would be over in 25 s, .* at most --rate 357, or more --events$/],
])('the plan for %o', (options, expected) => {
  const plan = driftPlan({ stack: undefined, events: undefined, perSecond: undefined, seed: 1, ...options })
  if (typeof expected === 'string') expect(plan).toBe(expected)
  else if (expected instanceof RegExp) expect(plan).toMatch(expected)
  else expect(plan).toMatchObject({ ...expected, seed: 1 })
})

describe('the tally', () => {
  const PLAN: DriftPlan = { events: 8, perSecond: 1, seed: 1, historyEnds: 1, driftAt: 3 }
  const verdict = (id: string, route: string, code: string, confidence: number): Verdict =>
    ({
      route,
      code,
      event: { id, confidence },
      score: { certificate: route === 'execute' ? 'c' : null },
      findings: [{ route, code, subject: 'c', detail: 'why' }],
    }) as unknown as Verdict

  const tally = new DriftTally(PLAN)
  const decide = (number: number, route: string, code: string, confidence: number, right: boolean) => {
    tally.sending(`e-${number}`, right, number * 1000)
    return tally.answered(verdict(`e-${number}`, route, code, confidence), number * 1000 + 500)
  }

  test('counts both sides over the same events, and tells what happens once', () => {
    expect(decide(0, 'review', 'calibration.uncertified', 0.9, false)).toBeNull()
    expect(decide(1, 'execute', 'confidence.sufficient', 0.99, true)).toBe('executes')
    expect(decide(2, 'review', 'confidence.below_execute', 0.8, false)).toBeNull()
    expect(decide(3, 'execute', 'confidence.sufficient', 0.99, false)).toBeNull()
    expect(decide(4, 'review', 'calibration.withdrawn', 0.99, false)).toBe('withdrawn')
    expect(decide(5, 'review', 'calibration.withdrawn', 0.99, false)).toBeNull()
    expect(tally.whole).toEqual({ certified: { executed: 2, wrong: 1 }, raw: { executed: 5, wrong: 4 } })
    expect(tally.drifted.certified).toEqual({ executed: 1, wrong: 1 })
    expect(tally.afterwards).toEqual({ certified: { executed: 0, wrong: 0 }, raw: { executed: 1, wrong: 1 } })
    expect(tally.delay).toEqual({ events: 2, ms: 1500 })
    expect(isBroken(tally)).toBe(true)
    expect(tallyLine(tally, '')).toMatch(/^ {7}6 {9}2 {6}1 {2}50\.00 % {11}5 {6}4 {2}80\.00 %/)
  })

  test('what was decided is waited for until somebody has handled it, each event once', () => {
    expect(tally.unhandled).toBe(6)
    for (const id of ['e-0', 'e-1', 'e-1']) tally.handled(id)
    expect(tally.unhandled).toBe(4)
  })

  test('an event that is answered twice is told of and counted once, a foreign one not at all', () => {
    expect(tally.answered(verdict('e-1', 'execute', 'confidence.sufficient', 0.99), 9000)).toBeNull()
    expect(tally.answered(verdict('other', 'execute', 'confidence.sufficient', 0.99), 9000)).toBeNull()
    tally.sending('e-6', true, 9000)
    expect(tally.repeated).toBe(1)
    expect(tally.unanswered).toBe(1)
    expect(tally.whole.certified.executed).toBe(2)
    const [first, ...rest] = summaryLines(tally, PLAN)
    expect(first).toBe('7 events sent, 6 decided, 1 without a verdict, 1 answered twice')
    expect(rest.join('\n')).toContain('the promise was broken: 50.00 % wrong, at most 5 % promised')
  })
})
