import type { Certification, Demand } from '../calibration/certification.ts'
import type { LabelledRows, Part, UnlabelledRows } from '../calibration/certify-segments.ts'
import type { Budget } from '../decision/certificate.ts'
import type { AuditReport, Observed } from './audit.ts'
import type { CostReport, Costs } from './costs.ts'
import type { Mix } from './mix.ts'
import type { QualityNote } from './quality.ts'
import type { Outlook } from '../calibration/next-labels.ts'
import type { Reliability } from './reliability.ts'
import type { RiskCurve } from './risk-curve.ts'
import type { SegmentRow } from './segment-rows.ts'

/** A certificate as schemas/certificate.schema.json has it, as far as a report shows it. */
export type Certified = {
  readonly id: string
  readonly model: { readonly name: string; readonly version: string }
  readonly action: string
  readonly scoreKind: string
  readonly segment: string | null
  readonly budget: Budget
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
  readonly window: { readonly from: string; readonly to: string } | null
  readonly dataDigest: { readonly labelled: string; readonly unlabelled: string }
  readonly issuedAt: string
  readonly expiresAt: string
  readonly promise: string
}

/** One data file: its usable rows, how many it has in all, and how many of those have no score. */
export type Read<T> = { readonly data: T; readonly rows: number; readonly withoutScore: number }

export type ReportInput = {
  readonly certificate: Certified
  readonly labelled: Read<LabelledRows>
  readonly unlabelled: Read<UnlabelledRows> & {
    /** From the first to the last of the rows; null where they have no times. */
    readonly spanMs: number | null
  }
  readonly jointly: boolean
  readonly seed: number
  readonly costs: Costs | null
  /** From which score on the policy before this one executed. */
  readonly previousThreshold: number | null
  readonly observed: Observed | null
}

/** What the sections of a report are made of. */
export type Basis = ReportInput & {
  readonly part: Part
  readonly certification: Certification
  readonly demand: Demand
}

/** All figures of a report; the page and the JSON show the same. */
export type Report = {
  readonly certificate: Certified
  readonly reliability: Reliability
  readonly risk: RiskCurve
  /** null where the rows have no segments. */
  readonly segments: readonly SegmentRow[] | null
  readonly mix: Mix
  readonly audit: AuditReport | null
  readonly quality: readonly QualityNote[]
  readonly costs: CostReport
  readonly outlook: readonly Outlook[]
}
