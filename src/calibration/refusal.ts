import { percent } from '../decision/words.ts'
import { binomialTail, labelsNeeded } from './binomial.ts'
import type { Demand, Tested } from './certification.ts'
import { at } from './column.ts'
import type { Pooled } from './sample.ts'

/** Why nothing is fitted or certified. Public API: never put a value in a code. */
export const REFUSALS = {
  'scores.dirty': 'too many rows have no usable score, so the rest may not stand for the traffic',
  'scores.missing': 'there are no unlabelled scores to lay out thresholds with',
  'labels.too_few': 'fewer labels than a map, or than the promise even without an error, needs',
  'labels.one_class': 'all labels are the same, and a map is learnt from both',
  'labels.too_many_errors': 'there are labels enough, but too many errors among them above every threshold',
} as const satisfies Record<string, string>

export type RefusalCode = keyof typeof REFUSALS

export type Refusal = {
  readonly code: RefusalCode
  /** A sentence for people, with the figures. */
  readonly detail: string
  /** Labels in all with which it would be certified if errors stay as frequent; null when no number of labels would do. */
  readonly labelsNeeded: number | null
}

/** Why none of the tested thresholds is certified, and what it would take. */
export function refusalOf(tests: readonly Tested[], labelled: Pooled, demand: Demand): Refusal {
  if (tests.length === 0)
    return {
      code: 'scores.missing',
      detail: 'not certifiable: there is no unlabelled score to lay out thresholds with',
      labelsNeeded: null,
    }
  const counted = isPerEvent(demand) ? labelled.rows : Math.max(...tests.map(({ executed }) => executed))
  const least = labelsNeeded(demand.risk, demand.delta, 0)
  return counted < least ? tooFew(counted, least, demand) : tooManyErrors(tests, labelled, demand)
}

const isPerEvent = ({ budget }: Demand): boolean => budget === 'per-event'

function tooFew(counted: number, least: number, demand: Demand): Refusal {
  const where = isPerEvent(demand) ? 'labels' : 'labels above any threshold'
  return {
    code: 'labels.too_few',
    detail: `not certifiable at ${percent(demand.risk)}: ${counted} ${where}, ${least} needed without an error`,
    labelsNeeded: least,
  }
}

function tooManyErrors(tests: readonly Tested[], labelled: Pooled, demand: Demand): Refusal {
  const best = tests.reduce((best, it) => (it.pValue < best.pValue ? it : best))
  const of = isPerEvent(demand) ? labelled.rows : best.executed
  const needed = labelsForBest(labelled, demand)
  const seen =
    `not certifiable at ${percent(demand.risk)}: the best threshold, ${best.threshold}, has ` +
    `${best.errors} errors among ${of} labels (${percent(best.errors / of)})`
  const wanted =
    needed === null
      ? 'no number of labels would do while errors are as frequent'
      : `about ${needed} labels in all would do if errors stay as frequent`
  return { code: 'labels.too_many_errors', detail: `${seen}; ${wanted}`, labelsNeeded: needed }
}

/**
 * How many labels in all would certify the threshold that needs the fewest, were errors above it as frequent as among these
 * labels; thresholds stricter than the grid's count too, since a larger sample has a finer grid. null: none would ever be.
 */
function labelsForBest({ scores, counts, rights, rows }: Pooled, demand: Demand): number | null {
  let [executed, errors] = [0, 0]
  let best = { executed: 0, share: 0, worth: 0 }
  for (let group = scores.length - 1; group >= 0; group--) {
    executed += at(counts, group)
    errors += at(counts, group) - at(rights, group)
    const share = errors / (isPerEvent(demand) ? rows : executed)
    // Labels needed above a threshold go with 1 / (risk − share)², and of all labels only some lie above it.
    const worth = Math.max(0, demand.risk - share) ** 2 * (isPerEvent(demand) ? 1 : executed)
    if (executed * demand.risk >= 1 && worth > best.worth) best = { executed, share, worth }
  }
  const above = best.worth > 0 ? labelsAtShare(best.share, demand) : null
  return above === null ? null : Math.ceil(isPerEvent(demand) ? above : (above * rows) / best.executed)
}

/** The fifth of delta that a start owns by itself is what a threshold can count on. */
function labelsAtShare(share: number, demand: Demand): number | null {
  const { risk, delta } = demand
  const level = isPerEvent(demand) ? delta : delta / 5
  const passes = (labels: number): boolean => binomialTail(Math.round(share * labels), labels, risk) <= level
  let [fails, holds] = [0, 1]
  while (!passes(holds)) {
    if (holds > LABELS_MAX) return null
    ;[fails, holds] = [holds, 2 * holds]
  }
  while (holds - fails > 1) {
    const middle = Math.floor((fails + holds) / 2)
    if (passes(middle)) holds = middle
    else fails = middle
  }
  return holds
}

/** Nobody labels more than this. */
const LABELS_MAX = 1_000_000

const UNUSABLE_MAX = 0.05

/** More than one row in twenty without a usable score; null when it is fewer. */
export function dirtyRefusal(unusable: number, rows: number, where: string): Refusal | null {
  if (!(unusable > UNUSABLE_MAX * rows)) return null
  return {
    code: 'scores.dirty',
    detail:
      `${unusable} of ${rows} ${where} rows have no score between 0 and 1, ` +
      `and at most ${percent(UNUSABLE_MAX)} may lack one`,
    labelsNeeded: null,
  }
}
