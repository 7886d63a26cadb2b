import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { binomialTail, labelsNeeded, upperBound } from '../../src/calibration/binomial.ts'
import { binomialMass, incompleteBeta, logGamma } from '../../src/calibration/incomplete-beta.ts'

/** Term by term, each from the one before. */
function summedTail(k: number, n: number, p: number): number {
  let term = (1 - p) ** n
  let sum = term
  for (let hits = 1; hits <= k; hits++) {
    term *= ((n - hits + 1) / hits) * (p / (1 - p))
    sum += term
  }
  return sum
}

const shares = fc.double({ min: 0.001, max: 0.6, noNaN: true })

describe('the binomial tail', () => {
  test('is the sum of its terms', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(300), shares, (n, hits, p) => {
        const k = Math.min(hits, n - 1)
        expect(binomialTail(k, n, p) / summedTail(k, n, p)).toBeCloseTo(1, 10)
      }),
    )
  })

  /** Exact rational arithmetic, rounded once. */
  test.each([
    [3, 500, 0.01, 0.2636155881365945],
    [25, 1_000, 0.05, 5.1110741544666414e-5],
    [400, 10_000, 0.05, 1.20709466396255e-6],
  ])('%i of %i at %d', (k, n, p, exact) => {
    expect(binomialTail(k, n, p) / exact).toBeCloseTo(1, 12)
  })

  test.each([
    [0, 0, 0.1, 1],
    [5, 5, 0.1, 1],
    [-1, 5, 0.1, 0],
  ])('%i of %i at %d is %d', (k, n, p, tail) => {
    expect(binomialTail(k, n, p)).toBe(tail)
  })

  test('stays a probability for a million rows, about one half at the mean', () => {
    expect(binomialTail(10_000, 1_000_000, 0.01)).toBeCloseTo(0.5, 2)
    expect(binomialTail(9_000, 1_000_000, 0.01)).toBeLessThan(1e-20)
  })
})

describe('special functions', () => {
  test('ln Γ of whole numbers is the sum of logarithms', () => {
    let sum = 0
    for (let n = 1; n < 300; n++) {
      expect(logGamma(n)).toBeCloseTo(sum, 11)
      sum += Math.log(n)
    }
  })

  test('the masses sum to 1', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), shares, (n, p) => {
        const masses = Array.from({ length: n + 1 }, (_, k) => binomialMass(k, n, p))
        expect(masses.reduce((sum, mass) => sum + mass, 0)).toBeCloseTo(1, 11)
      }),
    )
  })

  test('I_x(a, b) = 1 − I_{1−x}(b, a), and I_x(1, 1) = x', () => {
    const sizes = fc.double({ min: 1, max: 5_000, noNaN: true })
    fc.assert(
      fc.property(sizes, sizes, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (a, b, x) => {
        expect(incompleteBeta(a, b, x) + incompleteBeta(b, a, 1 - x)).toBeCloseTo(1, 10)
        expect(incompleteBeta(1, 1, x)).toBeCloseTo(x, 14)
      }),
    )
  })
})

test('the upper bound is where the tail is delta', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3_000 }), fc.nat(3_000), (n, hits) => {
      const k = Math.min(hits, n - 1)
      const bound = upperBound(k, n, 0.05)
      expect(bound).toBeGreaterThan(k / n)
      expect(binomialTail(k, n, bound)).toBeCloseTo(0.05, 9)
    }),
  )
  expect(upperBound(0, 0, 0.05)).toBe(1)
})

test('one label fewer than needed is not enough', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.002, max: 0.3, noNaN: true }), fc.nat(20), (alpha, errors) => {
      const needed = labelsNeeded(alpha, 0.05, errors)
      expect(binomialTail(errors, needed, alpha)).toBeLessThanOrEqual(0.05)
      expect(binomialTail(errors, needed - 1, alpha)).toBeGreaterThan(0.05)
    }),
  )
})
