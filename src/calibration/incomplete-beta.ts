/** What Stirling's formula misses of ln n!, for whole and half n above 0: ln Γ(n + 1) − (n + ½) ln n + n − ½ ln 2π. */
function stirlingError(n: number): number {
  if (n < 16) return logGamma(n + 1) - (n + 0.5) * Math.log(n) + n - HALF_LOG_2_PI
  const square = n * n
  return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / (1188 * square)) / square) / square) / square) / n
}

const HALF_LOG_2_PI = 0.9189385332046728

/** Lanczos' coefficients for g = 7, as in Numerical Recipes and GSL. */
const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
] as const

/** ln Γ(x) for x of at least ½ (Lanczos), with a relative error of about 1e-15. */
export function logGamma(x: number): number {
  const z = x - 1
  const sum = LANCZOS.reduce((sum, coefficient, index) => sum + coefficient / (z + index + 1), 0.99999999999980993)
  const t = z + 7.5
  return HALF_LOG_2_PI + (z + 0.5) * Math.log(t) - t + Math.log(sum)
}

/**
 * x ln(x / mean) + mean − x without the loss of digits when x is near the mean: Loader's deviance term ("Fast and
 * Accurate Computation of Binomial Probabilities", 2000).
 */
function deviance(x: number, mean: number): number {
  if (Math.abs(x - mean) >= 0.1 * (x + mean)) return x * Math.log(x / mean) + mean - x
  const ratio = (x - mean) / (x + mean)
  let sum = (x - mean) * ratio
  let term = 2 * x * ratio
  for (let index = 1; ; index++) {
    term *= ratio * ratio
    const next = sum + term / (2 * index + 1)
    if (next === sum) return sum
    sum = next
  }
}

/** P(Bin(n, p) = k) for 0 ≤ k ≤ n and 0 < p < 1; k and n need not be whole. Loader's saddle-point form. */
export function binomialMass(k: number, n: number, p: number): number {
  if (k === 0) return Math.exp(n * Math.log1p(-p))
  if (k === n) return Math.exp(n * Math.log(p))
  const misses = n - k
  const exponent =
    stirlingError(n) - stirlingError(k) - stirlingError(misses) - deviance(k, n * p) - deviance(misses, n * (1 - p))
  return Math.exp(exponent) * Math.sqrt(n / (2 * Math.PI * k * misses))
}

/**
 * The regularised incomplete beta function I_x(a, b) for a, b of at least 1 and 0 ≤ x ≤ 1: the continued fraction
 * DLMF 8.17.22, on the side of the mean where it converges fast.
 */
export function incompleteBeta(a: number, b: number, x: number): number {
  if (!(x > 0)) return 0
  if (!(x < 1)) return 1
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(b, a, 1 - x)
  // x^a (1 − x)^b / (a B(a, b)), with the binomial's mass standing in for the gamma functions.
  const front = binomialMass(a, a + b, x) * (b / (a + b))
  return front * betaFraction(a, b, x)
}

/** Lentz' method; the fraction needs about √max(a, b) terms. */
function betaFraction(a: number, b: number, x: number): number {
  let c = 1
  let d = 1 / awayFromZero(1 - ((a + b) * x) / (a + 1))
  let value = d
  for (let m = 1; m < 100_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / awayFromZero(1 + even * d)
    c = awayFromZero(1 + even / c)
    value *= d * c
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / awayFromZero(1 + odd * d)
    c = awayFromZero(1 + odd / c)
    const step = d * c
    value *= step
    if (Math.abs(step - 1) < 1e-16) return value
  }
  return value
}

const awayFromZero = (x: number): number => (Math.abs(x) < 1e-300 ? 1e-300 : x)
