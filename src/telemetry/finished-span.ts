import { TraceFlags } from '@opentelemetry/api'
import type { Attributes, HrTime, Link, SpanContext, SpanKind, SpanStatus, TraceState } from '@opentelemetry/api'
import type { InstrumentationScope } from '@opentelemetry/core'
import type { Resource } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'

/** Who a span is from: the same two objects for all spans, since the exporter groups by identity. */
export type SpanOrigin = { readonly resource: Resource; readonly scope: InstrumentationScope }

/** `startMs`, `endMs`: milliseconds since 1970 with fractions. */
export type SpanFacts = {
  readonly name: string
  readonly kind: SpanKind
  readonly context: SpanContext
  readonly parent: SpanContext | null
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  readonly links: Link[]
  readonly droppedLinks: number
  readonly status: SpanStatus
}

/**
 * A span made after the fact. The SDK's own tracer chooses ids and reads clocks; ours were settled before, so the span
 * is handed to the processor in the form exporters read.
 */
export class FinishedSpan implements ReadableSpan {
  readonly name: string
  readonly kind: SpanKind
  readonly spanContext: () => SpanContext
  readonly parentSpanContext?: SpanContext
  readonly startTime: HrTime
  readonly endTime: HrTime
  readonly duration: HrTime
  readonly status: SpanStatus
  readonly attributes: Attributes
  readonly links: Link[]
  readonly events = []
  readonly ended = true
  readonly resource: Resource
  readonly instrumentationScope: InstrumentationScope
  readonly droppedAttributesCount = 0
  readonly droppedEventsCount = 0
  readonly droppedLinksCount: number

  constructor(facts: SpanFacts, origin: SpanOrigin) {
    this.name = facts.name
    this.kind = facts.kind
    this.spanContext = () => facts.context
    if (facts.parent !== null) this.parentSpanContext = facts.parent
    const endMs = Math.max(facts.startMs, facts.endMs)
    this.startTime = hrTime(facts.startMs)
    this.endTime = hrTime(endMs)
    this.duration = hrTime(endMs - facts.startMs)
    this.status = facts.status
    this.attributes = facts.attributes
    this.links = facts.links
    this.droppedLinksCount = facts.droppedLinks
    this.resource = origin.resource
    this.instrumentationScope = origin.scope
  }
}

/** Milliseconds to OpenTelemetry's [seconds, nanoseconds], to the microsecond: a double holds no more of today's time. */
export function hrTime(ms: number): HrTime {
  const micros = Math.round(ms * 1000)
  const seconds = Math.floor(micros / 1_000_000)
  return [seconds, (micros - seconds * 1_000_000) * 1000]
}

export const sampledContext = (
  traceId: string,
  spanId: string,
  isRemote: boolean,
  traceState: TraceState | null,
): SpanContext =>
  traceState === null
    ? { traceId, spanId, isRemote, traceFlags: TraceFlags.SAMPLED }
    : { traceId, spanId, isRemote, traceFlags: TraceFlags.SAMPLED, traceState }
