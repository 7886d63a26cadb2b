import { percent } from '../decision/words.ts'
import { ALARM_AT } from '../calibration/risk-watch.ts'
import { sdkAccess } from '../commands/access.ts'
import type { Config } from '../config.ts'
import { withdrawalOf } from '../decision/control.ts'
import { messageOf } from '../kafka/errors.ts'
import { RecordWriter } from '../sdk/record-writer.ts'
import type { Logger } from '../telemetry/logs.ts'
import { timer } from '../timer.ts'
import type { Withdrawal } from './checkpoint.ts'

export type Withdrawals = {
  /** Resolves once the order is in the control topic, however long that takes, or `over` has aborted. */
  readonly withdraw: (withdrawal: Withdrawal, over: AbortSignal) => Promise<void>
  readonly close: () => Promise<void>
}

const AUTHOR = 'sluice monitor'
const RETRY_MS = 500

/** Orders that certificates be relied on no longer. `onWithdrawn` is told of each. */
export function openWithdrawals(
  config: Config,
  logger: Logger,
  onWithdrawn: (certificate: string) => void,
): Withdrawals {
  const writer = new RecordWriter('Control', config.TOPIC_CONTROL, sdkAccess(config))
  return {
    withdraw: async (withdrawal, over) => {
      const { certificate, at } = withdrawal
      const reason = reasonOf(withdrawal)
      const order = withdrawalOf(certificate, { author: AUTHOR, reason, createdAt: at })
      const event = { id: `${order.id}:${at}`, source: '/sluice/monitor', type: 'sluice.control', time: at }
      while (!over.aborted) {
        try {
          await writer.send({ key: order.id, value: order, event, attributes: {} })
          logger.error({ certificate, reason }, 'certificate withdrawn: what it let through goes to review')
          return onWithdrawn(certificate)
        } catch (error) {
          logger.error(
            { certificate },
            `a certificate is to be withdrawn and the order is not taken: ${messageOf(error)}`,
          )
        }
        await timer.sleep(RETRY_MS, over)
      }
    },
    close: () => writer.close(),
  }
}

/** Why, in a sentence with its figures. */
export function reasonOf({ risk, counted, errors, missing, evidence }: Withdrawal): string {
  const share = counted === 0 ? 0 : errors / counted
  const unlabelled = missing === 0 ? '' : `, ${missing} without a label`
  return (
    `more executed events are wrong than the promised ${percent(risk)}: evidence ${Math.round(evidence)} has reached ` +
    `${ALARM_AT}; since it is watched ${errors} of ${counted} audited executions were wrong (${percent(share)})${unlabelled}`
  )
}
