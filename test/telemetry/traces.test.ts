import { SpanKind, context, propagation, trace } from '@opentelemetry/api'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { decodeTraces } from '../../deploy/local/traces/otlp-protobuf.ts'
import { openTraceServer } from '../../deploy/local/traces/server.ts'
import { createLogger } from '../../src/telemetry/logs.ts'
import { openTelemetry } from '../../src/telemetry/open-telemetry.ts'
import { openTracing } from '../../src/telemetry/open-tracing.ts'
import { traceparent } from '../../src/telemetry/trace-link.ts'
import { countingCollector } from './collector.ts'
import { TIMES, TOPICS, decided, recordAt, setAside, verdictOn } from './fixture.ts'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function startServer(maxTraces = 100): Promise<string> {
  const server = await openTraceServer({ host: '127.0.0.1', port: 0, maxTraces })
  open.push(server.close)
  return server.url
}

type Protocol = 'http/protobuf' | 'http/json'
const service = (serviceName: string, url: string, protocol: Protocol) => ({
  serviceName,
  serviceVersion: '0.1.0',
  resourceAttributes: null,
  otlp: { endpoint: url, protocol, headers: null },
})

const startTelemetry = (url: string, protocol: Protocol = 'http/protobuf') =>
  openTelemetry(
    { ...service('sluice', url, protocol), tracesExporter: 'otlp', executeShare: 1, topics: TOPICS, group: 'sluice' },
    { logger: createLogger('error', 'sluice'), now: () => 0 },
  )

type Shown = {
  name: string
  service: string
  spanId: string
  parentSpanId: string | null
  attributes: object
  startMs: number
}
const tracesOf = async (url: string, query: string): Promise<readonly { traceId: string; spans: readonly Shown[] }[]> =>
  ((await (await fetch(`${url}/api/traces?${query}`)).json()) as { traces: { traceId: string; spans: Shown[] }[] })
    .traces

function post(url: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>): Promise<Response> {
  return fetch(`${url}/v1/traces`, { method: 'POST', body, headers })
}

const rawSpan = (more: object) => ({
  resourceSpans: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: '<b>svc</b>' } }] },
      scopeSpans: [
        {
          spans: [
            {
              traceId: 'a'.repeat(32),
              spanId: 'b'.repeat(16),
              name: 'process model.outputs',
              kind: 5,
              startTimeUnixNano: '1795478400000250000',
              endTimeUnixNano: '1795478400010250000',
              ...more,
            },
          ],
        },
      ],
    },
  ],
})

describe('the whole way of one event is one trace', () => {
  test.each(['http/protobuf', 'http/json'] as const)('from producer to executor over %s', async (protocol) => {
    const url = await startServer()
    const demo = openTracing(service('demo', url, protocol))
    const telemetry = startTelemetry(url, protocol)
    const tracer = trace.getTracer('demo')

    const send = tracer.startSpan('send model.outputs', { kind: SpanKind.PRODUCER })
    const headers: Record<string, string> = {}
    propagation.inject(trace.setSpan(context.active(), send), headers)
    send.end()
    const record = recordAt(1842, headers)
    const one = decided(telemetry.tracer, record, verdictOn(record, 'execute'))
    telemetry.observer.committed([one], TIMES)
    const parent = propagation.extract(context.active(), { traceparent: traceparent(one.link) })
    await context.with(parent, async () => {
      await Promise.resolve()
      const attributes = { 'decision.id': one.record.offset, 'decision.code': 'confidence.sufficient' }
      tracer.startActiveSpan('process decisions.execute', { kind: SpanKind.CONSUMER, attributes }, (span) => span.end())
    })
    await Promise.all([demo.close(), telemetry.close()])

    const [found, ...others] = await tracesOf(url, 'decisionId=model.outputs:3:1842')
    expect(others).toEqual([])
    expect(found!.traceId).toBe(send.spanContext().traceId)
    const nameOf = new Map(found!.spans.map((it) => [it.spanId, it.name]))
    const tree = found!.spans.map((it) => `${it.service}: ${it.name} < ${nameOf.get(it.parentSpanId ?? '') ?? '-'}`)
    expect(tree.toSorted()).toEqual([
      'demo: process decisions.execute < send decisions.execute',
      'demo: send model.outputs < -',
      'sluice: enrich < process model.outputs',
      'sluice: evaluate < process model.outputs',
      'sluice: process model.outputs < send model.outputs',
      'sluice: send decisions.execute < process model.outputs',
    ])
    const process = found!.spans.find(({ name }) => name === 'process model.outputs')
    expect(process!.startMs).toBeCloseTo(TIMES.polled, 2)
    expect(process!.attributes).toMatchObject({
      'decision.codes': ['confidence.sufficient', 'audit.selected'],
      'decision.margin': 0.05,
      'kafka.offset': 1842,
      'decision.audit': false,
    })
    expect(await (await fetch(`${url}/api/traces/${found!.traceId}`)).json()).toEqual(found)
    expect((await (await fetch(url)).text()).split(`/trace/${found!.traceId}`)).toHaveLength(2)
  })
})

test('closing delivers a full queue', async () => {
  const collector = await countingCollector()
  open.push(collector.close)
  const telemetry = startTelemetry(collector.url, 'http/json')
  const batch = Array.from({ length: 1000 }, (_, offset) => {
    const record = recordAt(offset)
    return decided(telemetry.tracer, record, verdictOn(record, 'review'))
  })
  telemetry.observer.committed(batch, TIMES)
  await telemetry.close()
  expect(collector.spans()).toBe(4002)
})

