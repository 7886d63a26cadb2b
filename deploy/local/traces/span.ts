export type AttributeValue = string | number | boolean | readonly AttributeValue[]

/** A span as the store keeps it and the API shows it. Times in milliseconds since 1970, to the microsecond. */
export type Span = {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | null
  readonly name: string
  readonly kind: SpanKind
  readonly service: string
  readonly startMs: number
  readonly endMs: number
  readonly status: 'unset' | 'ok' | 'error'
  readonly message: string | null
  readonly attributes: Readonly<Record<string, AttributeValue>>
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
}

/** In OTLP's order: https://github.com/open-telemetry/opentelemetry-proto, trace.proto. */
export const SPAN_KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const
type SpanKind = (typeof SPAN_KINDS)[number]

export const STATUSES = ['unset', 'ok', 'error'] as const
