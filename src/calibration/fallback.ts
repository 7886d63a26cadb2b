import { at, type Column } from './column.ts'

const STARTS = 5

/** The error level each test was held to, and whether it passed; in the order of the p-values. */
export type Fallback = {
  readonly levels: readonly number[]
  readonly passed: readonly boolean[]
  /** The last that passed; null when none did. */
  readonly last: number | null
}

/**
 * Tests hypotheses in a fixed order so that the chance of passing a false one is at most `delta`, however they depend on each
 * other: five evenly spaced starts own a fifth each, and a test that passes hands its level on to the next (Wiens 2003, "A
 * fixed sequence Bonferroni procedure"; Learn then Test, arXiv 2110.01052).
 */
export function fallbackTest(pValues: Column, delta: number): Fallback {
  const owned = new Float64Array(pValues.length)
  for (let start = 0; start < STARTS && pValues.length > 0; start++) {
    const first = Math.floor((start * pValues.length) / STARTS)
    owned[first] = at(owned, first) + delta / STARTS
  }
  const levels: number[] = []
  const passed: boolean[] = []
  for (let index = 0; index < pValues.length; index++) {
    const inherited = passed.at(-1) === true ? at(levels, index - 1) : 0
    const level = at(owned, index) + inherited
    levels.push(level)
    passed.push(level > 0 && at(pValues, index) <= level)
  }
  const last = passed.lastIndexOf(true)
  return { levels, passed, last: last < 0 ? null : last }
}
