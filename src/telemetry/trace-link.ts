import { hash } from 'node:crypto'
import type { Verdict } from '../decision/verdict.ts'
import type { Headers, InputRecord, TraceLink, Tracer } from '../processor/ports.ts'

/**
 * Which decisions leave spans. A producer's sampled trace is always continued; with `exporting` also every review,
 * reject and dead letter, and `executeShare` (0 to 1) of the executes, chosen by the hash of the decision id. These two
 * are all there is to set: a standard sampler (OTEL_TRACES_SAMPLER) knows neither routes nor replays, so it is not read.
 */
export type Sampling = { readonly executeShare: number; readonly exporting: boolean }

/** A span somewhere else, as a `traceparent` header names it. */
export type RemoteSpan = { readonly traceId: string; readonly spanId: string; readonly sampled: boolean }

const NO_TRACE = '0'.repeat(32)
const NO_SPAN = '0'.repeat(16)
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const PRINTABLE = /^[\x20-\x7e\t]*$/
/** What https://www.w3.org/TR/trace-context/#tracestate-limits asks to be passed on at least; we pass on no more. */
const TRACESTATE_CHARS = 512
const TRACESTATE_MEMBERS = 32

/** Links are a function of the record, the verdict and the sampling alone: a replayed record gets the same ids again. */
export function createTracer({ executeShare, exporting }: Sampling): Tracer {
  const chosen = (verdict: Verdict | null, seed: string): boolean =>
    exporting && (verdict === null || verdict.route !== 'execute' || fraction(seed) < executeShare)
  return {
    link: (record, verdict) => {
      const seed = hash('sha256', verdict?.decisionId ?? positionOf(record), 'hex')
      const parent = parentOf(record.headers)
      return {
        traceId: parent?.traceId ?? nonZero(seed.slice(0, 32), NO_TRACE),
        parentSpanId: parent?.spanId ?? null,
        processSpanId: nonZero(seed.slice(32, 48), NO_SPAN),
        sendSpanId: nonZero(seed.slice(48, 64), NO_SPAN),
        sampled: parent?.sampled === true || chosen(verdict, seed),
        tracestate: parent === null ? null : tracestateOf(record.headers),
      }
    },
  }
}

/** The header an output carries: its parent is the send span. */
export const traceparent = (link: TraceLink): string =>
  `00-${link.traceId}-${link.sendSpanId}-${link.sampled ? '01' : '00'}`

/** The id a decision on this record has, and a dead letter's: the source position. */
export const positionOf = ({ topic, partition, offset }: InputRecord): string => `${topic}:${partition}:${offset}`

/** Two more span ids for one decision, as deterministic as the link's. */
export function childSpanIds(link: TraceLink): { readonly enrich: string; readonly evaluate: string } {
  const seed = hash('sha256', `${link.traceId}/${link.processSpanId}`, 'hex')
  return { enrich: nonZero(seed.slice(0, 16), NO_SPAN), evaluate: nonZero(seed.slice(16, 32), NO_SPAN) }
}

/** Null where the header is absent or breaks https://www.w3.org/TR/trace-context/#traceparent-header in any way. */
export function parentOf(headers: Headers): RemoteSpan | null {
  const header = headers.get('traceparent')
  if (header === undefined || header.length < 55 || header.length > 512) return null
  const match = TRACEPARENT.exec(latin1(header))
  if (match === null) return null
  const [, version = '', traceId = '', spanId = '', flags = '', rest] = match
  if (version === 'ff' || (version === '00' && rest !== undefined)) return null
  if (traceId === NO_TRACE || spanId === NO_SPAN) return null
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

/** Whole members up to the limits, the leftmost being the most recent; null when nothing valid is left. */
function tracestateOf(headers: Headers): string | null {
  const header = headers.get('tracestate')
  if (header === undefined || header.length === 0 || header.length > 8192) return null
  const text = latin1(header)
  if (!PRINTABLE.test(text)) return null
  const kept: string[] = []
  let chars = 0
  for (const member of text.split(',').map((it) => it.trim())) {
    if (member === '') continue
    chars += member.length + (kept.length > 0 ? 1 : 0)
    if (chars > TRACESTATE_CHARS || kept.length === TRACESTATE_MEMBERS) break
    kept.push(member)
  }
  return kept.length === 0 ? null : kept.join(',')
}

const latin1 = (bytes: Uint8Array): string =>
  (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)).toString('latin1')

/** The hash's first 32 bits as a number in [0, 1). */
const fraction = (seed: string): number => Number.parseInt(seed.slice(0, 8), 16) / 2 ** 32

/** An id of zeroes means "none" to every reader of the header. */
const nonZero = (id: string, zero: string): string => (id === zero ? `${zero.slice(1)}1` : id)
