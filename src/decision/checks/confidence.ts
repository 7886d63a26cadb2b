import type { ModelOutput } from '../event.ts'
import { NONE, finding } from '../matter.ts'
import type { Check } from '../matter.ts'
import type { ActionRule } from '../policy.ts'
import type { ScoreProblem } from '../reading.ts'
import type { Finding } from '../verdict.ts'
import { quote } from '../words.ts'

/** Whether there is a score, and which band it lies in. */
export const checkConfidence: Check = ({ event, rule, reading }) => {
  if (reading.problem !== null) return [noScore(reading.problem, event)]
  if (rule === null || reading.calibrated === null) return NONE
  return bandsOf(reading.calibrated, rule)
}

const WHY: Readonly<Record<ScoreProblem, (value: number | null) => string>> = {
  missing: () => 'the event has no score',
  invalid: (value) => `the score ${value} is not a finite number`,
  out_of_range: (value) => `the score ${value} is not between 0 and 1`,
}

const noScore = (problem: ScoreProblem, { confidence }: ModelOutput): Finding =>
  finding('review', `confidence.${problem}`, null, WHY[problem](confidence))

function bandsOf(score: number, rule: ActionRule): readonly Finding[] {
  const { reject } = rule.confidence
  const above = aboveExecute(score, rule)
  if (reject === null || score >= reject) return above
  const below = finding('reject', 'confidence.below_reject', null, `the score ${score} is below ${reject}`)
  return [below, ...above]
}

/** Whether a certificate stands in for the threshold is the calibration check's question. */
function aboveExecute(score: number, { action, confidence }: ActionRule): readonly Finding[] {
  const { execute, certified } = confidence
  if (execute === null) {
    const detail = `no score is enough: the policy gives ${quote(action)} no execute threshold`
    return certified === null ? [finding('review', 'confidence.below_execute', null, detail)] : NONE
  }
  return score >= execute
    ? [finding('execute', 'confidence.sufficient', null, `the score ${score} reaches ${execute}`)]
    : [finding('review', 'confidence.below_execute', null, `the score ${score} is below ${execute}`)]
}
