import type { Certification } from '../calibration/certification.ts'
import { certificateId } from '../policy/certificate-file.ts'
import type { CertificationReport } from './certify.ts'
import type { ModelVersion } from './model-version.ts'

/** What a certificate holds for, and from when to when, in milliseconds since 1970. */
export type Binding = {
  readonly model: ModelVersion
  readonly action: string
  readonly scoreKind: string
  readonly issuedAt: number
  readonly expiresAt: number
}

/** The files and columns a certificate was made from, and with what chance: `sluice report` makes it again from them. */
export type Made = {
  readonly labelled: string
  readonly unlabelled: string
  readonly columns: {
    readonly score: string
    readonly label: string
    readonly segment: string | null
    readonly cluster: string | null
    readonly time: string | null
  }
  readonly labelMeans: 'right' | 'error'
  readonly jointly: boolean
  readonly seed: number
}

/** One certificate as schemas/certificate.schema.json has it; `id` is the hash of all the rest. */
export type Certificate = {
  readonly id: string
  readonly model: ModelVersion
  readonly action: string
  readonly scoreKind: string
  readonly segment: string | null
  readonly budget: CertificationReport['budget']
  readonly risk: number
  readonly assurance: number
  readonly threshold: number
  readonly labels: number
  readonly labelledExecuted: number
  readonly labelledErrors: number
  readonly upperBound: number
  readonly coverage: number
  readonly grid: Certification['grid']
  readonly clusters: number | null
  readonly window: CertificationReport['window']
  readonly dataDigest: CertificationReport['dataDigest']
  readonly made: Made
  readonly issuedAt: string
  readonly expiresAt: string
  readonly promise: string
}

/** A certificate for each segment that has one; without segments the one for all. */
export function certificatesOf(report: CertificationReport, binding: Binding, made: Made): readonly Certificate[] {
  const parts = report.segments.length > 0 ? report.segments : [{ ...report, segment: null }]
  return parts.flatMap((part) => certificateOf(part, report, binding, made) ?? [])
}

type Part = Certification & { readonly segment: string | null; readonly promise: string | null }

function certificateOf(part: Part, report: CertificationReport, binding: Binding, made: Made): Certificate | null {
  const { threshold, upperBound, promise } = part
  if (threshold === null || upperBound === null || promise === null) return null
  const content = {
    model: binding.model,
    action: binding.action,
    scoreKind: binding.scoreKind,
    segment: part.segment,
    budget: report.budget,
    risk: report.risk,
    assurance: report.assurance,
    threshold,
    labels: part.labels,
    labelledExecuted: part.labelledExecuted,
    labelledErrors: part.labelledErrors,
    upperBound,
    coverage: part.coverage,
    grid: part.grid,
    clusters: report.clusters,
    window: report.window,
    dataDigest: report.dataDigest,
    made,
    issuedAt: new Date(binding.issuedAt).toISOString(),
    expiresAt: new Date(binding.expiresAt).toISOString(),
    promise,
  }
  return { id: certificateId(content), ...content }
}
