import * as fc from 'fast-check'
import { seededRandom, type Random } from '../../src/calibration/random.ts'
import type { Sample } from '../../src/calibration/sample.ts'

/** Rows whose scores are often equal, so that ties are the rule. */
export const samples = ({ min = 1, max = 40 } = {}): fc.Arbitrary<Sample> =>
  fc
    .array(
      fc.record({
        score: fc.oneof(
          fc.integer({ min: 0, max: 8 }).map((it) => it / 8),
          fc.double({ min: 0, max: 1, noNaN: true }),
        ),
        right: fc.integer({ min: 0, max: 1 }),
      }),
      { minLength: min, maxLength: max },
    )
    .map((rows) => ({
      scores: Float64Array.from(rows, ({ score }) => score),
      right: Uint8Array.from(rows, ({ right }) => right),
    }))

/** Scores evenly spread over 0 to 1, and labels that are right with the probability `map` gives. */
export function drawn(rows: number, map: (score: number) => number, random: Random = seededRandom(1)): Sample {
  const scores = Float64Array.from({ length: rows }, () => random())
  return { scores, right: Uint8Array.from(scores, (score) => (random() < map(score) ? 1 : 0)) }
}

/** The least processor time of five runs, in milliseconds: other programs on the machine make it no longer. */
export function leastMs(run: () => void): number {
  const times = Array.from({ length: 5 }, () => {
    const since = process.cpuUsage()
    run()
    const { user, system } = process.cpuUsage(since)
    return (user + system) / 1_000
  })
  return Math.min(...times)
}
