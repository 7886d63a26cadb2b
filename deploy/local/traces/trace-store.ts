import { DECISION } from '../../../src/telemetry/names.ts'
import type { Span } from './span.ts'

/** Spans in order of their start. */
export type Trace = { readonly traceId: string; readonly spans: readonly Span[] }

/** One decided event, as its process span tells it. A trace has as many as its producer sent events in it. */
export type DecisionRow = {
  readonly traceId: string
  readonly decisionId: string
  /** `dead letter` where there is no verdict. */
  readonly route: string
  readonly code: string
  readonly action: string
  readonly startMs: number
  /** From the first start to the last end in the trace, milliseconds. */
  readonly durationMs: number
  readonly spans: number
  readonly services: readonly string[]
}

export type Filter = { readonly decisionId: string | null; readonly route: string | null }

/** The last traces, in memory. */
export type TraceStore = {
  readonly add: (spans: readonly Span[]) => void
  readonly trace: (traceId: string) => Trace | null
  /** Latest first. */
  readonly traces: (filter: Filter, limit: number) => readonly Trace[]
  readonly rows: (filter: Filter, limit: number) => readonly DecisionRow[]
  readonly size: () => number
}

/** One producer may put everything it ever sends into one trace. */
const SPANS_PER_TRACE = 1000

export function createTraceStore(maxTraces: number): TraceStore {
  const kept = new Map<string, Map<string, Span>>()
  const latest = (): readonly Trace[] => [...kept].toReversed().map(([traceId, spans]) => traceOf(traceId, spans))
  return {
    add: (spans) => {
      for (const span of spans) addSpan(kept, span)
      for (const oldest of [...kept.keys()].slice(0, Math.max(0, kept.size - maxTraces))) kept.delete(oldest)
    },
    trace: (traceId) => {
      const spans = kept.get(traceId)
      return spans === undefined ? null : traceOf(traceId, spans)
    },
    traces: (filter, limit) =>
      latest()
        .filter((trace) => rowsOf(trace, filter).length > 0)
        .slice(0, limit),
    rows: (filter, limit) =>
      latest()
        .flatMap((trace) => rowsOf(trace, filter))
        .slice(0, limit),
    size: () => kept.size,
  }
}

/** A trace that grows counts as recent: its other spans come from other processes, later. */
function addSpan(kept: Map<string, Map<string, Span>>, span: Span): void {
  const spans = kept.get(span.traceId) ?? new Map<string, Span>()
  if (spans.size < SPANS_PER_TRACE || spans.has(span.spanId)) spans.set(span.spanId, span)
  kept.delete(span.traceId)
  kept.set(span.traceId, spans)
}

const traceOf = (traceId: string, spans: ReadonlyMap<string, Span>): Trace => ({
  traceId,
  spans: [...spans.values()].sort((a, b) => a.startMs - b.startMs || b.endMs - a.endMs),
})

/** The spans that stand for a decision: only Sluice's own list all codes, an executor's names the deciding one. */
export const decisionSpans = (trace: Trace): readonly Span[] =>
  trace.spans.filter(({ attributes }) => Object.hasOwn(attributes, DECISION.codes))

function rowsOf(trace: Trace, filter: Filter): readonly DecisionRow[] {
  return decisionSpans(trace)
    .map((span) => rowOf(span, trace))
    .filter((row) => filter.decisionId === null || row.decisionId === filter.decisionId)
    .filter((row) => filter.route === null || row.route === filter.route)
}

function rowOf(span: Span, { traceId, spans }: Trace): DecisionRow {
  const text = (name: string, absent: string): string => String(span.attributes[name] ?? absent)
  return {
    traceId,
    decisionId: text(DECISION.id, ''),
    route: text(DECISION.route, 'dead letter'),
    code: text(DECISION.code, ''),
    action: text(DECISION.action, ''),
    startMs: span.startMs,
    durationMs: Math.max(...spans.map((it) => it.endMs)) - Math.min(...spans.map((it) => it.startMs)),
    spans: spans.length,
    services: [...new Set(spans.map((it) => it.service))],
  }
}
