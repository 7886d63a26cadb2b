import { upperBound } from '../calibration/binomial.ts'
import { addOutcome, ALARM_AT, evidenceOf, newRiskWatch } from '../calibration/risk-watch.ts'
import type { Basis } from './report.ts'

/** One verdict as it was made, with what is known of its outcome. */
export type ObservedVerdict = {
  readonly route: 'execute' | 'review' | 'reject'
  /** What decided it; empty where it is not known. */
  readonly code: string
  /** The chance with which its outcome was to be audited; null: not marked for audit. */
  readonly propensity: number | null
  /** Whether it was right; null: not known. */
  readonly right: 0 | 1 | null
}

/** Verdicts in the order they were made, from the first to the last so many milliseconds. */
export type Observed = { readonly verdicts: readonly ObservedVerdict[]; readonly spanMs: number | null }

/** Executed events that were audited with about the same chance. */
export type Stratum = {
  readonly propensity: { readonly from: number; readonly to: number }
  /** Marked for audit, and those of them whose outcome is known. */
  readonly marked: number
  readonly known: number
  readonly errors: number
  readonly upperBound: number
}

export type AuditReport = {
  readonly executed: number
  readonly strata: readonly Stratum[]
  /** The share of wrong ones among all executed events: each audited one stands for 1 / propensity; null without any. */
  readonly estimate: number | null
  /** The detector's evidence after so many audited outcomes; thinned, but never of its peaks. */
  readonly path: readonly (readonly [outcomes: number, evidence: number])[]
  readonly alarmAt: number
  /** Outcomes until the alarm; null: none. */
  readonly alarm: number | null
}

/** What audits of executed events say. null without any verdicts. */
export function auditOf({ observed, certificate, demand }: Basis): AuditReport | null {
  if (observed === null) return null
  const executed = observed.verdicts.filter(({ route }) => route === 'execute')
  const audited = executed.flatMap(({ propensity, right }) => (propensity === null ? [] : [{ propensity, right }]))
  const known = audited.flatMap(({ propensity, right }) => (right === null ? [] : [{ propensity, right }]))
  const weight = known.reduce((sum, it) => sum + 1 / it.propensity, 0)
  const { path, alarm } = watched(known, certificate.risk)
  return {
    executed: executed.length,
    strata: strataOf(audited, demand.delta),
    estimate: known.length === 0 ? null : known.reduce((sum, it) => sum + (1 - it.right) / it.propensity, 0) / weight,
    path,
    alarmAt: ALARM_AT,
    alarm,
  }
}

type Audited = { readonly propensity: number; readonly right: 0 | 1 | null }

/** By powers of two of the propensity, the most audited first. */
function strataOf(audited: readonly Audited[], delta: number): readonly Stratum[] {
  const levelOf = ({ propensity }: Audited): number => Math.floor(-Math.log2(propensity) + 1e-9)
  const levels = [...new Set(audited.map(levelOf))].sort((a, b) => a - b)
  return levels.map((level) => {
    const marked = audited.filter((it) => levelOf(it) === level)
    const known = marked.filter(({ right }) => right !== null)
    const errors = known.filter(({ right }) => right === 0).length
    const propensities = marked.map(({ propensity }) => propensity)
    return {
      propensity: { from: least(propensities), to: -least(propensities.map((it) => -it)) },
      marked: marked.length,
      known: known.length,
      errors,
      upperBound: upperBound(errors, known.length, delta),
    }
  })
}

const least = (values: readonly number[]): number => values.reduce((least, it) => Math.min(least, it), Infinity)

const PATH_POINTS = 300

function watched(
  known: readonly { readonly propensity: number; readonly right: 0 | 1 }[],
  risk: number,
): Pick<AuditReport, 'path' | 'alarm'> {
  let watch = newRiskWatch('anytime', risk, least(known.map(({ propensity }) => propensity)))
  const evidence = known.map(({ right, propensity }) => {
    watch = addOutcome(watch, right, propensity)
    return evidenceOf(watch)
  })
  const first = evidence.findIndex((it) => it >= ALARM_AT)
  const step = Math.max(1, Math.ceil(evidence.length / PATH_POINTS))
  const path = Array.from({ length: Math.ceil(evidence.length / step) }, (_, index) => {
    const upTo = evidence.slice(index * step, (index + 1) * step)
    return [Math.min(evidence.length, (index + 1) * step), -least(upTo.map((it) => -it))] as const
  })
  return { path, alarm: first < 0 ? null : first + 1 }
}
