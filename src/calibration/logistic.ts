import { at } from './column.ts'

/** Rows that share their features: how many, and how much of them counts as right (not whole when targets are smoothed). */
export type LogisticRows = {
  readonly features: readonly Float64Array[]
  readonly counts: Float64Array
  readonly rights: Float64Array
}

/** 1 / (1 + e^−x), without overflow. */
export const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))

/** ln(1 + e^x), without overflow. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))

/**
 * The coefficients, one per feature, that make the rows most likely under P(right) = sigmoid(Σ coefficient × feature):
 * Newton's method with step halving. A feature of ones is the intercept. Rows that can be told apart perfectly have no
 * finite answer; the coefficients are then those at which it stopped gaining.
 */
export function logisticFit(rows: LogisticRows): readonly number[] {
  let coefficients: readonly number[] = rows.features.map(() => 0)
  let loss = lossOf(rows, coefficients)
  for (let round = 0; round < 100; round++) {
    const step = newtonStep(rows, coefficients)
    const taken = downhill(rows, coefficients, step, loss)
    if (taken === null) return coefficients
    const gain = loss - taken.loss
    ;({ coefficients, loss } = taken)
    if (gain <= 1e-15 * Math.abs(loss)) return coefficients
  }
  return coefficients
}

/** Σ coefficient × feature, for every row. */
function marginsOf({ features, counts }: LogisticRows, coefficients: readonly number[]): Float64Array {
  const margins = new Float64Array(counts.length)
  for (const [index, feature] of features.entries()) {
    const coefficient = at(coefficients, index)
    for (let row = 0; row < margins.length; row++)
      margins[row] = (margins[row] ?? 0) + coefficient * (feature[row] ?? Number.NaN)
  }
  return margins
}

function lossOf(rows: LogisticRows, coefficients: readonly number[]): number {
  const { counts, rights } = rows
  const margins = marginsOf(rows, coefficients)
  let loss = 0
  for (let row = 0; row < margins.length; row++) {
    const margin = margins[row] ?? Number.NaN
    loss += (counts[row] ?? 0) * softplus(margin) - (rights[row] ?? 0) * margin
  }
  return loss
}

/** The first of the full step, half of it, a quarter and so on that does not lose; null when none does. */
function downhill(rows: LogisticRows, from: readonly number[], step: readonly number[], loss: number) {
  for (let share = 1; share > 1e-9; share /= 2) {
    const coefficients = from.map((value, index) => value + share * at(step, index))
    const next = lossOf(rows, coefficients)
    if (next <= loss) return { coefficients, loss: next }
  }
  return null
}

function newtonStep(rows: LogisticRows, coefficients: readonly number[]): readonly number[] {
  const { features, counts, rights } = rows
  const probabilities = marginsOf(rows, coefficients).map(sigmoid)
  const residuals = probabilities.map((probability, row) => (rights[row] ?? 0) - (counts[row] ?? 0) * probability)
  const weights = probabilities.map((probability, row) => (counts[row] ?? 0) * probability * (1 - probability))
  const ones = new Float64Array(weights.length).fill(1)
  const gradient = features.map((feature) => sumOfProducts(residuals, feature, ones))
  const curvature = features.map((feature) => features.map((other) => sumOfProducts(weights, feature, other)))
  return solved(curvature, gradient)
}

function sumOfProducts(a: Float64Array, b: Float64Array, c: Float64Array): number {
  let sum = 0
  for (let row = 0; row < a.length; row++)
    sum += (a[row] ?? Number.NaN) * (b[row] ?? Number.NaN) * (c[row] ?? Number.NaN)
  return sum
}

/** The solution of a small symmetric system by elimination; a hair on the diagonal keeps it solvable. */
function solved(matrix: readonly number[][], right: readonly number[]): readonly number[] {
  const lines = matrix.map((line, index) => [
    ...line.map((value, other) => (other === index ? value * (1 + 1e-12) + 1e-300 : value)),
    at(right, index),
  ])
  for (const [pivot, line] of lines.entries())
    for (const [index, other] of lines.entries()) {
      if (index === pivot) continue
      const factor = at(other, pivot) / at(line, pivot)
      for (let column = pivot; column < other.length; column++)
        other[column] = at(other, column) - factor * at(line, column)
    }
  return lines.map((line, index) => at(line, line.length - 1) / at(line, index))
}
