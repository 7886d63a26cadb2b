import { describe, expect, test } from 'vitest'
import { BROKEN_MAX, DRAWS, talliesOf } from './acceptance.ts'
import { seriesOf } from './series.ts'

/** One series of each data file; `npm run bench:calibration` runs them all. */
const NAMES = [
  'llm-mmlupro/gpt-4.1-mini/verbal',
  'llm-mcqa/gpt-3.5-turbo',
  'imagenet-top1/mixnet_m',
  'cifar100-top1/wideresnet-16-4',
  'cifar10-vgg/top1',
  'adult-rf/p(>50k)',
  'credit-default/gbm',
  'forecasts-538/nba',
  'elections-538-clustered',
]

describe.each(NAMES)(
  '%s',
  (name) => {
    const { sample } = seriesOf(name)

    test.each([0.01, 0.05, 0.1])(
      `at %d the promise is broken in at most ${BROKEN_MAX} of ${DRAWS} draws, and no less is executed than by a plainly written reference`,
      (risk) => {
        const { certified, reference } = talliesOf(['certified', 'reference'], sample, risk, 1)
        expect(certified.broken).toBeLessThanOrEqual(BROKEN_MAX)
        expect(certified.coverage).toBeGreaterThanOrEqual(0.95 * reference.coverage)
      },
    )
  },
  60_000,
)

test('what people do instead breaks it: half the time by the mean of a map, always by the score itself', () => {
  const { sample } = seriesOf('imagenet-top1/mixnet_m')
  const { isotonicMean, certified } = talliesOf(['isotonicMean', 'certified'], sample, 0.05, 1)
  expect(isotonicMean.broken).toBeGreaterThan(60)
  expect(certified.coverage).toBeGreaterThan(0.3)
  const stated = seriesOf('llm-mmlupro/gpt-4.1-mini/verbal').sample
  expect(talliesOf(['rawScore'], stated, 0.05, 1).rawScore).toMatchObject({ broken: DRAWS, refused: 0 })
}, 60_000)
