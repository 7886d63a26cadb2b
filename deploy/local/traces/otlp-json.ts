import { z } from 'zod'
import { SPAN_KINDS, STATUSES } from './span.ts'
import type { AttributeValue, Span } from './span.ts'

/** OTLP's JSON form of a trace export request; fields not named here are passed over, as the protocol demands. */
const id = (chars: number) => z.string().length(chars).toLowerCase()
const nanos = z.union([z.string(), z.number()]).transform((it) => Number(BigInt(it) / 1000n) / 1000)
const whole = z.union([z.string(), z.number()]).transform(Number)

const anyValue: z.ZodType<AttributeValue> = z.lazy(() =>
  z
    .looseObject({
      stringValue: z.string().optional(),
      boolValue: z.boolean().optional(),
      intValue: whole.optional(),
      doubleValue: z.union([z.number(), z.string()]).optional(),
      bytesValue: z.string().optional(),
      arrayValue: z.looseObject({ values: z.array(anyValue).default([]) }).optional(),
    })
    .transform(
      (it) =>
        it.stringValue ?? it.boolValue ?? it.intValue ?? it.doubleValue ?? it.arrayValue?.values ?? it.bytesValue ?? '',
    ),
)

const attributes = z
  .array(z.looseObject({ key: z.string(), value: anyValue.default('') }))
  .default([])
  .transform((all) => Object.fromEntries(all.map(({ key, value }) => [key, value])))

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
