import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ALARM_AT, evidenceOf } from '../../src/calibration/risk-watch.ts'
import { errorsToAlarm, provenThreshold } from '../../src/watch/certificate-watch.ts'
import type { Missing, Report } from '../../src/watch/execution.ts'
import { readState, stateText } from '../../src/watch/state-text.ts'
import { NOTHING_WATCHED, Watch } from '../../src/watch/watch.ts'
import { CERTIFICATE, endOf, execution, readAtOnce, readInPieces, report, RULES, streamOf } from './stream.ts'

const { decidedAt } = execution()
const AGE = RULES.maturityMs

function watched(reports: readonly Partial<Report>[], missing: Missing = 'assume-wrong') {
  const watch = new Watch(NOTHING_WATCHED({ ...RULES, missing }))
  watch.execute(execution())
  for (const [offset, it] of reports.entries()) watch.report(report({ place: { partition: 0, offset }, ...it }))
  watch.advance(decidedAt + AGE)
  const [found] = watch.state.certificates
  const { counted, errors, failed, repeated, contradicting } = found!
  return { counted, errors, missing: found!.missing, failed, repeated, contradicting }
}

const NONE = { counted: 1, errors: 0, missing: 0, failed: 0, repeated: 0, contradicting: 0 }

describe('what counts', () => {
  test.each<[string, readonly Partial<Report>[], Partial<typeof NONE>]>([
    ['a right label', [{}], {}],
    ['a wrong label', [{ says: 'wrong' }], { errors: 1 }],
    ['the first label', [{}, { at: decidedAt + 2_000, says: 'wrong' }], { repeated: 1, contradicting: 1 }],
    [
      'the first by time, whatever was read first',
      [{ says: 'wrong', at: decidedAt + 2_000 }, {}],
      { repeated: 1, contradicting: 1 },
    ],
    ['a label said twice', [{}, { at: decidedAt + 2_000 }], { repeated: 1 }],
    ['a label at just the full age', [{ at: decidedAt + AGE }], {}],
    ['no label', [], { errors: 1, missing: 1 }],
    ['a label that came too late', [{ at: decidedAt + AGE + 1 }], { errors: 1, missing: 1 }],
    ['an action that was not done', [{ says: 'failed' }], { counted: 0, failed: 1 }],
    ['a label in spite of a failure', [{ says: 'failed' }, { says: 'wrong' }], { errors: 1 }],
    ['a label of another action', [{ actionKey: 'a-2' }], { errors: 1, missing: 1 }],
  ])('%s', (_, reports, expected) => expect(watched(reports)).toEqual({ ...NONE, ...expected }))

  test.each([
    ['assume-wrong', { errors: 1, missing: 1 }],
    ['assume-right', { missing: 1 }],
    ['exclude', { counted: 0, missing: 1 }],
  ] as const)('a missing label under %s', (rule, expected) =>
    expect(watched([], rule)).toEqual({ ...NONE, ...expected }),
  )

  test('nothing before its full age, so that errors which are known sooner do not count sooner', () => {
    const watch = new Watch(NOTHING_WATCHED(RULES))
    watch.execute(execution())
    watch.report(report({ says: 'wrong' }))
    watch.advance(decidedAt + AGE - 1)
    expect(watch.state.certificates).toEqual([])
    expect(watch.immature.get(CERTIFICATE)).toBe(1)
    watch.advance(decidedAt + AGE)
    expect(watch.state.certificates).toMatchObject([{ counted: 1, errors: 1 }])
    expect(watch.immature.size).toBe(0)
  })

  test('an execution that comes when its age was counted is left out, and told of', () => {
    const watch = new Watch(NOTHING_WATCHED(RULES))
    watch.advance(decidedAt + AGE)
    expect(watch.execute(execution())).toBe(false)
    watch.advance(decidedAt + 10 * AGE)
    expect(watch.state.certificates).toEqual([])
  })

  test('of two executions of one action the earlier', () => {
    const watch = new Watch(NOTHING_WATCHED(RULES))
    watch.execute(
      execution({ place: { partition: 1, offset: 0 }, decidedAt: decidedAt + 10, certificate: 'd'.repeat(32) }),
    )
    watch.execute(execution())
    watch.report(report())
    watch.advance(decidedAt + 2 * AGE)
    expect(watch.state.certificates).toMatchObject([{ certificate: CERTIFICATE, counted: 1 }])
  })

  test('labels of what nobody audited are forgotten, so that memory stays bounded', () => {
    const watch = new Watch(NOTHING_WATCHED(RULES))
    for (let n = 0; n < 100; n++) watch.report(report({ actionKey: `a-${n}`, place: { partition: 0, offset: n } }))
    expect(watch.needed.reports.size).toBe(1)
    watch.advance(decidedAt + 10 * AGE)
    expect(watch.needed.reports.size).toBe(0)
  })
})

