import { gridOf } from '../calibration/grid.ts'
import { ALARM_AT, addOutcome, evidenceOf, newRiskWatch, type RiskWatch } from '../calibration/risk-watch.ts'
import {
  addLabel,
  certifiedBy,
  newStreamingCertificate,
  type StreamingCertificate,
} from '../calibration/streaming-certificate.ts'
import type { AuditedExecution, CountingRules } from './execution.ts'
import { rightOf } from './label.ts'
import type { Matured } from './maturation.ts'

/** What a stream of labels proves by itself, once scores whose labels are not used have laid out the thresholds. */
export type StreamProof =
  | { readonly kind: 'gathering'; readonly scores: readonly number[] }
  | { readonly kind: 'proving'; readonly certificate: StreamingCertificate }

/** All that outcomes say about one certificate. Counts are of audited executions of full age. */
export type CertificateWatch = {
  readonly certificate: string
  readonly segment: string | null
  readonly risk: number
  readonly assurance: number
  /** Outcomes that count, and those among them that are errors; a missing label counts by the rule. */
  readonly counted: number
  readonly errors: number
  readonly missing: number
  /** Reported as not done, so neither right nor wrong. */
  readonly failed: number
  readonly repeated: number
  readonly contradicting: number
  readonly detector: RiskWatch
  readonly proof: StreamProof
  readonly alarms: number
  /** The detector does not look at what was decided before; milliseconds since 1970. */
  readonly restsUntil: number
  /** When the last execution that counted was decided, milliseconds since 1970. */
  readonly lastDecidedAt: number
}

/** Why a certificate is to be withdrawn: the state at the moment the evidence reached the alarm line. */
export type Alarm = Pick<CertificateWatch, 'certificate' | 'risk' | 'counted' | 'errors' | 'missing'> & {
  readonly evidence: number
  /** The execution that tipped the scales. */
  readonly actionKey: string
  readonly decidedAt: number
}

/** Scores before the proof begins; the labels of these are not used for it, so that the grid is free of labels. */
const SCORES_FOR_A_GRID = 100
/** Labels for which the grid is laid out: one day's or week's audits of a busy action. */
const LABELS_OF_A_STREAM = 2_000

export const newCertificateWatch = (execution: AuditedExecution): CertificateWatch => ({
  certificate: execution.certificate,
  segment: execution.segment,
  risk: execution.risk,
  assurance: execution.assurance,
  counted: 0,
  errors: 0,
  missing: 0,
  failed: 0,
  repeated: 0,
  contradicting: 0,
  detector: newRiskWatch('anytime', execution.risk),
  proof: { kind: 'gathering', scores: [] },
  alarms: 0,
  restsUntil: 0,
  lastDecidedAt: 0,
})

/** How long after an alarm something may still be executed on the certificate, milliseconds. */
const TAKEN_AWAY_WITHIN_MS = 60_000

/**
 * One more outcome. An alarm starts the detector anew, so that a certificate whose withdrawal is lifted is watched again; what
 * was executed until the withdrawal was heeded everywhere is counted, but raises no second alarm.
 */
export function countOutcome(
  watch: CertificateWatch,
  matured: Matured,
  rules: CountingRules,
): { readonly watch: CertificateWatch; readonly alarm: Alarm | null } {
  const { execution, label, repeated, contradicting } = matured
  const seen = {
    ...watch,
    failed: watch.failed + (label === 'failed' ? 1 : 0),
    missing: watch.missing + (label === 'missing' ? 1 : 0),
    repeated: watch.repeated + repeated,
    contradicting: watch.contradicting + contradicting,
    lastDecidedAt: execution.decidedAt,
  }
  const right = rightOf(matured, rules.missing)
  if (right === null) return { watch: seen, alarm: null }
  const floored = flooredAt(watch.detector, execution.propensity)
  const isAtRest = execution.decidedAt < watch.restsUntil
  const detector = isAtRest ? floored : addOutcome(floored, right, execution.propensity)
  const weight = detector.propensityMin / execution.propensity
  const counted = {
    ...seen,
    counted: watch.counted + 1,
    errors: watch.errors + (1 - right),
    detector,
    proof: proofWith(watch, execution.score, right, weight),
  }
  return alarmed(counted, execution, rules)
}

/**
 * The smallest audit share so far is what others are weighed against. It is a matter of policy and not of the single
 * event, so it is known before the outcome is.
 */
const flooredAt = (detector: RiskWatch, propensity: number): RiskWatch =>
  propensity < detector.propensityMin ? { ...detector, propensityMin: propensity } : detector

function proofWith(
  { proof, risk, assurance }: CertificateWatch,
  score: number,
  right: 0 | 1,
  weight: number,
): StreamProof {
  if (proof.kind === 'proving')
    return { kind: 'proving', certificate: addLabel(proof.certificate, score, right, weight) }
  const scores = [...proof.scores, score]
  if (scores.length < SCORES_FOR_A_GRID) return { kind: 'gathering', scores }
  const grid = gridOf(scores, LABELS_OF_A_STREAM, risk, deltaOf(assurance))
  return { kind: 'proving', certificate: newStreamingCertificate(grid, risk) }
}

function alarmed(
  watch: CertificateWatch,
  { actionKey, decidedAt }: AuditedExecution,
  { maturityMs }: CountingRules,
): { readonly watch: CertificateWatch; readonly alarm: Alarm | null } {
  const evidence = evidenceOf(watch.detector)
  // A NaN must raise the alarm.
  if (evidence < ALARM_AT) return { watch, alarm: null }
  const { certificate, risk, counted, errors, missing, detector } = watch
  const anew = newRiskWatch('anytime', risk, detector.propensityMin)
  return {
    watch: {
      ...watch,
      alarms: watch.alarms + 1,
      detector: anew,
      restsUntil: decidedAt + maturityMs + TAKEN_AWAY_WITHIN_MS,
    },
    alarm: { certificate, risk, counted, errors, missing, evidence, actionKey, decidedAt },
  }
}

/** 1 − 0.95 is 0.050000000000000044: what people write must decide, not how it is stored. */
const deltaOf = (assurance: number): number => Number((1 - assurance).toPrecision(12))

/** The loosest threshold that the stream of labels proves by itself at any time; null: none so far. */
export const provenThreshold = ({ proof, assurance }: CertificateWatch): number | null =>
  proof.kind === 'gathering' ? null : certifiedBy(proof.certificate, deltaOf(assurance))

/** How many errors in a row, of the smallest audit share, would raise the alarm from here. */
export function errorsToAlarm({ detector }: CertificateWatch): number {
  let [watch, errors] = [detector, 0]
  while (evidenceOf(watch) < ALARM_AT) {
    watch = addOutcome(watch, 0, detector.propensityMin)
    errors += 1
  }
  return errors
}
