import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/calibration/random.ts'
import { countOutcome, newCertificateWatch, type CertificateWatch } from '../../src/watch/certificate-watch.ts'
import { execution, RULES } from './stream.ts'

/** Outcomes that count until the first alarm, of at most `most`; null: none. `truth` gives the risk of an execution. */
function alarmAfter(
  seed: number,
  risk: number,
  most: number,
  shares: readonly number[],
  truth: (counted: number, share: number) => number,
): number | null {
  const random = seededRandom(seed)
  let watch: CertificateWatch = newCertificateWatch(execution({ risk }))
  while (watch.counted < most) {
    const propensity = shares[Math.floor(random() * shares.length)] ?? 1
    const label = random() < truth(watch.counted, propensity) ? 'wrong' : 'right'
    if (random() >= propensity) continue
    const matured = { execution: execution({ risk, propensity }), label, repeated: 0, contradicting: 0 } as const
    const next = countOutcome(watch, matured, RULES)
    watch = next.watch
    if (next.alarm !== null) return watch.counted
  }
  return null
}

const UNEQUAL = [1, 0.5, 0.1]
/** Errors are commonest where audits are rarest, or the other way round; over all shares the risk is what is said. */
const tilted = (risk: number, tilt: number) => (_: number, share: number) =>
  risk * (share === 0.1 ? 1 + tilt : share === 1 ? 1 - tilt : 1)

const alarmsOf = (risk: number, most: number, truth: number, tilt: number): number =>
  Array.from({ length: 200 }, (_, seed) => alarmAfter(seed + 1, risk, most, UNEQUAL, tilted(truth, tilt))).filter(
    (it) => it !== null,
  ).length

/**
 * The alarm line bounds how long it takes on average until a false alarm: at least 10,000 outcomes in the worst world that
 * is as promised, and so a chance of at most T / 10,000 of one within T: 5 % in 500. Streams of half the bound, over 20,000
 * outcomes, and the delays stand in ../calibration/streaming.test.ts.
 */
describe('false alarms over 200 quiet streams with unequal audit shares, whose smallest is learnt on the way', () => {
  test.each([
    // The 99 % quantile of Bin(200, 5 %) is 18, and that of Bin(200, 30 %) 75.
    { risk: 0.05, of: 0.05, most: 500, tilt: 0.5, alarms: 18 },
    { risk: 0.05, of: 0.05, most: 500, tilt: -0.5, alarms: 18 },
    { risk: 0.01, of: 0.01, most: 500, tilt: 0.5, alarms: 18 },
    { risk: 0.05, of: 0.05, most: 3_000, tilt: 0.5, alarms: 75 },
    { risk: 0.01, of: 0.005, most: 3_000, tilt: 0.5, alarms: 18 },
  ])('promised $risk, true $of, $most outcomes, tilt $tilt: at most $alarms', ({ risk, of, most, tilt, alarms }) => {
    expect(alarmsOf(risk, most, of, tilt)).toBeLessThanOrEqual(alarms)
  })
})
