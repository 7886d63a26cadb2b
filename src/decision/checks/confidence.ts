import { bandsOf } from '../bands.ts'
import type { ModelOutput } from '../event.ts'
import { NONE, finding } from '../matter.ts'
import type { Check, Matter } from '../matter.ts'
import type { Proof } from '../proof.ts'
import type { ScoreProblem } from '../reading.ts'
import type { Finding } from '../verdict.ts'
import { quote } from '../words.ts'

/** Whether there is a score, and which band it lies in. */
export const checkConfidence: Check = (matter) => {
  const { event, rule, reading } = matter
  if (reading.problem !== null) return [noScore(reading.problem, event)]
  if (rule === null || reading.calibrated === null) return NONE
  const above = aboveExecute(matter, reading.calibrated)
  const below = belowReject(matter, reading.calibrated, above)
  return below === null ? above : [below, ...above]
}

const WHY: Readonly<Record<ScoreProblem, (value: number | null) => string>> = {
  missing: () => 'the event has no score',
  invalid: (value) => `the score ${value} is not a finite number`,
  out_of_range: (value) => `the score ${value} is not between 0 and 1`,
}

const noScore = (problem: ScoreProblem, { confidence }: ModelOutput): Finding =>
  finding('review', `confidence.${problem}`, null, WHY[problem](confidence))

/** Where costs would reject what is sure enough to be executed, executing is cheaper still. */
function belowReject({ rule, weighed }: Matter, score: number, above: readonly Finding[]): Finding | null {
  const reject = rule?.confidence.reject ?? null
  if (reject !== null && !(score >= reject)) {
    return finding('reject', 'confidence.below_reject', null, `the score ${score} is below ${reject}`)
  }
  if (weighed.kind !== 'weighed' || score > weighed.reject || isSufficient(above)) return null
  const { amounts } = weighed
  const detail = `the score ${score} does not exceed ${weighed.reject}, up to where rejecting costs less than a look at ${amounts.review}`
  return finding('reject', 'confidence.below_reject', null, detail)
}

const isSufficient = ([only]: readonly Finding[]): boolean => only?.route === 'execute'

/** Whether there is an edge above which the action is executed, if only for people to see what would be. */
export const isHeld = ({ reading, rule, proof, weighed }: Matter): boolean =>
  reading.calibrated !== null &&
  weighed.kind !== 'failed' &&
  (proof.kind === 'not_demanded' ? rule !== null && rule.confidence.execute !== null : thresholdOf(proof) !== null)

/** On the raw score; null where no certificate says one. */
const thresholdOf = (proof: Proof): number | null =>
  proof.kind === 'valid' || proof.kind === 'void' ? proof.certificate.threshold : null

/** Whether the certificate holds is the calibration check's question. What must hold is stated, so that NaN does not. */
function aboveExecute(matter: Matter, score: number): readonly Finding[] {
  const { rule, proof, weighed } = matter
  const { raw } = matter.reading
  const threshold = thresholdOf(proof)
  if (weighed.kind === 'failed') {
    return [
      finding('review', 'confidence.cost_unknown', null, `the cost of a wrong execution is not known: ${weighed.why}`),
    ]
  }
  if (proof.kind !== 'not_demanded' && threshold === null) return NONE
  if (threshold === null && (rule?.confidence.execute ?? null) === null) {
    return below(`no score is enough: the policy gives ${quote(rule?.action ?? '')} no execute threshold`)
  }
  if (threshold !== null && !((raw ?? Number.NaN) >= threshold)) {
    return below(`the raw score ${raw} is below the certified ${threshold}`)
  }
  const { execute } = bandsOf(matter)
  if (execute !== null && !(score >= execute)) return below(`the score ${score} is below ${execute}${priceOf(matter)}`)
  const reached =
    threshold === null
      ? `the score ${score} reaches ${execute}`
      : `the raw score ${raw} reaches the certified ${threshold}`
  return [finding('execute', 'confidence.sufficient', null, reached)]
}

const below = (detail: string): readonly Finding[] => [finding('review', 'confidence.below_execute', null, detail)]

function priceOf({ weighed }: Matter): string {
  if (weighed.kind !== 'weighed') return ''
  return `, with a wrong execution at ${weighed.amounts.wrongExecution} and a look at ${weighed.amounts.review}`
}
