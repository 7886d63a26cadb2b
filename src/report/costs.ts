import type { Basis } from './report.ts'
import type { Mark, RiskCurve } from './risk-curve.ts'
import { coverageFrom } from '../calibration/certify.ts'

/** What one of each costs, in one unit of money. */
export type Costs = { readonly wrongExecution: number; readonly review: number }

/** One way to decide, per 1,000 events. */
export type CostRow = {
  readonly policy: 'this certificate' | 'by cost within it' | 'execute all' | 'review all' | 'previous policy'
  readonly threshold: number | null
  readonly executed: number
  readonly reviewed: number
  /** Wrong ones among the executed, as the labels have it. */
  readonly wrong: number
  /** null where no costs are given. */
  readonly cost: number | null
}

export type CostReport = {
  readonly costs: Costs | null
  readonly rows: readonly CostRow[]
  /**
   * How many reviews a wrong execution may cost until reviewing all is cheaper, and must cost for the certificate to be
   * cheaper than executing all; null where no number of reviews is.
   */
  readonly breakEven: { readonly reviewAll: number | null; readonly executeAll: number | null }
}

export function costReportOf(basis: Basis, { marks }: RiskCurve): CostReport {
  const certified = rowOf(basis, 'this certificate', basis.certificate.threshold)
  const all = rowOf(basis, 'execute all', 0)
  const none = rowOf(basis, 'review all', null)
  const byCost = thresholdOf(marks, 'by cost')
  const previous = thresholdOf(marks, 'previous')
  const rows = [
    certified,
    ...(byCost === null ? [] : [rowOf(basis, 'by cost within it', Math.max(byCost, basis.certificate.threshold))]),
    ...(previous === null ? [] : [rowOf(basis, 'previous policy', previous)]),
    all,
    none,
  ]
  return {
    costs: basis.costs,
    rows,
    breakEven: {
      reviewAll: ratio(certified.executed, certified.wrong),
      executeAll: ratio(certified.reviewed, all.wrong - certified.wrong),
    },
  }
}

const thresholdOf = (marks: readonly Mark[], name: Mark['name']): number | null =>
  marks.find((it) => it.name === name)?.threshold ?? null

const ratio = (reviews: number, wrong: number): number | null => (wrong > 0 ? reviews / wrong : null)

const PER = 1_000

/** What is executed is counted in the unlabelled rows, what of it is wrong in the labelled ones; the rest is reviewed. */
function rowOf({ part, costs }: Basis, policy: CostRow['policy'], threshold: number | null): CostRow {
  const executed = threshold === null ? 0 : PER * coverageFrom(part.scores, threshold)
  const { scores, right } = part.sample
  const above = right.filter((_, row) => threshold !== null && (scores[row] ?? Number.NaN) >= threshold)
  const errors = above.reduce((sum, it) => sum + 1 - it, 0)
  const wrong = above.length === 0 ? 0 : (executed * errors) / above.length
  const cost = costs === null ? null : wrong * costs.wrongExecution + (PER - executed) * costs.review
  return { policy, threshold, executed, reviewed: PER - executed, wrong, cost }
}