test('numbers keep their sign and size through protobuf', () => {
  const read = (hex: string): unknown => decodeTraces(Buffer.from(hex, 'hex'))
  // resourceSpans, resource, attributes, value, then intValue (field 3).
  const nested = (int: string): string => {
    const wrap = (tag: string, body: string): string => tag + (body.length / 2).toString(16).padStart(2, '0') + body
    return wrap('0a', wrap('0a', wrap('0a', wrap('12', `18${int}`))))
  }
  const intOf = (int: string): unknown => JSON.stringify(read(nested(int))).replace(/^.*"intValue":(-?\d+).*$/, '$1')
  expect(intOf('07')).toBe('7')
  expect(intOf('ffffffffffffffffff01')).toBe('-1')
  expect(intOf('c0c4ffffffffffffff01')).toBe('-7616')
  expect(intOf('ffffffffffffff0f')).toBe(String(2 ** 53 - 1))
})

describe('pages', () => {
  test('list decisions by route, and show one as a waterfall with its attributes', async () => {
    const url = await startServer()
    const telemetry = startTelemetry(url)
    const [first, second] = [recordAt(1), recordAt(2)]
    const review = decided(telemetry.tracer, first, verdictOn(first, 'review'))
    telemetry.observer.committed([review, setAside(telemetry.tracer, second, 'record.magic')], TIMES)
    await telemetry.close()
    const list = await (await fetch(url)).text()
    expect(list).toContain('model.outputs:3:1<')
    expect(list).toContain('model.outputs:3:2<')
    const filtered = await (await fetch(`${url}/?route=dead+letter`)).text()
    expect(filtered).not.toContain('model.outputs:3:1<')
    expect(filtered).toContain('record.magic')
    const page = await (await fetch(`${url}/trace/${review.link.traceId}`)).text()
    for (const shown of [
      'enrich',
      'evaluate',
      'send decisions.review',
      'moderation @ 7',
      '0.9 → 0.75',
      'limit.exceeded',
    ])
      expect(page).toContain(shown)
    expect((await fetch(`${url}/trace/none`)).status).toBe(404)
  })

  test('show what a span says as text, and load nothing', async () => {
    const url = await startServer()
    const attributes = [
      { key: 'decision.codes', value: { arrayValue: { values: [{ stringValue: '</code><script>' }] } } },
      { key: 'decision.code', value: { stringValue: '<script>alert(1)</script>' } },
      { key: 'decision.route', value: { stringValue: '"><img src=x>' } },
    ]
    await post(url, JSON.stringify(rawSpan({ attributes })), { 'content-type': 'application/json' })
    for (const path of ['/', `/trace/${'a'.repeat(32)}`]) {
      const answer = await fetch(url + path)
      const page = await answer.text()
      expect(page).toContain('&lt;script&gt;')
      expect(page).not.toMatch(/<script|<img|<b>svc|https?:\/\//)
      expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
    }
  })
})

describe('the receiver', () => {
  test('keeps the last traces only, and a trace that grew counts as recent', async () => {
    const url = await startServer(2)
    const put = (digit: string, span = 'b') =>
      post(url, JSON.stringify(rawSpan({ traceId: digit.repeat(32), spanId: span.repeat(16) })), {
        'content-type': 'application/json',
      })
    for (const digit of ['1', '2']) await put(digit)
    await put('1', 'c')
    await put('3')
    const kept = await Promise.all(['1', '2', '3'].map((it) => fetch(`${url}/api/traces/${it.repeat(32)}`)))
    expect(kept.map(({ status }) => status)).toEqual([200, 404, 200])
  })

  test.each([
    [
      'gzip',
      gzipSync(JSON.stringify(rawSpan({}))),
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      200,
    ],
    ['unknown fields', Buffer.from(JSON.stringify(rawSpan({ novel: 1 }))), { 'content-type': 'application/json' }, 200],
    ['neither protobuf nor JSON', Buffer.from('x'), { 'content-type': 'text/plain' }, 415],
    ['broken JSON', Buffer.from('{'), { 'content-type': 'application/json' }, 400],
    [
      'a trace id of the wrong length',
      Buffer.from(JSON.stringify(rawSpan({ traceId: 'aa' }))),
      { 'content-type': 'application/json' },
      400,
    ],
    [
      'a time that is no number',
      Buffer.from(JSON.stringify(rawSpan({ startTimeUnixNano: 'x' }))),
      { 'content-type': 'application/json' },
      400,
    ],
    [
      'broken protobuf',
      Buffer.from('ffffffffffffffffffffff', 'hex'),
      { 'content-type': 'application/x-protobuf' },
      400,
    ],
    ['an empty protobuf message', Buffer.alloc(0), { 'content-type': 'application/x-protobuf' }, 200],
  ])('answers to %s', async (_what, body, headers, status) => {
    const url = await startServer()
    expect((await post(url, new Uint8Array(body), headers)).status).toBe(status)
  })

  test('takes metrics and logs and drops them', async () => {
    const url = await startServer()
    for (const path of ['/v1/metrics', '/v1/logs'])
      expect((await fetch(url + path, { method: 'POST', body: 'anything' })).status).toBe(200)
  })

  test.each([
    ['a length beyond the end', '0aff01'],
    ['a varint without end', '80'],
    ['the wrong wire type', '08'.padEnd(4, '1')],
    ['groups', '0b'],
  ])('protobuf with %s is refused as a range error', (_what, hex) => {
    expect(() => decodeTraces(Buffer.from(hex, 'hex'))).toThrow(RangeError)
  })
})
