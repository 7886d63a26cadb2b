import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { describe, expect, test } from 'vitest'
import type { Decided } from '../../src/processor/ports.ts'
import { hrTime } from '../../src/telemetry/finished-span.ts'
import { createTracer, parentOf, traceparent } from '../../src/telemetry/trace-link.ts'
import {
  CANARY,
  PARENT,
  SAMPLED_PARENT,
  TIMES,
  UNSAMPLED_PARENT,
  decided,
  recordAt,
  setAside,
  spanBench,
  verdictOn,
} from './fixture.ts'

const tracer = createTracer({ executeShare: 0, exporting: true })
const fromParent = { traceparent: SAMPLED_PARENT, tracestate: 'vendor=1' }

async function spansOf(...all: readonly Decided[]): Promise<readonly ReadableSpan[]> {
  const { observer, finished } = spanBench()
  observer.committed(all, TIMES)
  return finished()
}

/** The tree of one trace as indented lines: kind, name, milliseconds after the poll. */
function treeOf(spans: readonly ReadableSpan[], traceId: string): string {
  const own = spans.filter((span) => span.spanContext().traceId === traceId)
  const ids = new Set(own.map((span) => span.spanContext().spanId))
  const line = (span: ReadableSpan, depth: number): string[] => [
    `${'  '.repeat(depth)}${SpanKind[span.kind]} ${span.name} ${ms(span.startTime)}-${ms(span.endTime)}`,
    ...own
      .filter((child) => child.parentSpanContext?.spanId === span.spanContext().spanId)
      .flatMap((child) => line(child, depth + 1)),
  ]
  const roots = own.filter((span) => !ids.has(span.parentSpanContext?.spanId ?? ''))
  return roots.flatMap((root) => line(root, 0)).join('\n')
}

const ms = ([seconds, nanos]: readonly [number, number]): number =>
  Math.round((seconds * 1000 + nanos / 1e6 - TIMES.polled) * 100) / 100

describe('one trace per decision', () => {
  test.each(['execute', 'review', 'reject'] as const)('%s', async (route) => {
    const record = recordAt(1842, fromParent)
    const spans = await spansOf(decided(tracer, record, verdictOn(record, route)))
    expect(treeOf(spans, PARENT.traceId)).toBe(
      [
        'CONSUMER process model.outputs 0-9',
        '  INTERNAL enrich 1-3',
        '  INTERNAL evaluate 3-4',
        `  PRODUCER send decisions.${route} 4-9`,
      ].join('\n'),
    )
    const [process] = spans.filter(({ kind }) => kind === SpanKind.CONSUMER)
    expect(process!.parentSpanContext).toMatchObject({ ...PARENT, isRemote: true })
    expect(process!.spanContext().traceState?.serialize()).toBe('vendor=1')
    expect(process!.status.code).toBe(SpanStatusCode.UNSET)
  })

  test('a dead letter is the only error', async () => {
    const spans = await spansOf(setAside(tracer, recordAt(5, fromParent), 'record.magic'))
    expect(treeOf(spans, PARENT.traceId)).toBe(
      ['CONSUMER process model.outputs 0-9', '  PRODUCER send model.outputs.dlq 1-9'].join('\n'),
    )
    const [process] = spans.filter(({ kind }) => kind === SpanKind.CONSUMER)
    expect(process!.status).toEqual({ code: SpanStatusCode.ERROR, message: expect.stringContaining('magic byte') })
    expect(process!.attributes).toMatchObject({
      'decision.id': 'model.outputs:3:5',
      'decision.code': 'record.magic',
      'error.type': 'record.magic',
    })
  })

  test('without a parent the process span is the root', async () => {
    const record = recordAt(1)
    const one = decided(tracer, record, verdictOn(record, 'review'))
    const spans = await spansOf(one)
    const [process] = spans.filter(({ kind }) => kind === SpanKind.CONSUMER)
    expect(process!.parentSpanContext).toBeUndefined()
    expect(treeOf(spans, one.link.traceId).split('\n')).toHaveLength(4)
  })

  test('the send span is what the outgoing header names', async () => {
    const record = recordAt(1, fromParent)
    const one = decided(tracer, record, verdictOn(record, 'reject'))
    const [send] = (await spansOf(one)).filter(({ kind }) => kind === SpanKind.PRODUCER)
    const header = parentOf(new Map([['traceparent', Buffer.from(traceparent(one.link))]]))
    expect(header).toEqual({
      ...send!.spanContext(),
      traceFlags: undefined,
      isRemote: undefined,
      traceState: undefined,
      sampled: true,
    })
  })

  test('a replay makes the same spans', async () => {
    const record = recordAt(1, fromParent)
    const ids = async () => {
      const spans = await spansOf(decided(tracer, record, verdictOn(record, 'review')))
      return spans.map((span) => span.spanContext()).filter((it) => it.traceId === PARENT.traceId)
    }
    expect(await ids()).toEqual(await ids())
  })

  test('unsampled leaves no span, and a header that says so', async () => {
    const record = recordAt(1, { traceparent: UNSAMPLED_PARENT })
    const one = decided(tracer, record, verdictOn(record, 'execute'))
    expect(await spansOf(one)).toEqual([])
    expect(traceparent(one.link)).toBe(`00-${PARENT.traceId}-${one.link.sendSpanId}-00`)
  })
})

