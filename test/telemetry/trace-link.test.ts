import { trace } from '@opentelemetry/api'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { childSpanIds, createTracer, parentOf, traceparent } from '../../src/telemetry/trace-link.ts'
import { PARENT, SAMPLED_PARENT, UNSAMPLED_PARENT, recordAt, verdictOn } from './fixture.ts'

const tracer = createTracer({ executeShare: 0, exporting: true })
const link = (headers: Record<string, string> = {}, offset = 1) => {
  const record = recordAt(offset, headers)
  return tracer.link(record, verdictOn(record, 'execute'))
}

describe('traceparent is read strictly', () => {
  const t = PARENT.traceId
  const s = PARENT.spanId
  test.each([
    ['a valid one', `00-${t}-${s}-01`, 'sampled'],
    ['unsampled', `00-${t}-${s}-00`, 'unsampled'],
    ['other flags beside', `00-${t}-${s}-03`, 'sampled'],
    ['a later version', `01-${t}-${s}-01`, 'sampled'],
    ['a later version with more fields', `cc-${t}-${s}-01-what-ever`, 'sampled'],
    ['a later version that runs on without a dash', `cc-${t}-${s}-01x`, 'invalid'],
    ['version 00 with more fields', `00-${t}-${s}-01-more`, 'invalid'],
    ['version ff', `ff-${t}-${s}-01`, 'invalid'],
    ['upper case', `00-${t.toUpperCase()}-${s}-01`, 'invalid'],
    ['a trace id of zeroes', `00-${'0'.repeat(32)}-${s}-01`, 'invalid'],
    ['a span id of zeroes', `00-${t}-${'0'.repeat(16)}-01`, 'invalid'],
    ['too short', `00-${t}-${s}-1`, 'invalid'],
    ['a trailing line feed', `00-${t}-${s}-01\n`, 'invalid'],
    ['a space before', ` 00-${t}-${s}-01`, 'invalid'],
    ['not hexadecimal', `00-${t.replace('0', 'g')}-${s}-01`, 'invalid'],
    ['nothing', '', 'invalid'],
    ['something huge', `cc-${t}-${s}-01-${'x'.repeat(100_000)}`, 'invalid'],
  ])('%s', (_what, header, expected) => {
    const parent = parentOf(recordAt(1, { traceparent: header }).headers)
    if (expected === 'invalid') return expect(parent).toBeNull()
    expect(parent).toEqual({ ...PARENT, sampled: expected === 'sampled' })
  })

  test('arbitrary bytes never throw, and what is accepted is valid to OpenTelemetry', () => {
    const almost = fc.stringMatching(/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?$/)
    fc.assert(
      fc.property(fc.oneof(fc.string(), almost), (header) => {
        const parent = parentOf(recordAt(1, { traceparent: header }).headers)
        if (parent !== null) expect(trace.isSpanContextValid({ ...parent, traceFlags: 0 })).toBe(true)
      }),
    )
  })
})

describe('a link', () => {
  test('continues the trace of a valid parent, and starts one of its own otherwise', () => {
    expect(link({ traceparent: SAMPLED_PARENT })).toMatchObject({
      traceId: PARENT.traceId,
      parentSpanId: PARENT.spanId,
      sampled: true,
    })
    for (const own of [link(), link({ traceparent: 'ff-nonsense' })]) {
      expect(own.parentSpanId).toBeNull()
      expect(own.traceId).not.toBe(PARENT.traceId)
      expect(own.sampled).toBe(false)
    }
  })

  test('is the same under replay, and another for every other record', () => {
    expect(link({}, 7)).toEqual(link({}, 7))
    const all = Array.from({ length: 1000 }, (_, offset) => link({}, offset))
    const ids = all.flatMap((it) => [it.traceId, it.processSpanId, it.sendSpanId, ...Object.values(childSpanIds(it))])
    expect(new Set(ids).size).toBe(5000)
  })

  test('gives a header that OpenTelemetry reads back, with the send span as the parent', () => {
    fc.assert(
      fc.property(fc.nat(), fc.boolean(), (offset, sampled) => {
        const own = link({ traceparent: sampled ? SAMPLED_PARENT : UNSAMPLED_PARENT }, offset)
        const header = traceparent(own)
        expect(header).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
        const read = parentOf(new Map([['traceparent', Buffer.from(header)]]))
        expect(read).toEqual({ traceId: PARENT.traceId, spanId: own.sendSpanId, sampled })
      }),
    )
  })
})

describe('sampled', () => {
  const sampledOf = (
    exporting: boolean,
    executeShare: number,
    route: 'execute' | 'review' | 'reject' | 'dead letter',
  ) => {
    const record = recordAt(1)
    const verdict = route === 'dead letter' ? null : verdictOn(record, route)
    return createTracer({ executeShare, exporting }).link(record, verdict).sampled
  }
  test.each([
    ['execute', 0, true, false],
    ['execute', 1, true, true],
    ['review', 0, true, true],
    ['reject', 0, true, true],
    ['dead letter', 0, true, true],
    ['review', 1, false, false],
    ['dead letter', 1, false, false],
  ] as const)('%s, share %d, exporting %s: %s', (route, share, exporting, expected) => {
    expect(sampledOf(exporting, share, route)).toBe(expected)
  })

  test('a sampled parent counts even where nothing is exported here, for the executor may export', () => {
    const record = recordAt(1, { traceparent: SAMPLED_PARENT })
    const quiet = createTracer({ executeShare: 0, exporting: false })
    expect(quiet.link(record, verdictOn(record, 'execute')).sampled).toBe(true)
  })

  test('the share of executes is kept', () => {
    const some = createTracer({ executeShare: 0.1, exporting: true })
    const sampled = Array.from({ length: 20_000 }, (_, offset) => {
      const record = recordAt(offset)
      return some.link(record, verdictOn(record, 'execute')).sampled
    }).filter(Boolean).length
    expect(sampled).toBeGreaterThan(1800)
    expect(sampled).toBeLessThan(2200)
  })
})

describe('tracestate', () => {
  const passed = (tracestate: string, parent = SAMPLED_PARENT) => link({ traceparent: parent, tracestate }).tracestate
  const members = Array.from({ length: 40 }, (_, at) => `vendor${at}=v`)
  test.each([
    ['as it is', 'a=1,b@c=2', 'a=1,b@c=2'],
    ['without blanks and empty members', 'a=1 , ,b=2', 'a=1,b=2'],
    ['not when it is no text', 'a=\u0001', null],
    ['nothing of nothing', '', null],
    ['the first 32 members', members.join(','), members.slice(0, 32).join(',')],
    ['whole members up to 512 characters', `a=1,b=${'x'.repeat(600)}`, 'a=1'],
    ['nothing when one is too long', `b=${'x'.repeat(600)}`, null],
  ])('%s', (_what, given, expected) => {
    expect(passed(given)).toBe(expected)
  })
  test('belongs to its parent and goes with it', () => {
    expect(passed('a=1', 'invalid')).toBeNull()
  })
})
