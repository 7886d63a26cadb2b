import { emptyResource } from '@opentelemetry/resources'
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import type { Route } from '../../src/decision/route.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import type { FaultCode } from '../../src/processor/fault.ts'
import type { BatchTimes, Decided, InputRecord, Tracer } from '../../src/processor/ports.ts'
import { createSpanQueue } from '../../src/telemetry/span-queue.ts'
import type { SpanQueue } from '../../src/telemetry/span-queue.ts'
import { spanObserver } from '../../src/telemetry/spans.ts'

/** Stands wherever an event, a context or a finding's sentence may say anything at all. */
export const CANARY = 'canary-4711'

export const PARENT = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
export const SAMPLED_PARENT = `00-${PARENT.traceId}-${PARENT.spanId}-01`
export const UNSAMPLED_PARENT = `00-${PARENT.traceId}-${PARENT.spanId}-00`

export const TOPICS = {
  verdicts: { execute: 'decisions.execute', review: 'decisions.review', reject: 'decisions.reject' },
  deadLetters: 'model.outputs.dlq',
}

/** 2026-11-24 with fractions, as the processor's clock gives it. */
const T0 = 1_795_478_400_000.25
export const TIMES: BatchTimes = {
  polled: T0,
  decoded: T0 + 1,
  observed: T0 + 3,
  decided: T0 + 4,
  encoded: T0 + 4.5,
  committing: T0 + 5,
  committed: T0 + 9,
}

export function recordAt(offset: number, headers: Readonly<Record<string, string>> = {}): InputRecord {
  return {
    topic: 'model.outputs',
    partition: 3,
    offset,
    timestamp: Math.floor(T0) - 250,
    key: Buffer.from(CANARY),
    value: Buffer.from(CANARY),
    headers: new Map([
      ['x-note', Buffer.from(CANARY)],
      ...Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)] as const),
    ]),
  }
}

const CODE_OF = { execute: 'confidence.sufficient', review: 'limit.exceeded', reject: 'policy.trusted_seller' } as const

export function verdictOn(record: InputRecord, route: Route, more: Partial<Verdict> = {}): Verdict {
  const context = { source: CANARY, version: 1, time: 1, attributes: { [CANARY]: CANARY } }
  const finding = { route, code: CODE_OF[route], subject: CANARY, detail: CANARY }
  return {
    decisionId: `${record.topic}:${record.partition}:${record.offset}`,
    actionKey: CANARY,
    route,
    code: CODE_OF[route],
    findings: [finding, finding, { ...finding, code: 'audit.selected' }],
    mode: 'normal',
    undo: 'reversible',
    notAfter: null,
    score: {
      raw: 0.9,
      calibrated: 0.75,
      execute: 0.7,
      reject: null,
      margin: 0.05,
      calibrator: null,
      certificate: 'ce'.repeat(16),
      certified: {
        threshold: 0.85,
        risk: 0.01,
        assurance: 0.95,
        budget: 'per-execution',
        segment: CANARY,
        upperBound: 0.008,
      },
      low: 0.7,
      high: 0.8,
      costs: null,
    },
    changes: null,
    audit: { selected: false, propensity: 0.1 },
    policy: { name: 'moderation', version: 7, digest: 'ab'.repeat(16), calibration: null, certificates: null },
    engine: '0.1.0',
    facts: {
      now: 1,
      clock: 'redis',
      state: 'ok',
      first: { decisionId: CANARY, digest: CANARY },
      context: [{ name: 'seller', key: CANARY, value: context }],
      counters: [{ limit: 'burst', key: CANARY, before: 1, after: 2, granted: null }],
      control: [
        {
          id: CANARY,
          kind: 'exempt',
          route: 'review',
          rule: null,
          author: CANARY,
          reason: CANARY,
          expiresAt: null,
          certificate: null,
        },
      ],
    },
    source: {
      topic: record.topic,
      partition: record.partition,
      offset: record.offset,
      timestamp: record.timestamp,
      keyed: true,
      schemaId: 1,
      digest: CANARY,
    },
    event: {
      id: CANARY,
      source: CANARY,
      tenant: CANARY,
      time: 1,
      expiresAt: null,
      model: { name: 'moderator', version: '2' },
      action: 'listing.flag',
      subject: { type: CANARY, id: CANARY, owner: CANARY },
      actor: CANARY,
      confidence: 0.9,
      scoreKind: CANARY,
      attributes: { [CANARY]: CANARY },
      payload: Buffer.from(CANARY),
    },
    ...more,
  }
}

export function decided(tracer: Tracer, record: InputRecord, verdict: Verdict): Decided {
  return { kind: 'verdict', verdict, record, link: tracer.link(record, verdict) }
}

export function setAside(tracer: Tracer, record: InputRecord, code: FaultCode): Decided {
  return { kind: 'deadLetter', fault: { code, detail: CANARY, retry: false }, record, link: tracer.link(record, null) }
}

/** A queue in front of the SDK's in-memory exporter, and the observer that fills it. */
export function spanBench(exporter: SpanExporter = new InMemorySpanExporter(), maxQueued = 4096) {
  const queue: SpanQueue = createSpanQueue(exporter, {
    maxQueued,
    maxBatch: Math.min(512, maxQueued),
    delayMs: 10,
    exportTimeoutMs: 1000,
    onExport: () => {},
  })
  const origin = { resource: emptyResource(), scope: { name: 'test' } }
  const observer = spanObserver({ queue, origin, topics: TOPICS, group: 'sluice' })
  const finished = async (): Promise<readonly ReadableSpan[]> => {
    await queue.flush()
    return exporter instanceof InMemorySpanExporter ? exporter.getFinishedSpans() : []
  }
  return { queue, observer, finished }
}
