import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { calibrate, calibrationProblem } from '../../src/decision/calibrate.ts'
import { samplePoints } from './arbitraries.ts'

describe('calibrate', () => {
  const points = [
    [0.2, 0.1],
    [0.5, 0.3],
    [0.6, 0.3],
    [0.9, 0.8],
  ] as const

  it.each([
    [0, 0.1],
    [0.2, 0.1],
    [0.35, 0.2],
    [0.5, 0.3],
    [0.55, 0.3],
    [0.6, 0.3],
    [0.75, 0.55],
    [0.9, 0.8],
    [1, 0.8],
  ])('%d becomes %d', (raw, calibrated) => expect(calibrate(points, raw)).toBe(calibrated))

  it('never falls when the raw score rises, and stays within the table', () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(samplePoints, unit, unit, (table, a, b) => {
        const [low, high] = [calibrate(table, Math.min(a, b)), calibrate(table, Math.max(a, b))]
        expect(low).toBeLessThanOrEqual(high)
        expect(low).toBeGreaterThanOrEqual(0)
        expect(high).toBeLessThanOrEqual(1)
      }),
      { numRuns: 2000 },
    )
  })

  it('has no value without points, so that no band is reached', () => expect(calibrate([], 0.5)).toBeNaN())
})

describe('calibrationProblem', () => {
  it.each<[readonly (readonly [number, number])[], RegExp | null]>([
    [
      [
        [0, 0],
        [1, 1],
      ],
      null,
    ],
    [
      [
        [0, 0.5],
        [1, 0.5],
      ],
      null,
    ],
    [[], /at least 2 points, this one has 0/],
    [[[0, 0]], /at least 2 points, this one has 1/],
    [
      [
        [0, 0],
        [1.1, 1],
      ],
      /^point 2 \[1.1, 1\]: the raw score must lie/,
    ],
    [
      [
        [-0.1, 0],
        [1, 1],
      ],
      /^point 1 .*raw score must lie/,
    ],
    [
      [
        [0, 0],
        [1, 1.1],
      ],
      /^point 2 .*calibrated score must lie/,
    ],
    [
      [
        [Number.NaN, 0],
        [1, 1],
      ],
      /^point 1 .*raw score must lie/,
    ],
    [
      [
        [0, 0],
        [1, Number.NaN],
      ],
      /^point 2 .*calibrated score must lie/,
    ],
    [
      [
        [0.5, 0],
        [0.5, 1],
      ],
      /^point 2 .*must be greater than the one before, 0.5/,
    ],
    [
      [
        [0, 0.6],
        [1, 0.5],
      ],
      /^point 2 .*must not be less than the one before, 0.6/,
    ],
  ])('%j', (points, expected) => {
    const problem = calibrationProblem(points)
    if (expected === null) expect(problem).toBeNull()
    else expect(problem).toMatch(expected)
  })

  it('accepts the tables the properties are tried with', () => {
    fc.assert(
      fc.property(samplePoints, (points) => {
        expect(calibrationProblem(points)).toBeNull()
      }),
    )
  })
})