describe('the process span', () => {
  test('says what was decided and by what', async () => {
    const record = recordAt(1842, fromParent)
    const spans = await spansOf(decided(tracer, record, verdictOn(record, 'review')))
    expect(spans.find(({ kind }) => kind === SpanKind.CONSUMER)!.attributes).toEqual({
      'messaging.system.name': 'kafka',
      'messaging.system': 'kafka',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'model.outputs',
      'messaging.destination.partition.id': '3',
      'messaging.consumer.group.name': 'sluice',
      'kafka.offset': 1842,
      'decision.id': 'model.outputs:3:1842',
      'decision.route': 'review',
      'decision.code': 'limit.exceeded',
      'decision.codes': ['limit.exceeded', 'audit.selected'],
      'decision.certificate.id': 'ce'.repeat(16),
      'decision.margin': 0.05,
      'decision.confidence.raw': 0.9,
      'decision.confidence.calibrated': 0.75,
      'decision.policy.name': 'moderation',
      'decision.policy.version': 7,
      'decision.policy.digest': 'ab'.repeat(16),
      'decision.mode': 'normal',
      'decision.action': 'listing.flag',
      'decision.model.name': 'moderator',
      'decision.model.version': '2',
      'decision.audit': false,
    })
  })

  test('shows a score of 0 and leaves out one that is absent', async () => {
    const record = recordAt(1)
    const score = {
      raw: 0,
      calibrated: null,
      execute: 0.7,
      reject: null,
      margin: null,
      calibrator: null,
      certificate: null,
      certified: null,
      low: null,
      high: null,
      costs: null,
    }
    const spans = await spansOf(decided(tracer, record, verdictOn(record, 'review', { score })))
    const { attributes } = spans.find(({ kind }) => kind === SpanKind.CONSUMER)!
    expect(attributes['decision.confidence.raw']).toBe(0)
    expect(Object.keys(attributes)).not.toContain('decision.margin')
  })
})

describe('batch spans', () => {
  test('link the producers to the poll and the decisions to the commit, within bounds', async () => {
    const all = Array.from({ length: 100 }, (_, offset) => {
      const record = recordAt(offset, fromParent)
      return decided(tracer, record, verdictOn(record, 'review'))
    })
    const spans = await spansOf(...all)
    const [poll, commit] = spans.filter(({ kind }) => kind === SpanKind.CLIENT)
    expect(poll!.name).toBe('poll model.outputs')
    expect(commit!.name).toBe('commit model.outputs')
    expect(commit!.parentSpanContext).toEqual(poll!.spanContext())
    expect(poll!.links).toHaveLength(64)
    expect(commit!.links).toHaveLength(64)
    expect(commit!.droppedLinksCount).toBe(36)
    expect(commit!.attributes['messaging.batch.message_count']).toBe(100)
    const process = spans.find(({ kind }) => kind === SpanKind.CONSUMER)!
    expect(process.links.map(({ context }) => context.spanId)).toEqual([PARENT.spanId, poll!.spanContext().spanId])
  })
})

test('nothing an event, a context or a finding says gets into a span', async () => {
  const all = (['execute', 'review', 'reject'] as const).map((route, offset) => {
    const record = recordAt(offset, fromParent)
    return decided(tracer, record, verdictOn(record, route))
  })
  const spans = await spansOf(...all, setAside(tracer, recordAt(9, fromParent), 'schema.unknown'))
  expect(spans).toHaveLength(3 * 4 + 2 + 2)
  const shown = spans.map((span) => [
    span.name,
    span.attributes,
    span.status,
    span.links,
    span.events,
    span.spanContext(),
  ])
  expect(JSON.stringify(shown)).not.toContain(CANARY)
})

test('times keep their microseconds and never run backwards', () => {
  expect(hrTime(1_795_478_400_000.25)).toEqual([1_795_478_400, 250_000])
  expect(hrTime(1_795_478_399_999.9998)).toEqual([1_795_478_400, 0])
  expect(hrTime(0)).toEqual([0, 0])
})

test('beyond what is traced a second, decisions leave no span and are counted', async () => {
  const { observer, queue, finished } = spanBench()
  const batch = Array.from({ length: 1200 }, (_, offset) => {
    const record = recordAt(offset)
    return decided(tracer, record, verdictOn(record, 'review'))
  })
  observer.committed(batch, TIMES)
  const traces = new Set((await finished()).filter(({ kind }) => kind === SpanKind.CONSUMER))
  expect(traces.size).toBe(1000)
  expect(queue.counts().droppedOverRate).toBe(200 * 4)
})
