import { deltaOf, type Certification } from '../calibration/certification.ts'
import { certifyPart, deltaEach, partsOf, type Part } from '../calibration/certify-segments.ts'
import { outlookOf } from '../calibration/next-labels.ts'
import { seededRandom } from '../calibration/random.ts'
import { auditOf } from './audit.ts'
import { costReportOf } from './costs.ts'
import { mixOf } from './mix.ts'
import { qualityOf } from './quality.ts'
import { reliabilityOf } from './reliability.ts'
import type { Basis, Certified, Report, ReportInput } from './report.ts'
import { riskCurveOf } from './risk-curve.ts'
import { segmentRowsOf } from './segment-rows.ts'

/** Labels in all for which the outlook is drawn beside the present number: half, and so many more. */
const MORE_LABELS = [1_000, 2_000, 5_000] as const

/**
 * Certifies again from the data and puts together all that a report shows. Answers in a sentence when that does not give the
 * certificate's figures. The same input gives the same report: chance is drawn from the certificate's own seed.
 */
export function reportOf(input: ReportInput): Report | string {
  const { certificate, labelled, unlabelled, jointly, seed } = input
  const { budget, risk, assurance } = certificate
  const parts = partsOf(labelled.data, unlabelled.data, seededRandom(seed))
  const part = certificate.segment === null ? parts.whole : parts.segments.find(isOf(certificate))
  if (part === undefined) return `the data have no segment \`${certificate.segment}\`, which the certificate is for`
  const whole = { budget, risk, delta: deltaOf(assurance) }
  const delta = certificate.segment === null ? whole.delta : deltaEach({ ...whole, jointly }, parts.segments.length)
  const demand = { ...whole, delta }
  const certification = certifyPart(part, demand)
  const different = differences(certification, certificate)
  if (different.length > 0)
    return `certified again from the same data, it would be another: ${different.join('; ')}; certify anew`
  const basis: Basis = { ...input, part, certification, demand }
  const reliability = reliabilityOf(part.sample, seededRandom(seed))
  const sizes = [Math.ceil(part.sample.scores.length / 2), part.sample.scores.length].concat(
    MORE_LABELS.map((more) => part.sample.scores.length + more),
  )
  const risks = riskCurveOf(basis, reliability)
  return {
    certificate: plain(certificate),
    reliability: reliability.shown,
    risk: risks,
    segments: segmentRowsOf(basis, parts.segments),
    mix: mixOf(basis),
    audit: auditOf(basis),
    quality: qualityOf(basis),
    costs: costReportOf(basis, risks),
    outlook: outlookOf(part.sample, part.scores, demand, sizes, seededRandom(seed)),
  }
}

const isOf =
  ({ segment }: Certified) =>
  (part: Part): boolean =>
    part.segment === segment

const SAME = ['threshold', 'labels', 'labelledExecuted', 'labelledErrors', 'upperBound', 'coverage'] as const

function differences(found: Certification, certificate: Certified): readonly string[] {
  const figures = SAME.filter((name) => found[name] !== certificate[name])
  return [
    ...figures.map((name) => `${name} ${String(found[name])}, not ${certificate[name]}`),
    ...(found.grid.hash === certificate.grid.hash ? [] : [`grid ${found.grid.hash}, not ${certificate.grid.hash}`]),
  ]
}

/** Only what a report shows, in a fixed order. */
const plain = (it: Certified): Certified => ({
  id: it.id,
  model: it.model,
  action: it.action,
  scoreKind: it.scoreKind,
  segment: it.segment,
  budget: it.budget,
  risk: it.risk,
  assurance: it.assurance,
  threshold: it.threshold,
  labels: it.labels,
  labelledExecuted: it.labelledExecuted,
  labelledErrors: it.labelledErrors,
  upperBound: it.upperBound,
  coverage: it.coverage,
  grid: it.grid,
  clusters: it.clusters,
  window: it.window,
  dataDigest: it.dataDigest,
  issuedAt: it.issuedAt,
  expiresAt: it.expiresAt,
  promise: it.promise,
})
