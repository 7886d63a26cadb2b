import { at } from './column.ts'
import type { Pooled } from './sample.ts'

/** A run of scores on which the best rising map is constant: first and last score, the share of right rows, how many. */
export type Block = { readonly from: number; readonly to: number; readonly share: number; readonly rows: number }

/**
 * Isotonic regression of right on score, ties pooled (pool adjacent violators): blocks in ascending order, shares strictly
 * rising. No other rising map has a smaller Brier score or log loss on these rows.
 */
export function isotonicBlocks({ scores, counts, rights }: Pooled): readonly Block[] {
  const first = new Uint32Array(scores.length + 1)
  const rows = new Float64Array(scores.length)
  const right = new Float64Array(scores.length)
  let top = -1
  for (let group = 0; group < scores.length; group++) {
    top++
    first[top] = group
    rows[top] = at(counts, group)
    right[top] = at(rights, group)
    while (top > 0 && at(right, top - 1) * at(rows, top) >= at(right, top) * at(rows, top - 1)) {
      top--
      rows[top] = at(rows, top) + at(rows, top + 1)
      right[top] = at(right, top) + at(right, top + 1)
    }
  }
  first[top + 1] = scores.length
  return Array.from({ length: top + 1 }, (_, block) => ({
    from: at(scores, at(first, block)),
    to: at(scores, at(first, block + 1) - 1),
    share: at(right, block) / at(rows, block),
    rows: at(rows, block),
  }))
}
