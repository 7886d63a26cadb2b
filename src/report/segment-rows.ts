import { upperBound } from '../calibration/binomial.ts'
import { certifyPart, deltaEach, type Part } from '../calibration/certify-segments.ts'
import type { Refusal } from '../calibration/refusal.ts'
import type { Basis } from './report.ts'

/** One segment: how often the model is wrong there, and what executing from a threshold upwards would do. */
export type SegmentRow = {
  readonly segment: string
  readonly labels: number
  /** Errors among all its labels. */
  readonly errors: number
  /** The threshold it would have by itself; null: refused. */
  readonly own: number | null
  readonly refusal: Refusal | null
  /** The threshold that applies: the certificate's where that is for all, else the segment's own. */
  readonly applied: number | null
  readonly executed: number
  readonly executedErrors: number
  /** Of errors among the executed; 1 where nothing is. */
  readonly upperBound: number
}

/** The worst first: refused ones, then by the upper bound of what they execute wrongly. null without segments. */
export function segmentRowsOf(
  basis: Basis,
  parts: readonly (Part & { readonly segment: string })[],
): readonly SegmentRow[] | null {
  if (parts.length === 0) return null
  return parts.map((part) => rowOf(part, basis, parts.length)).sort(worstFirst)
}

function rowOf(part: Part & { readonly segment: string }, basis: Basis, segments: number): SegmentRow {
  const { certificate, demand, jointly } = basis
  const delta = certificate.segment === null ? deltaEach({ ...demand, jointly }, segments) : demand.delta
  const { threshold, refusal } = certifyPart(part, { ...demand, delta })
  const applied = certificate.segment === null ? certificate.threshold : threshold
  const { scores, right } = part.sample
  const above = right.filter((_, row) => applied !== null && (scores[row] ?? Number.NaN) >= applied)
  return {
    segment: part.segment === '' ? '(none)' : part.segment,
    labels: right.length,
    errors: errorsAmong(right),
    own: threshold,
    refusal,
    applied,
    executed: above.length,
    executedErrors: errorsAmong(above),
    upperBound: upperBound(errorsAmong(above), above.length, delta),
  }
}

const errorsAmong = (right: Uint8Array): number => right.reduce((sum, it) => sum + 1 - it, 0)

const worstFirst = (a: SegmentRow, b: SegmentRow): number =>
  Number(b.applied === null) - Number(a.applied === null) ||
  b.upperBound - a.upperBound ||
  b.errors / b.labels - a.errors / a.labels
