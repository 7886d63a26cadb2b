import { at, type Column } from './column.ts'
import { isotonicBlocks, type Block } from './isotonic.ts'
import type { Random } from './random.ts'
import type { Pooled } from './sample.ts'
import type { Interval } from './venn-abers.ts'

/**
 * Where the isotonic curve would lie at these scores in 90 of 100 samples if the scores were exactly right: labels are drawn
 * from the scores `draws` times (the consistency band of CORP, PNAS 2021).
 */
export function consistencyBand(pooled: Pooled, scores: Column, random: Random, draws = 100): readonly Interval[] {
  const curves = Array.from({ length: draws }, () => isotonicBlocks(redrawn(pooled, random)))
  return Array.from({ length: scores.length }, (_, index) => {
    const values = Float64Array.from(curves, (blocks) => shareAt(blocks, at(scores, index))).sort()
    return { low: at(values, Math.floor(0.05 * draws)), high: at(values, Math.ceil(0.95 * draws) - 1) }
  })
}

function redrawn(pooled: Pooled, random: Random): Pooled {
  const rights = pooled.scores.map((score, group) => {
    let right = 0
    for (let row = 0; row < at(pooled.counts, group); row++) if (random() < score) right++
    return right
  })
  return { ...pooled, rights, rightRows: rights.reduce((sum, it) => sum + it, 0) }
}

/** The value of the last block that begins at or below the score; of the first one below all. */
function shareAt(blocks: readonly Block[], score: number): number {
  let low = 0
  let high = blocks.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((blocks[middle]?.from ?? Infinity) <= score) low = middle
    else high = middle - 1
  }
  return blocks[low]?.share ?? Number.NaN
}
