import type { Route } from '../decision/route.ts'
import type { Verdict } from '../decision/verdict.ts'
import type { Fault } from './fault.ts'
import type { Decided, InputRecord, OutputRecord, Rulebook, TraceLink } from './ports.ts'

/** Where outputs go and what they call themselves. */
export type Outlets = {
  readonly verdicts: Readonly<Record<Route, string>>
  readonly deadLetters: string
  readonly policies: string
  /** CloudEvents source of what Sluice writes. */
  readonly source: string
  /** A larger verdict becomes a dead letter, bytes. */
  readonly maxVerdictBytes: number
  /** Formats the traceparent header of an output. */
  readonly traceparent: (link: TraceLink) => string
  /** Milliseconds since 1970 as RFC 3339. */
  readonly isoTime: (ms: number) => string
}

/** The verdict's record: same key, same partition number as its source, so one entity stays in order. */
export function verdictRecord(verdict: Verdict, value: Buffer, decided: Decided, outlets: Outlets): OutputRecord {
  const { record, link } = decided
  return {
    topic: outlets.verdicts[verdict.route],
    partition: record.partition,
    key: record.key,
    value,
    timestamp: verdict.facts.now,
    headers: verdictHeaders(verdict, link, outlets),
  }
}

type Header = OutputRecord['headers'][number]

function verdictHeaders(verdict: Verdict, link: TraceLink, outlets: Outlets): OutputRecord['headers'] {
  const headers: Header[] = [
    CONTENT_TYPE,
    SPEC_VERSION,
    ['ce_id', verdict.decisionId],
    sourceHeader(outlets.source),
    VERDICT_TYPES[verdict.route],
    timeHeader(verdict.facts.now, outlets),
    ['traceparent', outlets.traceparent(link)],
  ]
  if (link.tracestate !== null) headers.push(['tracestate', link.tracestate])
  return headers
}

const CONTENT_TYPE: Header = ['content-type', 'application/vnd.confluent.avro']
const SPEC_VERSION: Header = ['ce_specversion', '1.0']
const VERDICT_TYPES: Readonly<Record<Route, Header>> = {
  execute: ['ce_type', 'sluice.verdict.execute'],
  review: ['ce_type', 'sluice.verdict.review'],
  reject: ['ce_type', 'sluice.verdict.reject'],
}

/** The headers made last: all verdicts of a batch share their source, and most of them their time. */
let source: Header = ['ce_source', '']
let time: { readonly ms: number; readonly outlets: Outlets | null; readonly header: Header } = {
  ms: Number.NaN,
  outlets: null,
  header: ['ce_time', ''],
}

function sourceHeader(name: string): Header {
  if (source[1] !== name) source = ['ce_source', name]
  return source
}

function timeHeader(ms: number, outlets: Outlets): Header {
  if (time.ms !== ms || time.outlets !== outlets) time = { ms, outlets, header: ['ce_time', outlets.isoTime(ms)] }
  return time.header
}

/**
 * The raw record, untouched, with what was wrong in headers named as Kafka Connect names them (its
 * DeadLetterQueueReporter), and our own code. The producer's headers are kept. `now` in milliseconds since 1970.
 */
export function deadLetterRecord(
  fault: Fault,
  record: InputRecord,
  link: TraceLink,
  now: number,
  outlets: Outlets,
): OutputRecord {
  const carried = [...record.headers].filter(([name]) => name !== 'traceparent' && name !== 'tracestate')
  return {
    topic: outlets.deadLetters,
    partition: record.partition,
    key: record.key,
    value: record.value,
    // Retention goes by this time, and an old record is set aside now.
    timestamp: now,
    headers: [
      ...carried,
      ['__connect.errors.topic', record.topic],
      ['__connect.errors.partition', String(record.partition)],
      ['__connect.errors.offset', String(record.offset)],
      ['__connect.errors.connector.name', outlets.source],
      ['__connect.errors.stage', fault.code.startsWith('verdict.') ? 'KAFKA_PRODUCE' : 'VALUE_CONVERTER'],
      ['__connect.errors.exception.class.name', 'Fault'],
      ['__connect.errors.exception.message', fault.detail],
      ['sluice.error.code', fault.code],
      ...traceHeaders(link, outlets),
    ],
  }
}

function traceHeaders(link: TraceLink, outlets: Outlets): OutputRecord['headers'] {
  const parent = ['traceparent', outlets.traceparent(link)] as const
  return link.tracestate === null ? [parent] : [parent, ['tracestate', link.tracestate]]
}

/** The texts that verdicts name by digest, for the compacted topic of policies; the key is the digest. */
export function rulebookRecords(
  { policy, calibration, certificates }: Rulebook,
  now: number,
  outlets: Outlets,
): readonly OutputRecord[] {
  const records = [textRecord('policy', policy.digest, policy.text, now, outlets)]
  for (const [kind, { digest, text }] of Object.entries({ calibration, certificates })) {
    if (digest !== null && text !== null) records.push(textRecord(kind, digest, text, now, outlets))
  }
  return records
}

const textRecord = (kind: string, digest: string, text: string, now: number, outlets: Outlets): OutputRecord => ({
  topic: outlets.policies,
  partition: 0,
  key: Buffer.from(digest),
  value: Buffer.from(text),
  timestamp: now,
  headers: [['sluice.kind', kind]],
})
