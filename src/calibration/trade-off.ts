import { edgesOf, type Amounts } from '../decision/costs.ts'
import { upperBound } from './binomial.ts'
import { certify } from './certify.ts'
import type { Certification, Demand, Tested } from './certification.ts'
import { chooseMap } from './choose-map.ts'
import { at, countBelow } from './column.ts'
import { outlookOf, type Outlook } from './next-labels.ts'
import type { Random } from './random.ts'
import { poolOf, type Sample } from './sample.ts'
import type { MapKind } from './score-map.ts'

/** What becomes of the traffic when executing begins at one threshold. */
export type Step = Tested & {
  /** The share of unlabelled scores that is executed. */
  readonly coverage: number
  /** Clopper and Pearson's bound of the share of errors, for this threshold alone. */
  readonly upperBound: number
  /** Shares of unlabelled scores. */
  readonly reviewed: number
  readonly rejected: number
  /** The mean cost of an event; null without costs, or without a map that says how often a score is right. */
  readonly cost: number | null
}

export type TradeOff = {
  readonly certification: Certification
  readonly steps: readonly Step[]
  /** The map that says how often a score is right; null: too few labels for one. */
  readonly map: MapKind | null
  /**
   * Executed from this raw score on: at or above the certified threshold, where executing costs least; null: from none.
   * `execute` and `reject` are the edges on the calibrated score that costs set; null without costs.
   */
  readonly chosen: {
    readonly threshold: number | null
    readonly execute: number | null
    readonly reject: number | null
  }
  /** So many labels as there are, and 1,000 more. */
  readonly outlook: { readonly now: Outlook | null; readonly more: Outlook | null }
}

/** A week's work for a reviewer. */
const MORE = 1_000

/** The curve from executing nothing to executing all, on the certificate's own grid of thresholds. */
export function tradeOff(
  sample: Sample,
  unlabelled: Float64Array,
  demand: Demand,
  amounts: Amounts | null,
  random: Random,
): TradeOff {
  const labelled = poolOf(sample)
  const certification = certify(labelled, unlabelled, demand)
  const map = chooseMap(sample, random)?.map ?? null
  const edges = amounts === null ? null : edgesOf(amounts)
  const scores = unlabelled.toSorted()
  const shares = map === null ? null : scores.map(map.apply)
  const traffic = { scores, shares, reject: edges?.reject ?? null, amounts }
  const steps = certification.tests.map((test) => stepOf(test, traffic, labelled.rows, demand))
  const [now = null, more = null] = outlookOf(sample, scores, demand, [labelled.rows, labelled.rows + MORE], random)
  const threshold = chosenFrom(certification.threshold, steps, (score) => isWorth(score, map?.apply, edges?.execute))
  return {
    certification,
    steps,
    map: map?.kind ?? null,
    chosen: { threshold, execute: edges?.execute ?? null, reject: edges?.reject ?? null },
    outlook: { now, more },
  }
}

/** Unlabelled scores in ascending order, and how often each is right. */
type Traffic = {
  readonly scores: Float64Array
  readonly shares: Float64Array | null
  readonly reject: number | null
  readonly amounts: Amounts | null
}

function stepOf(test: Tested, traffic: Traffic, rows: number, { budget, delta }: Demand): Step {
  const { scores } = traffic
  const below = countBelow(scores, test.threshold)
  const rejected = rejectedBelow(below, traffic)
  return {
    ...test,
    coverage: (scores.length - below) / scores.length,
    upperBound: upperBound(test.errors, budget === 'per-event' ? rows : test.executed, delta),
    reviewed: (below - rejected) / scores.length,
    rejected: rejected / scores.length,
    cost: costOf(below, rejected, traffic),
  }
}

/** The map never falls, so those that are rejected come first. */
function rejectedBelow(below: number, { shares, reject }: Traffic): number {
  if (shares === null || reject === null) return 0
  let rejected = 0
  while (rejected < below && at(shares, rejected) <= reject) rejected++
  return rejected
}

function costOf(below: number, rejected: number, { shares, amounts }: Traffic): number | null {
  if (shares === null || amounts === null) return null
  let sum = (below - rejected) * amounts.review
  for (let index = 0; index < rejected; index++) sum += at(shares, index) * amounts.wrongReject
  for (let index = below; index < shares.length; index++) sum += (1 - at(shares, index)) * amounts.wrongExecution
  return sum / shares.length
}

const isWorth = (score: number, apply: ((score: number) => number) | undefined, execute: number | undefined): boolean =>
  execute === undefined || (apply !== undefined && apply(score) >= execute)

/** The loosest threshold of the grid that is certified, or stricter than that, and worth executing from. */
function chosenFrom(
  certified: number | null,
  steps: readonly Step[],
  worth: (score: number) => boolean,
): number | null {
  if (certified === null) return null
  const found = steps.findLast(({ threshold }) => threshold >= certified && worth(threshold))
  return found?.threshold ?? null
}
