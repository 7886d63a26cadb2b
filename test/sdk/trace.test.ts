import { trace } from '@opentelemetry/api'
import { expect, test } from 'vitest'
import { senderContext } from '../../src/sdk/trace.ts'

const headers = (entries: Record<string, string>): ReadonlyMap<string, Uint8Array> =>
  new Map(Object.entries(entries).map(([name, value]) => [name, Buffer.from(value)]))

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

test('the sender’s span is read from W3C headers', () => {
  const sender = senderContext(headers({ traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'a=1,b=2' }))
  const span = trace.getSpanContext(sender)
  expect(span).toMatchObject({ traceId: TRACE, spanId: SPAN, traceFlags: 1, isRemote: true })
  expect(span?.traceState?.serialize()).toBe('a=1,b=2')
})

test('of a later version what is known is read', () => {
  const sender = senderContext(headers({ traceparent: `01-${TRACE}-${SPAN}-00-more` }))
  expect(trace.getSpanContext(sender)).toMatchObject({ traceId: TRACE, traceFlags: 0 })
})

test.each([
  ['nothing', {}],
  ['no header of that form', { traceparent: 'hello' }],
  ['a trace id of zeros', { traceparent: `00-${'0'.repeat(32)}-${SPAN}-01` }],
  ['a span id of zeros', { traceparent: `00-${TRACE}-${'0'.repeat(16)}-01` }],
  ['the version that must not be', { traceparent: `ff-${TRACE}-${SPAN}-01` }],
  ['upper case', { traceparent: `00-${TRACE.toUpperCase()}-${SPAN}-01` }],
  ['more than version 00 has', { traceparent: `00-${TRACE}-${SPAN}-01-more` }],
])('%s gives no parent', (_, entries: Record<string, string>) => {
  expect(trace.getSpanContext(senderContext(headers(entries)))).toBeUndefined()
})
