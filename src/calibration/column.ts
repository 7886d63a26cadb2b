/** A row of numbers of any kind. */
export type Column = ArrayLike<number>

/** The number at `index`; NaN outside, which no comparison that states what must hold lets pass. */
export const at = (column: Column, index: number): number => column[index] ?? Number.NaN

/** How many of the ascending numbers are less than `value`. */
export function countBelow(ascending: Column, value: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (at(ascending, middle) < value) low = middle + 1
    else high = middle
  }
  return low
}
