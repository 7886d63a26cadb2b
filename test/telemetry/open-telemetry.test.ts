import { InMemorySpanExporter } from '@opentelemetry/sdk-trace'
import { Writable } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'
import { createLogger } from '../../src/telemetry/logs.ts'
import { openTelemetry } from '../../src/telemetry/open-telemetry.ts'
import type { Telemetry, TelemetryConfig } from '../../src/telemetry/open-telemetry.ts'
import { blackHole } from './collector.ts'
import { CANARY, SAMPLED_PARENT, TIMES, TOPICS, decided, recordAt, setAside, verdictOn } from './fixture.ts'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

function capture() {
  const lines: string[] = []
  const stream = new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) })
  return { lines, logger: createLogger('debug', 'sluice', stream) }
}

const config = (endpoint: string, more: Partial<TelemetryConfig> = {}): TelemetryConfig => ({
  serviceName: 'sluice',
  serviceVersion: '0.1.0',
  resourceAttributes: 'deployment.environment.name=test,team=a%20b',
  tracesExporter: 'otlp',
  otlp: { endpoint, protocol: 'http/protobuf', headers: null },
  executeShare: 0.01,
  topics: TOPICS,
  group: 'sluice',
  ...more,
})

function start(exporter = new InMemorySpanExporter()) {
  const { lines, logger } = capture()
  const telemetry = openTelemetry(config('http://127.0.0.1:1'), { logger, now: () => 0, exporter })
  open.push(telemetry.close)
  return { telemetry, lines, exporter }
}

function batchOf({ tracer }: Telemetry, size: number, route: 'execute' | 'review' = 'review') {
  return Array.from({ length: size }, (_, offset) => {
    const record = recordAt(offset, { traceparent: SAMPLED_PARENT })
    return decided(tracer, record, verdictOn(record, route))
  })
}

