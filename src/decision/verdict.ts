import type { Budget } from './certificate.ts'
import type { Amounts } from './costs.ts'
import type { ModelOutput, SourcePosition } from './event.ts'
import type { Facts } from './facts.ts'
import type { Undo } from './policy.ts'
import type { Route } from './route.ts'
import type { FindingCode } from './codes.ts'

/** One thing a check noticed. `code` is public API, `detail` is for people. */
export type Finding = {
  readonly route: Route
  readonly code: FindingCode
  /** The rule, limit, context or control entry concerned. */
  readonly subject: string | null
  readonly detail: string
}

/** What the certificate relied upon promises, and from which raw score on. */
export type Promised = {
  readonly threshold: number
  readonly risk: number
  readonly assurance: number
  readonly budget: Budget
  readonly segment: string | null
  readonly upperBound: number
}

/** The score and the bands it was held against; all in [0, 1], `margin` signed. Field meanings: schemas/verdict.avsc. */
export type Score = {
  readonly raw: number | null
  readonly calibrated: number | null
  readonly execute: number | null
  readonly reject: number | null
  readonly margin: number | null
  readonly calibrator: string | null
  readonly certificate: string | null
  readonly certified: Promised | null
  readonly low: number | null
  readonly high: number | null
  readonly costs: Amounts | null
}

/** The decision record, in the shape of schemas/verdict.avsc. */
export type Verdict = {
  readonly decisionId: string
  readonly actionKey: string
  readonly route: Route
  readonly code: FindingCode
  readonly findings: readonly Finding[]
  readonly mode: 'normal' | 'degraded'
  readonly undo: Undo | null
  readonly notAfter: number | null
  readonly score: Score
  readonly changes: { readonly without: readonly string[]; readonly route: Route } | null
  readonly audit: { readonly selected: boolean; readonly propensity: number }
  /** `calibration`, `certificates`: digests of these files as they were in force, null for none. */
  readonly policy: {
    readonly name: string
    readonly version: number
    readonly digest: string
    readonly calibration: string | null
    readonly certificates: string | null
  }
  readonly engine: string
  readonly facts: Facts
  readonly source: SourcePosition
  readonly event: ModelOutput
}