describe('a replay', () => {
  const replayed = (it: Parameters<typeof readState>[0]) => readState(it)

  test('ends in the same bytes, however the topics are cut, interleaved and restarted', () => {
    fc.assert(
      fc.property(fc.nat(1_000), fc.nat(1_000), fc.nat(4), (stream, reading, restarts) => {
        const it = streamOf(stream)
        const atOnce = stateText(readAtOnce(it).state)
        const inPieces = readInPieces(it, reading, restarts, (state) => replayed(stateText(state)))
        expect(stateText(inPieces.state)).toBe(atOnce)
      }),
      { numRuns: 60 },
    )
  })

  test('gives the same alarms, each once', () => {
    const it = streamOf(5, { events: 3_000, risk: (n) => (n < 1_500 ? 0.01 : 0.5), shares: [1] })
    const [first] = readAtOnce(it).state.certificates.filter(({ certificate }) => certificate === CERTIFICATE)
    expect(first!.alarms).toBeGreaterThan(0)
    const watch = readInPieces(it, 9, 4, (state) => replayed(stateText(state)))
    expect(watch.state.certificates.find(({ certificate }) => certificate === CERTIFICATE)!.alarms).toBe(first!.alarms)
  })

  test('keeps what a stream has proven through being written down', () => {
    const watch = readAtOnce(streamOf(3, { events: 2_000, risk: () => 0.001, shares: [1] }), {
      ...RULES,
      missing: 'exclude',
    })
    const { state } = watch
    const read = readState(stateText(state))
    expect(stateText(read)).toBe(stateText(state))
    expect(read.certificates.map(provenThreshold)).toEqual(state.certificates.map(provenThreshold))
    expect(provenThreshold(state.certificates[1]!)).toBeLessThan(0.5)
  })

  test('a certificate that was not executed on for over a year begins anew, whenever it is looked at', () => {
    const DAY = 86_400_000
    const second = { actionKey: 'a-2', place: { partition: 0, offset: 1 }, decidedAt: decidedAt + 401 * DAY }
    const states = [true, false].map((looked) => {
      const watch = new Watch(NOTHING_WATCHED(RULES))
      watch.execute(execution())
      if (looked) watch.advance(decidedAt + 400.5 * DAY)
      if (looked) expect(watch.state.certificates).toEqual([])
      watch.execute(execution(second))
      watch.advance(decidedAt + 402 * DAY)
      return watch.state
    })
    expect(states[0]).toEqual(states[1])
    expect(states[0]!.certificates).toMatchObject([{ counted: 1 }])
  })
})

describe('an alarm', () => {
  const drifting = () => streamOf(5, { events: 3_000, risk: (n) => (n < 1_500 ? 0.01 : 0.5), shares: [1] })

  test('says what tipped the scales, and starts the detector anew', () => {
    const it = drifting()
    const watch = new Watch(NOTHING_WATCHED(RULES))
    for (const one of it.executions.flat()) watch.execute(one)
    for (const one of it.reports.flat()) watch.report(one)
    const alarms = watch.advance(endOf(it))
    const [alarm] = alarms.filter(({ certificate }) => certificate === CERTIFICATE)
    expect(alarm).toMatchObject({ certificate: CERTIFICATE, risk: 0.05 })
    expect(alarm!.evidence).toBeGreaterThanOrEqual(ALARM_AT)
    const at = Number(alarm!.actionKey.slice(2))
    expect(at).toBeGreaterThanOrEqual(1_500)
    expect(at).toBeLessThan(1_600)
    for (const { detector } of watch.state.certificates) expect(evidenceOf(detector)).toBeLessThan(ALARM_AT)
  })

  test('is raised once for what was executed until the withdrawal is heeded, and again if it goes on after that', () => {
    const it = streamOf(5, { events: 3_000, risk: (n) => (n < 1_500 ? 0.01 : 0.9), shares: [1] })
    const alarmsOf = (later: number) => {
      const watch = new Watch(NOTHING_WATCHED(RULES))
      for (const one of it.executions.flat()) watch.execute(one)
      for (let n = 0; n < 40; n++) {
        const place = { partition: 0, offset: 100_000 + n }
        watch.execute(execution({ actionKey: `l-${n}`, decidedAt: decidedAt + later + n, place }))
      }
      for (const one of it.reports.flat()) watch.report(one)
      return watch.advance(endOf(it) + 10 * AGE).filter(({ certificate }) => certificate === CERTIFICATE).length
    }
    expect(alarmsOf(50_000)).toBe(1)
    expect(alarmsOf(4 * AGE)).toBe(2)
  })

  test('comes after as many errors in a row as are said to be left', () => {
    const watch = new Watch(NOTHING_WATCHED(RULES))
    watch.execute(execution())
    watch.report(report())
    watch.advance(decidedAt + AGE)
    const left = errorsToAlarm(watch.state.certificates[0]!)
    expect(left).toBeGreaterThan(1)
    const wrong = (n: number) => {
      const place = { partition: 0, offset: n }
      watch.execute(execution({ actionKey: `w-${n}`, decidedAt: decidedAt + AGE + n, place }))
      return watch.advance(decidedAt + 2 * AGE + n)
    }
    for (let n = 1; n < left; n++) expect(wrong(n)).toEqual([])
    expect(wrong(left)).toHaveLength(1)
  })
})