describe('a collector that never answers', () => {
  test('delays nobody, costs bounded memory, is counted, and holds up closing for 2 s at most', async () => {
    const hole = await blackHole()
    open.push(hole.close)
    const { lines, logger } = capture()
    const telemetry = openTelemetry(config(hole.url), { logger, now: () => 0 })
    const batch = batchOf(telemetry, 200)
    const spent: number[] = []
    for (let round = 0; round < 50; round += 1) {
      const before = performance.now()
      // As far apart as so many decisions may be traced.
      telemetry.observer.committed(batch, { ...TIMES, committed: TIMES.committed + round * 400 })
      spent.push(performance.now() - before)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(spent.toSorted((a, b) => a - b)[25]).toBeLessThan(20)
    const text = await telemetry.metrics.scrape()
    const queued = valueOf(text, 'telemetry_spans_queued')
    const dropped = valueOf(text, 'telemetry_spans_dropped_total{reason="queue_full"}')
    expect(queued).toBeLessThanOrEqual(4096)
    expect(dropped).toBeGreaterThan(30_000)
    const before = performance.now()
    await telemetry.close()
    expect(performance.now() - before).toBeLessThan(2000)
    expect(lines.join('')).not.toContain(CANARY)
  }, 10_000)

  test('a refused connection is logged once, with the address and without a stack', async () => {
    const { lines, logger } = capture()
    const telemetry = openTelemetry(config('http://127.0.0.1:1'), { logger, now: () => 0 })
    telemetry.observer.committed(batchOf(telemetry, 1), TIMES)
    await telemetry.close()
    await expect.poll(() => lines.filter((line) => line.includes('spans are lost')).length, { timeout: 6000 }).toBe(1)
    const [line] = lines.filter((it) => it.includes('spans are lost'))
    expect(JSON.parse(line!)).toMatchObject({
      level: 'warn',
      endpoint: 'http://127.0.0.1:1',
      reason: expect.stringContaining('ECONNREFUSED'),
    })
    expect(line).not.toContain('    at ')
  }, 10_000)
})

test('spans carry the service and its resource attributes', async () => {
  const { telemetry, exporter } = start()
  telemetry.observer.committed(batchOf(telemetry, 1), TIMES)
  await expect.poll(() => exporter.getFinishedSpans().length, { timeout: 3000 }).toBe(6)
  expect(exporter.getFinishedSpans()[0]!.resource.attributes).toMatchObject({
    'service.name': 'sluice',
    'service.version': '0.1.0',
    'deployment.environment.name': 'test',
    team: 'a b',
  })
})

test('an unreadable setting is named without its value', () => {
  const { logger } = capture()
  const otlp = { endpoint: 'http://x', protocol: 'http/json', headers: `a=b,${CANARY}` } as const
  expect(() => openTelemetry(config('', { otlp }), { logger, now: () => 0 })).toThrow(
    'OTEL_EXPORTER_OTLP_HEADERS: entry 2 is not key=value; separate entries with commas',
  )
})

test('with no exporter nothing is sampled here and spans cost nothing', async () => {
  const { logger } = capture()
  const telemetry = openTelemetry(config('http://127.0.0.1:1', { tracesExporter: 'none' }), { logger, now: () => 0 })
  open.push(telemetry.close)
  const record = recordAt(1)
  expect(telemetry.tracer.link(record, null).sampled).toBe(false)
  telemetry.observer.committed(batchOf(telemetry, 3), TIMES)
  const text = await telemetry.metrics.scrape()
  expect(valueOf(text, 'telemetry_spans_queued')).toBe(0)
  expect(valueOf(text, 'decision_duration_count')).toBe(3)
})

describe('metrics', () => {
  test('count decisions, faults and refusals by their codes, and time every event', async () => {
    const { telemetry } = start()
    const { observer, tracer, metrics } = telemetry
    observer.committed([...batchOf(telemetry, 5), ...batchOf(telemetry, 2, 'execute')], TIMES)
    observer.committed([setAside(tracer, recordAt(9), 'record.magic')], TIMES)
    observer.discarded('rebalance', 12)
    observer.refused({ kind: 'fenced', partition: 3 })
    observer.refused({ kind: 'unavailable', fault: { code: 'state.unavailable', detail: CANARY, retry: true } })
    metrics.stateRoundTrip('observe', 2)
    metrics.reloaded('policy', 'rejected')
    metrics.watchLag(() => [{ partition: 0, records: 17 }])
    metrics.watchPolicy(() => ({ name: 'moderation', version: 7, digest: 'ab' }))
    const text = await metrics.scrape()
    const expected: Readonly<Record<string, number>> = {
      'decision_count_total{route="review",code="limit.exceeded",policy="moderation",mode="normal"}': 5,
      'decision_count_total{route="execute",code="confidence.sufficient",policy="moderation",mode="normal"}': 2,
      'decision_dead_letters_total{code="record.magic"}': 1,
      'decision_batch_discarded_total{code="rebalance"}': 1,
      'state_refusals_total{kind="fenced"}': 1,
      'state_refusals_total{kind="unavailable"}': 1,
      'policy_reloads_total{what="policy",result="rejected"}': 1,
      'policy_info{policy="moderation",version="7",digest="ab"}': 1,
      'decision_lag{partition="0"}': 17,
      decision_duration_count: 8,
      'decision_duration_bucket{le="0.01"}': 8,
      'decision_duration_bucket{le="0.005"}': 0,
      decision_age_count: 8,
      'decision_age_bucket{le="0.5"}': 8,
      'decision_age_bucket{le="0.25"}': 0,
      decision_batch_size_count: 2,
      decision_batch_size_sum: 8,
      'decision_batch_phase_duration_count{phase="commit"}': 2,
      'state_round_trip_duration_count{operation="observe"}': 1,
      'telemetry_spans_dropped_total{reason="queue_full"}': 0,
      telemetry_errors_total: 0,
    }
    expect(Object.fromEntries(Object.keys(expected).map((name) => [name, valueOf(text, name)]))).toEqual(expected)
    expect(text).not.toContain(CANARY)
  })

  test('a flood of policy codes ends in one series named other', async () => {
    const { telemetry } = start()
    const flood = Array.from({ length: 3000 }, (_, offset) => {
      const record = recordAt(offset)
      return decided(telemetry.tracer, record, verdictOn(record, 'execute', { code: `policy.code_${offset}` }))
    })
    telemetry.observer.committed(flood, TIMES)
    const text = await telemetry.metrics.scrape()
    expect(text.split('\n').filter((line) => line.startsWith('decision_count_total{'))).toHaveLength(1001)
    expect(valueOf(text, 'decision_count_total{route="other",code="other",policy="other",mode="other"}')).toBe(2000)
  })
})

describe('logs', () => {
  test('show dead letters, discards and refusals, sparingly, and nothing of an event', () => {
    const { telemetry, lines } = start()
    const { observer, tracer } = telemetry
    observer.committed(
      Array.from({ length: 100 }, (_, offset) => setAside(tracer, recordAt(offset), 'record.malformed')),
      TIMES,
    )
    observer.discarded('rebalance', 12)
    observer.refused({ kind: 'unavailable', fault: { code: 'state.unavailable', detail: CANARY, retry: true } })
    const warnings = lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 'warn')
    expect(warnings).toMatchObject([
      { position: 'model.outputs:3:0', code: 'record.malformed', service: 'sluice' },
      { code: 'rebalance', records: 12 },
      { code: 'state.unavailable', message: expect.stringContaining('Redis did not answer') },
    ])
    expect(lines.join('')).not.toContain(CANARY)
  })

  test('hide secrets and events even when somebody logs them', () => {
    const { lines, logger } = capture()
    logger.info({ password: CANARY, event: { id: CANARY }, record: { key: CANARY, value: CANARY, topic: 't' } }, 'oh')
    expect(lines.join('')).not.toContain(CANARY)
    expect(JSON.parse(lines[0]!)).toMatchObject({ record: { topic: 't', key: '[hidden]' }, message: 'oh' })
  })
})

test('an observer that throws is counted and left out, the others are told', async () => {
  const { telemetry, lines } = start()
  const [one] = batchOf(telemetry, 1)
  const broken = { ...one!, verdict: null } as unknown as typeof one & object
  expect(() => telemetry.observer.committed([broken], TIMES)).not.toThrow()
  expect(valueOf(await telemetry.metrics.scrape(), 'telemetry_errors_total')).toBe(2)
  expect(lines.join('')).toContain('a part of telemetry failed')
})

/** The value of one series of Prometheus' text; NaN where it is not there. */
function valueOf(text: string, series: string): number {
  const line = text.split('\n').find((it) => it.startsWith(`${series} `))
  return line === undefined ? Number.NaN : Number(line.slice(series.length + 1))
}
