import { z } from 'zod'
import { SPAN_KINDS, STATUSES } from './span.ts'
import type { AttributeValue, Span } from './span.ts'

/** OTLP's JSON form of a trace export request; fields not named here are passed over, as the protocol demands. */
const id = (chars: number) => z.string().length(chars).toLowerCase()
const nanos = z.union([z.string(), z.number()]).transform((it) => Number(BigInt(it) / 1000n) / 1000)
/** Attribute lists are most of a request, and read by hand: a schema's unions cost ten times as much. */
const attributes = z
  .array(z.unknown())
  .default([])
  .transform((all) => Object.fromEntries(all.map(attributeOf)))

function attributeOf(attribute: unknown): readonly [string, AttributeValue] {
  const { key, value } = isObject(attribute) ? attribute : {}
  return [String(key), valueOf(value, 0)]
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

/** One AnyValue; an int64 may come as text. Maps inside values are passed over. */
function valueOf(any: unknown, depth: number): AttributeValue {
  if (!isObject(any) || depth > 8) return ''
  const { stringValue, boolValue, intValue, doubleValue, arrayValue, bytesValue } = any
  if (typeof stringValue === 'string') return stringValue
  if (typeof boolValue === 'boolean') return boolValue
  if (intValue !== undefined) return Number(intValue)
  if (doubleValue !== undefined) return Number(doubleValue)
  if (isObject(arrayValue)) return listOf(arrayValue['values']).map((it) => valueOf(it, depth + 1))
  return typeof bytesValue === 'string' ? bytesValue : ''
}

const listOf = (values: unknown): readonly unknown[] => (Array.isArray(values) ? values : [])

const span = z.looseObject({
  traceId: id(32),
  spanId: id(16),
  parentSpanId: z.union([z.literal(''), id(16)]).optional(),
  name: z.string().default(''),
  kind: z.number().default(0),
  startTimeUnixNano: nanos.default(0),
  endTimeUnixNano: nanos.default(0),
  attributes,
  status: z.looseObject({ code: z.number().default(0), message: z.string().optional() }).default({ code: 0 }),
  links: z.array(z.looseObject({ traceId: id(32), spanId: id(16) })).default([]),
})

const request = z.looseObject({
  resourceSpans: z
    .array(
      z.looseObject({
        resource: z.looseObject({ attributes }).optional(),
        scopeSpans: z.array(z.looseObject({ spans: z.array(span).default([]) })).default([]),
      }),
    )
    .default([]),
})

export type Read =
  | { readonly kind: 'spans'; readonly spans: readonly Span[] }
  | { readonly kind: 'invalid'; readonly why: string }

/** All spans of a request, or what is wrong with it. */
export function readTraces(body: unknown): Read {
  const parsed = request.safeParse(body)
  if (!parsed.success) return { kind: 'invalid', why: z.prettifyError(parsed.error) }
  const spans = parsed.data.resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(resource?.attributes['service.name'] ?? 'unknown')
    return scopeSpans.flatMap((scope) => scope.spans.map((it) => toSpan(it, service)))
  })
  return { kind: 'spans', spans }
}

const toSpan = (it: z.output<typeof span>, service: string): Span => ({
  traceId: it.traceId,
  spanId: it.spanId,
  parentSpanId: it.parentSpanId === undefined || it.parentSpanId === '' ? null : it.parentSpanId,
  name: it.name,
  kind: SPAN_KINDS[it.kind] ?? 'unspecified',
  service,
  startMs: it.startTimeUnixNano,
  endMs: it.endTimeUnixNano,
  status: STATUSES[it.status.code] ?? 'unset',
  message: it.status.message === undefined || it.status.message === '' ? null : it.status.message,
  attributes: it.attributes,
  links: it.links.map(({ traceId, spanId }) => ({ traceId, spanId })),
})
