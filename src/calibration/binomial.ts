import { incompleteBeta } from './incomplete-beta.ts'

/** P(Bin(n, p) ≤ k) for whole k and n: I_{1−p}(n − k, k + 1). 1 when there is nothing to count. */
export function binomialTail(k: number, n: number, p: number): number {
  if (k >= n) return 1
  if (k < 0) return 0
  if (k === 0) return Math.exp(n * Math.log1p(-p))
  return incompleteBeta(n - k, k + 1, 1 - p)
}

/**
 * Clopper and Pearson's upper bound of a share of which `k` among `n` were seen: the true share lies above it with a chance
 * of at most `delta`. 1 when nothing was counted.
 */
export function upperBound(k: number, n: number, delta: number): number {
  if (k >= n) return 1
  return risingRoot(k / n, 1, (share) => delta - binomialTail(k, n, share))
}

/** The first share in (low, high] at which the rising function is not below 0, to the last bit. */
function risingRoot(low: number, high: number, value: (share: number) => number): number {
  let [below, above] = [low, high]
  for (;;) {
    const middle = (below + above) / 2
    if (!(middle > below && middle < above)) return above
    if (value(middle) < 0) below = middle
    else above = middle
  }
}

/**
 * The fewest labels with which `errors` among them still certify a share of at most `alpha`, where the promise may fail with
 * a chance of `delta`: the least n with P(Bin(n, alpha) ≤ errors) ≤ delta.
 */
export function labelsNeeded(alpha: number, delta: number, errors: number): number {
  let fails = errors
  let holds = Math.max(1, 2 * errors)
  while (binomialTail(errors, holds, alpha) > delta) [fails, holds] = [holds, 2 * holds]
  while (holds - fails > 1) {
    const middle = Math.floor((fails + holds) / 2)
    if (binomialTail(errors, middle, alpha) > delta) fails = middle
    else holds = middle
  }
  return holds
}
