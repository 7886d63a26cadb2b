import { binomialTail, upperBound } from './binomial.ts'
import type { Certification, Demand, Tested } from './certification.ts'
import { at, countBelow, type Column } from './column.ts'
import { fallbackTest } from './fallback.ts'
import { gridOf } from './grid.ts'
import { refusalOf } from './refusal.ts'
import type { Pooled } from './sample.ts'

/**
 * The loosest threshold of a label-free grid above which the demand is met with the assurance asked for, by exact binomial
 * tests on integer counts; or why there is none. The labels must be independent of each other and of the grid.
 */
export function certify(labelled: Pooled, unlabelled: Column, demand: Demand): Certification {
  const grid = gridOf(unlabelled, labelled.rows, demand.risk, demand.delta)
  const counts = countsAbove(labelled, grid.thresholds)
  const tests = demand.budget === 'per-event' ? testEvents(counts, labelled.rows, demand) : testExecuted(counts, demand)
  const found = tests.findLast(({ certified }) => certified) ?? null
  return {
    threshold: found?.threshold ?? null,
    labels: labelled.rows,
    labelledExecuted: found?.executed ?? 0,
    labelledErrors: found?.errors ?? 0,
    upperBound: found === null ? null : boundOf(found, labelled.rows, demand),
    coverage: found === null ? 0 : coverageFrom(unlabelled, found.threshold),
    grid: { size: grid.thresholds.length, hash: grid.hash },
    tests,
    refusal: found === null ? refusalOf(tests, labelled, demand) : null,
  }
}

type Count = Pick<Tested, 'threshold' | 'executed' | 'errors'>

/** Whole numbers of rows and errors at or above each threshold. */
function countsAbove(
  { scores, counts, rights, rows, rightRows }: Pooled,
  thresholds: readonly number[],
): readonly Count[] {
  const rowsBelow = cumulated(counts)
  const rightsBelow = cumulated(rights)
  return thresholds.map((threshold) => {
    const groups = countBelow(scores, threshold)
    const executed = rows - at(rowsBelow, groups)
    return { threshold, executed, errors: executed - (rightRows - at(rightsBelow, groups)) }
  })
}

/** How much lies before each place, and behind the last. */
function cumulated(column: Float64Array): Float64Array {
  const sums = new Float64Array(column.length + 1)
  for (let index = 0; index < column.length; index++) sums[index + 1] = at(sums, index) + at(column, index)
  return sums
}

function testExecuted(counts: readonly Count[], { risk, delta }: Demand): readonly Tested[] {
  const pValues = counts.map(({ executed, errors }) => binomialTail(errors, executed, risk))
  const { levels, passed } = fallbackTest(pValues, delta)
  return counts.map((count, index) => ({
    ...count,
    pValue: at(pValues, index),
    level: at(levels, index),
    certified: passed[index] === true,
  }))
}

/**
 * Errors per event can only grow when the threshold falls, so every threshold may use the whole level, as long as all
 * stricter ones hold (risk-controlling prediction sets; Bates and others 2021).
 */
function testEvents(counts: readonly Count[], rows: number, { risk, delta }: Demand): readonly Tested[] {
  let holds = true
  return counts.map((count) => {
    const pValue = binomialTail(count.errors, rows, risk)
    holds &&= pValue <= delta
    return { ...count, pValue, level: delta, certified: holds }
  })
}

const boundOf = ({ executed, errors }: Count, rows: number, { budget, delta }: Demand): number =>
  upperBound(errors, budget === 'per-event' ? rows : executed, delta)

/** The share of scores at or above the threshold. */
export function coverageFrom(scores: Column, threshold: number): number {
  let executed = 0
  for (let row = 0; row < scores.length; row++) if (at(scores, row) >= threshold) executed++
  return executed / scores.length
}
