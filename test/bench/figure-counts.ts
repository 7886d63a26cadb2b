import { drain } from './drain.ts'
import { exactly, figure, most } from './figure.ts'
import type { Measured } from './figure.ts'
import type { Drained } from './meter.ts'
import { policySettings } from './scene.ts'
import type { PolicyFile, Scene } from './scene.ts'

const EVENTS = 20_000
const BATCH = 500
const OF_A_TRANSACTION = ['AddPartitionsToTxn', 'Produce', 'AddOffsetsToTxn', 'TxnOffsetCommit', 'EndTxn']

/** Exact counts over a whole drain, so one run says all. */
export async function countFigures(scene: Scene): Promise<readonly Measured[]> {
  const input = await scene.preloaded(EVENTS)
  const counted = await drainUnder(scene, input, 'policy.yaml')
  const uncounted = await drainUnder(scene, input, 'policy-without-executions.yaml')
  const requests = OF_A_TRANSACTION.reduce((sum, name) => sum + (counted.requests[name] ?? 0), 0)
  const repeats = counted.markerWaits
  return [
    figure('Redis round trips a batch', '', [counted.roundTrips / counted.transactions], most(2)),
    figure('  without execution limits', '', [uncounted.roundTrips / uncounted.transactions], exactly(1)),
    figure(
      'Kafka requests a transaction',
      '',
      [(requests - repeats) / counted.transactions],
      exactly(5),
      `${counted.transactions} transactions; AddPartitionsToTxn was repeated ${repeats} times, for markers under way`,
    ),
  ]
}

const drainUnder = (scene: Scene, input: string, policy: PolicyFile): Promise<Drained> =>
  drain({
    scene,
    input,
    task: { kind: 'pipeline', warm: 0, events: EVENTS, batch: BATCH },
    settings: policySettings(policy),
  })
