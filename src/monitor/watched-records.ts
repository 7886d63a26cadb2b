import type { Outcome } from '../avro/record-types.ts'
import type { Records } from '../avro/records.ts'
import type { Verdict } from '../decision/verdict.ts'
import type { Fault } from '../processor/fault.ts'
import type { AuditedExecution, Report, UnwatchedExecution } from '../watch/execution.ts'

/** A record of a verdict or outcome topic, as a reader gives it. */
export type LogRecord = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly value: Buffer | null
}

/** A value, null for a record that is of no concern, or why it cannot be read. */
export type ReadRecord<T> =
  | { readonly kind: 'value'; readonly value: T | null }
  | { readonly kind: 'fault'; readonly fault: Fault }

/**
 * The audited execution that a record of the execute topic tells of, or one that cannot be watched; null where it was not
 * audited or on no certificate.
 */
export async function readExecution(
  records: Records,
  record: LogRecord,
): Promise<ReadRecord<AuditedExecution | UnwatchedExecution>> {
  const read = await records.decode('Verdict', record.topic, record.value)
  return read.kind === 'fault' ? read : { kind: 'value', value: executionOf(read.value, record) }
}

function executionOf(
  { actionKey, facts, audit, score, route }: Verdict,
  place: LogRecord,
): AuditedExecution | UnwatchedExecution | null {
  const { certificate, raw, certified } = score
  if (route !== 'execute' || certificate === null || raw === null || certified === null) return null
  if (certified.budget !== 'per-execution') return { unwatched: certificate }
  if (!audit.selected) return null
  // Nobody can be audited with a chance of nothing, and no weight can be made of what is no number.
  if (!(audit.propensity > 0 && audit.propensity <= 1)) return null
  return {
    place: { partition: place.partition, offset: place.offset },
    actionKey,
    decidedAt: facts.now,
    propensity: audit.propensity,
    score: raw,
    certificate,
    segment: certified.segment,
    risk: certified.risk,
    assurance: certified.assurance,
  }
}

/** What a record of the outcome topic says; null for a receipt that something was done. */
export async function readReport(records: Records, record: LogRecord): Promise<ReadRecord<Report>> {
  const read = await records.decode('Outcome', record.topic, record.value)
  return read.kind === 'fault' ? read : { kind: 'value', value: reportOf(read.value, record) }
}

function reportOf({ actionKey, kind, right }: Outcome, record: LogRecord): Report | null {
  const says = kind === 'failed' ? 'failed' : kind === 'label' && right !== null ? (right ? 'right' : 'wrong') : null
  if (says === null) return null
  return { place: { partition: record.partition, offset: record.offset }, actionKey, at: record.timestamp, says }
}
