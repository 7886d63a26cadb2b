import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { TraceBudget } from '../../src/telemetry/trace-budget.ts'

/** How many of `wanted` are granted. */
const granted = (budget: TraceBudget, wanted: number): number =>
  Array.from({ length: wanted }, () => budget.take()).filter(Boolean).length

test.each([
  ['all at once', [[0, 50]], [10]],
  [
    'at its pace',
    [
      [0, 50],
      [1000, 50],
      [1500, 50],
    ],
    [10, 5, 2],
  ],
  [
    'after a rest, as many as at once',
    [
      [0, 50],
      [60_000, 50],
    ],
    [10, 10],
  ],
  [
    'with a clock that is set back',
    [
      [5000, 50],
      [1000, 50],
      [2000, 50],
    ],
    [10, 0, 5],
  ],
  [
    'without a time',
    [
      [Number.NaN, 50],
      [1000, 50],
    ],
    [10, 0],
  ],
])('is spent %s', (_, batches, expected) => {
  const budget = new TraceBudget(5, 10)
  const each = batches.map(([at = 0, wanted = 0]) => {
    budget.refill(at)
    return granted(budget, wanted)
  })
  expect(each).toEqual(expected)
})

test('never grants more than its pace and one burst', () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 40 })), {
    maxLength: 30,
  })
  fc.assert(
    fc.property(steps, (all) => {
      const budget = new TraceBudget(5, 10)
      let [now, sum] = [0, 0]
      for (const [elapsed, wanted] of all) {
        now += elapsed
        budget.refill(now)
        sum += granted(budget, wanted)
        expect(sum).toBeLessThanOrEqual(10 + (now / 1000) * 5)
      }
    }),
  )
})
