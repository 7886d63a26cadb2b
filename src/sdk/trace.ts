import {
  context,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
} from '@opentelemetry/api'
import type { Attributes, Context, Span } from '@opentelemetry/api'
import type { Headers } from '../processor/ports.ts'
import { ERROR_TYPE, MESSAGING, SPANS, SYSTEM } from '../telemetry/names.ts'

type HeaderList = readonly (readonly [name: string, value: string])[]
type Place = { readonly topic: string; readonly partition: number | null }

/**
 * Runs `send` in a PRODUCER span under whatever span is active. Spans go to the OpenTelemetry SDK that the application
 * has set up; without one nothing is made, and no headers are added.
 */
export function inSendSpan<T>(
  place: Place,
  attributes: Attributes,
  send: (headers: HeaderList) => Promise<T>,
): Promise<T> {
  const span = tracer().startSpan(SPANS.send(place.topic), {
    kind: SpanKind.PRODUCER,
    attributes: { ...messaging('send', place), ...attributes },
  })
  return closing(span, () => send(traceHeaders(span)))
}

/** Runs `process` in a CONSUMER span that continues the trace of whoever wrote the record. */
export function inProcessSpan<T>(
  place: Place,
  headers: Headers,
  attributes: Attributes,
  process: () => Promise<T>,
): Promise<T> {
  const parent = senderContext(headers)
  const kind = SpanKind.CONSUMER
  const all = { ...messaging('process', place), ...attributes }
  const span = tracer().startSpan(SPANS.process(place.topic), { kind, attributes: all }, parent)
  return context.with(trace.setSpan(parent, span), () => closing(span, process))
}

const tracer = () => trace.getTracer('sluice-sdk')

async function closing<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    span.setAttribute(ERROR_TYPE, error instanceof Error ? error.name : typeof error)
    span.setStatus({ code: SpanStatusCode.ERROR })
    throw error
  } finally {
    span.end()
  }
}

const messaging = (operation: 'send' | 'process', { topic, partition }: Place): Attributes => ({
  [MESSAGING.system]: SYSTEM,
  [MESSAGING.systemBefore]: SYSTEM,
  [MESSAGING.operation]: operation,
  [MESSAGING.operationType]: operation,
  [MESSAGING.destination]: topic,
  ...(partition === null ? {} : { [MESSAGING.partition]: String(partition) }),
})

/** The span as headers of W3C Trace Context, https://www.w3.org/TR/trace-context/ */
function traceHeaders(span: Span): HeaderList {
  const it = span.spanContext()
  if (!isSpanContextValid(it)) return []
  const flags = (it.traceFlags & 0xff).toString(16).padStart(2, '0')
  const parent = ['traceparent', `00-${it.traceId}-${it.spanId}-${flags}`] as const
  const state = it.traceState?.serialize() ?? ''
  return state === '' ? [parent] : [parent, ['tracestate', state]]
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** The context in which a record was sent; the root where its headers do not say, or not rightly. */
export function senderContext(headers: Headers): Context {
  const parts = TRACEPARENT.exec(text(headers, 'traceparent') ?? '')
  if (parts === null) return ROOT_CONTEXT
  const [, version = '', traceId = '', spanId = '', flags = '', rest] = parts
  if (version === 'ff' || (version === '00' && rest !== undefined)) return ROOT_CONTEXT
  const state = text(headers, 'tracestate')
  const sender = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED,
    isRemote: true,
    ...(state === null ? {} : { traceState: createTraceState(state) }),
  }
  return isSpanContextValid(sender) ? trace.setSpanContext(ROOT_CONTEXT, sender) : ROOT_CONTEXT
}

function text(headers: Headers, name: string): string | null {
  const value = headers.get(name)
  return value === undefined ? null : Buffer.from(value).toString('latin1')
}
