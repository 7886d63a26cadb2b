import type { ModelOutput } from '../event.ts'
import { NONE, finding } from '../matter.ts'
import type { Check, Matter } from '../matter.ts'
import type { ActionRule } from '../policy.ts'
import type { Proof } from '../proof.ts'
import type { Reading, ScoreProblem } from '../reading.ts'
import type { Finding } from '../verdict.ts'
import { quote } from '../words.ts'

/** Whether there is a score, and which band it lies in. */
export const checkConfidence: Check = ({ event, rule, reading, proof }) => {
  if (reading.problem !== null) return [noScore(reading.problem, event)]
  if (rule === null || reading.calibrated === null) return NONE
  return bandsOf(reading, reading.calibrated, rule, proof)
}

const WHY: Readonly<Record<ScoreProblem, (value: number | null) => string>> = {
  missing: () => 'the event has no score',
  invalid: (value) => `the score ${value} is not a finite number`,
  out_of_range: (value) => `the score ${value} is not between 0 and 1`,
}

const noScore = (problem: ScoreProblem, { confidence }: ModelOutput): Finding =>
  finding('review', `confidence.${problem}`, null, WHY[problem](confidence))

function bandsOf(reading: Reading, score: number, rule: ActionRule, proof: Proof): readonly Finding[] {
  const { reject } = rule.confidence
  const above = aboveExecute(reading, score, rule, proof)
  if (reject === null || score >= reject) return above
  const below = finding('reject', 'confidence.below_reject', null, `the score ${score} is below ${reject}`)
  return [below, ...above]
}

/** Whether there is an edge above which the action is executed, if only for people to see what would be. */
export const isHeld = ({ reading, rule, proof }: Matter): boolean =>
  reading.calibrated !== null &&
  (proof.kind === 'not_demanded' ? rule !== null && rule.confidence.execute !== null : thresholdOf(proof) !== null)

/** On the raw score; null where no certificate says one. */
const thresholdOf = (proof: Proof): number | null =>
  proof.kind === 'valid' || proof.kind === 'void' ? proof.certificate.threshold : null

/** Whether the certificate holds is the calibration check's question. */
function aboveExecute(
  { raw }: Reading,
  score: number,
  { action, confidence }: ActionRule,
  proof: Proof,
): readonly Finding[] {
  const { execute } = confidence
  const threshold = thresholdOf(proof)
  if (proof.kind !== 'not_demanded' && threshold === null) return NONE
  if (threshold === null && execute === null) {
    const detail = `no score is enough: the policy gives ${quote(action)} no execute threshold`
    return [finding('review', 'confidence.below_execute', null, detail)]
  }
  // What must hold, so that what cannot be compared does not.
  if (threshold !== null && !((raw ?? Number.NaN) >= threshold)) {
    return [
      finding('review', 'confidence.below_execute', null, `the raw score ${raw} is below the certified ${threshold}`),
    ]
  }
  if (execute !== null && !(score >= execute)) {
    return [finding('review', 'confidence.below_execute', null, `the score ${score} is below ${execute}`)]
  }
  const reached =
    threshold === null
      ? `the score ${score} reaches ${execute}`
      : `the raw score ${raw} reaches the certified ${threshold}`
  return [finding('execute', 'confidence.sufficient', null, reached)]
}
