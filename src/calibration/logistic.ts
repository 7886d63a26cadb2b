import { at, type Column } from './column.ts'

/** Rows that share their features: how many, and how much of them counts as right (not whole when targets are smoothed). */
export type LogisticRows = {
  readonly features: readonly Column[]
  readonly counts: Column
  readonly rights: Column
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

const marginOf = ({ features }: LogisticRows, coefficients: readonly number[], row: number): number =>
  features.reduce((sum, feature, index) => sum + at(coefficients, index) * at(feature, row), 0)

function lossOf(rows: LogisticRows, coefficients: readonly number[]): number {
  let loss = 0
  for (let row = 0; row < rows.counts.length; row++) {
    const margin = marginOf(rows, coefficients, row)
    loss += at(rows.counts, row) * softplus(margin) - at(rows.rights, row) * margin
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
  const gradient = features.map(() => 0)
  const curvature = features.map(() => features.map(() => 0))
  for (let row = 0; row < counts.length; row++) {
    const probability = sigmoid(marginOf(rows, coefficients, row))
    const residual = at(rights, row) - at(counts, row) * probability
    const weight = at(counts, row) * probability * (1 - probability)
    for (const [index, feature] of features.entries()) {
      gradient[index] = at(gradient, index) + residual * at(feature, row)
      const line = curvature[index] ?? []
      for (const [other, against] of features.entries())
        line[other] = at(line, other) + weight * at(feature, row) * at(against, row)
    }
  }
  return solved(curvature, gradient)
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
