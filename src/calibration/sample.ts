import { at } from './column.ts'

/** Labelled rows: a score in [0, 1] and whether it was right (1) or an error (0) each, in the order they came. */
export type Sample = { readonly scores: Float64Array; readonly right: Uint8Array }

/**
 * The same rows with equal scores put together: distinct scores in ascending order, how many rows have each, and how many
 * of those were right. Everything that does not depend on the order of rows is computed from this.
 */
export type Pooled = {
  readonly scores: Float64Array
  readonly counts: Float64Array
  readonly rights: Float64Array
  readonly rows: number
  readonly rightRows: number
}

/** Sorts right and wrong rows apart, as plain numbers, and merges them: several times faster than sorting pairs. */
export function poolOf({ scores, right }: Sample): Pooled {
  const rightRows = right.reduce((sum, it) => sum + it, 0)
  const ofRight = new Float64Array(rightRows)
  const ofWrong = new Float64Array(scores.length - rightRows)
  let rights = 0
  for (let row = 0; row < scores.length; row++) {
    if (at(right, row) === 1) ofRight[rights++] = at(scores, row)
    else ofWrong[row - rights] = at(scores, row)
  }
  return merged(ofRight.sort(), ofWrong.sort())
}

function merged(ofRight: Float64Array, ofWrong: Float64Array): Pooled {
  const rows = ofRight.length + ofWrong.length
  const scores = new Float64Array(rows)
  const counts = new Float64Array(rows)
  const rights = new Float64Array(rows)
  let groups = 0
  let nextRight = 0
  let nextWrong = 0
  while (nextRight + nextWrong < rows) {
    const score = Math.min(ofRight[nextRight] ?? Infinity, ofWrong[nextWrong] ?? Infinity)
    const firstRight = nextRight
    const first = nextRight + nextWrong
    while (ofRight[nextRight] === score) nextRight++
    while (ofWrong[nextWrong] === score) nextWrong++
    scores[groups] = score
    counts[groups] = nextRight + nextWrong - first
    rights[groups++] = nextRight - firstRight
  }
  return {
    scores: scores.slice(0, groups),
    counts: counts.slice(0, groups),
    rights: rights.slice(0, groups),
    rows,
    rightRows: ofRight.length,
  }
}

/** The rows at these places, in this order. */
export const rowsAt = ({ scores, right }: Sample, places: Iterable<number> & ArrayLike<number>): Sample => ({
  scores: Float64Array.from(places, (row) => at(scores, row)),
  right: Uint8Array.from(places, (row) => at(right, row)),
})
