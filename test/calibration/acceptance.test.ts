import { describe, expect, test } from 'vitest'
import { BROKEN_MAX, DRAWS, tallyOf } from './acceptance.ts'
import { seriesOf } from './series.ts'

/** One series of each data file; `test/bench/calibration.ts` runs them all. */
const NAMES = [
  'llm-mmlupro/gpt-4.1-mini/verbal',
  'llm-mcqa/gpt-3.5-turbo',
  'imagenet-top1/mixnet_m',
  'cifar100-top1/wideresnet-16-4',
  'cifar10-vgg/top1',
  'adult-rf/p(>50k)',
  'credit-default/gbm',
  'forecasts-538/nba',
]

describe.each(NAMES)(
  '%s',
  (name) => {
    const { sample } = seriesOf(name)

    test.each([0.01, 0.05, 0.1])(`at %d the promise is broken in at most ${BROKEN_MAX} of ${DRAWS} draws`, (risk) => {
      expect(tallyOf('certified', sample, risk, 1).broken).toBeLessThanOrEqual(BROKEN_MAX)
    })

    test.each([0.01, 0.05, 0.1])('at %d it executes no less than a plainly written reference', (risk) => {
      const [ours, reference] = (['certified', 'reference'] as const).map((way) => tallyOf(way, sample, risk, 1, 20))
      expect(ours?.coverage).toBeGreaterThanOrEqual(0.95 * (reference?.coverage ?? NaN))
      expect(ours?.refused).toBe(reference?.refused)
    })
  },
  60_000,
)

test('what people do instead breaks it: half the time by the mean of a map, always by the score itself', () => {
  const { sample } = seriesOf('imagenet-top1/mixnet_m')
  expect(tallyOf('isotonicMean', sample, 0.05, 1).broken).toBeGreaterThan(60)
  expect(tallyOf('certified', sample, 0.05, 1).coverage).toBeGreaterThan(0.3)
  const stated = seriesOf('llm-mmlupro/gpt-4.1-mini/verbal').sample
  expect(tallyOf('rawScore', stated, 0.05, 1)).toMatchObject({ broken: DRAWS, refused: 0 })
}, 60_000)
