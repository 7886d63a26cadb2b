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
    headers: [
      ['content-type', 'application/vnd.confluent.avro'],
      ['ce_specversion', '1.0'],
      ['ce_id', verdict.decisionId],
      ['ce_source', outlets.source],
      ['ce_type', VERDICT_TYPES[verdict.route]],
      ['ce_time', outlets.isoTime(verdict.facts.now)],
      ...traceHeaders(link, outlets),
    ],
  }
}

const VERDICT_TYPES: Readonly<Record<Route, string>> = {
  execute: 'sluice.verdict.execute',
  review: 'sluice.verdict.review',
  reject: 'sluice.verdict.reject',
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
  { policy, calibration }: Rulebook,
  now: number,
  outlets: Outlets,
): readonly OutputRecord[] {
  const records = [textRecord('policy', policy.digest, policy.text, now, outlets)]
  const { digest, text } = calibration
  if (digest !== null && text !== null) records.push(textRecord('calibration', digest, text, now, outlets))
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
