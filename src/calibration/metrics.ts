import { at } from './column.ts'
import type { Pooled } from './sample.ts'

/** How far a probability is kept from 0 and 1 before its logarithm is taken. */
const EDGE = 1e-6

/** Within [1e-6, 1 − 1e-6], where logarithms are finite. */
export const clipped = (probability: number): number => Math.min(1 - EDGE, Math.max(EDGE, probability))

export const logit = (probability: number): number => Math.log(clipped(probability) / (1 - clipped(probability)))

/** A loss of one row: predicted probability that it is right, and whether it was. */
export type Loss = (probability: number, right: 0 | 1) => number

export const squaredLoss: Loss = (probability, right) => (probability - right) ** 2

export const logLoss: Loss = (probability, right) =>
  right === 1 ? -Math.log(clipped(probability)) : -Math.log(1 - clipped(probability))

/** The mean loss per row of the scores as a map predicts from them: Brier score or log loss. NaN without rows. */
export function meanLoss(pooled: Pooled, loss: Loss, map: (score: number) => number = (score) => score): number {
  let sum = 0
  for (let group = 0; group < pooled.scores.length; group++) {
    const probability = map(at(pooled.scores, group))
    const rights = at(pooled.rights, group)
    sum += rights * loss(probability, 1) + (at(pooled.counts, group) - rights) * loss(probability, 0)
  }
  return sum / pooled.rows
}

/**
 * The chance that a right row has a higher score than a wrong one, ties counted half: the area under the ROC curve. NaN
 * unless there are both.
 */
export function auroc({ scores, counts, rights, rows, rightRows }: Pooled): number {
  let wins = 0
  let wrongBelow = 0
  for (let group = 0; group < scores.length; group++) {
    const wrongs = at(counts, group) - at(rights, group)
    wins += at(rights, group) * (wrongBelow + wrongs / 2)
    wrongBelow += wrongs
  }
  return wins / (rightRows * (rows - rightRows))
}
