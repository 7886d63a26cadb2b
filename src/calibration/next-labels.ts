import type { Demand } from './certification.ts'
import { certify } from './certify.ts'
import { at } from './column.ts'
import { below, type Random } from './random.ts'
import { poolOf, rowsAt, type Sample } from './sample.ts'

/** What so many labels would certify, over samples drawn from those there are. */
export type Outlook = {
  readonly labels: number
  /** The share of draws in which anything is certified. */
  readonly certified: number
  /** The share of traffic that could be executed: the mean of all draws, and what nine in ten of them stay above and below. */
  readonly coverage: { readonly mean: number; readonly p10: number; readonly p90: number }
}

/**
 * What more labels would buy if errors stay as frequent at every score: `draws` samples of each size, drawn with replacement
 * from the labelled rows, are certified against the same unlabelled scores. Compare sizes with each other: even the present
 * size is a draw here, so that luck in the labels there are does not look like a loss.
 */
export const outlookOf = (
  sample: Sample,
  unlabelled: Float64Array,
  demand: Demand,
  sizes: readonly number[],
  random: Random,
  draws = 40,
): readonly Outlook[] =>
  sample.scores.length === 0
    ? []
    : sizes.map((labels) => {
        const coverages = Float64Array.from({ length: draws }, () => {
          const rows = Uint32Array.from({ length: labels }, () => below(random, sample.scores.length))
          return certify(poolOf(rowsAt(sample, rows)), unlabelled, demand).coverage
        }).sort()
        return {
          labels,
          certified: coverages.filter((it) => it > 0).length / draws,
          coverage: {
            mean: coverages.reduce((sum, it) => sum + it, 0) / draws,
            p10: at(coverages, Math.floor(0.1 * (draws - 1))),
            p90: at(coverages, Math.ceil(0.9 * (draws - 1))),
          },
        }
      })
