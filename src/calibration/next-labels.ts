import type { Demand } from './certification.ts'
import { certify } from './certify.ts'
import { at } from './column.ts'
import { below, type Random } from './random.ts'
import { poolOf, type Pooled, type Sample } from './sample.ts'

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
export function outlookOf(
  sample: Sample,
  unlabelled: Float64Array,
  demand: Demand,
  sizes: readonly number[],
  random: Random,
  draws = 40,
): readonly Outlook[] {
  if (sample.scores.length === 0) return []
  const pooled = poolOf(sample)
  const groups = groupOfEachRow(pooled)
  return sizes.map((labels) => {
    const coverages = Float64Array.from(
      { length: draws },
      () => certify(redrawn(pooled, groups, labels, random), unlabelled, demand).coverage,
    ).sort()
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
}

/** The place of each row's score among the distinct ones; of equal scores the right rows come first. */
function groupOfEachRow({ counts, rows }: Pooled): Uint32Array {
  const groups = new Uint32Array(rows)
  let first = 0
  for (const [group, count] of counts.entries()) groups.fill(group, first, (first += count))
  return groups
}

/** So many rows drawn with replacement: a count for each distinct score, so that nothing has to be sorted again. */
function redrawn(pooled: Pooled, groups: Uint32Array, labels: number, random: Random): Pooled {
  const counts = new Float64Array(pooled.scores.length)
  const rights = new Float64Array(pooled.scores.length)
  const firsts = new Float64Array(pooled.scores.length)
  for (let group = 1; group < firsts.length; group++)
    firsts[group] = at(firsts, group - 1) + at(pooled.counts, group - 1)
  for (let label = 0; label < labels; label++) {
    const row = below(random, pooled.rows)
    const group = at(groups, row)
    counts[group] = at(counts, group) + 1
    if (row - at(firsts, group) < at(pooled.rights, group)) rights[group] = at(rights, group) + 1
  }
  return { scores: pooled.scores, counts, rights, rows: labels, rightRows: rights.reduce((sum, it) => sum + it, 0) }
}
