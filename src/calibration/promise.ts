import { percent } from '../decision/words.ts'
import type { Certification, Demand } from './certification.ts'

/** What a certified threshold promises, in one sentence with its figures; null when nothing is certified. */
export function promiseOf(
  { threshold, labelledExecuted, labelledErrors, upperBound, labels }: Certification,
  segment: string | null,
  { risk, delta, budget }: Demand,
): string | null {
  if (threshold === null || upperBound === null) return null
  const events = segment === null ? 'events' : `events of segment ${segment}`
  const share =
    budget === 'per-event'
      ? `of all ${events} the long-run share that is executed and wrong`
      : `the long-run share of wrong ones among executed ${events}`
  const seen = budget === 'per-event' ? `${labels} labels, ` : ''
  return (
    `With probability of at least ${percent(1 - delta)} over the labelled sample, ${share} is at most ${percent(risk)} ` +
    `when scores of ${threshold} and above are executed, as long as traffic, model and labelling stay as in the window; ` +
    `${seen}${labelledExecuted} executed, ${labelledErrors} errors, upper bound ${percent(upperBound)}.`
  )
}
