import { setTimeout as delay } from 'node:timers/promises'
import { otlpConfig, serviceConfig } from '../../connections.ts'
import { runExecutor } from '../../sdk/index.ts'
import { openTracing } from '../../telemetry/open-tracing.ts'
import { sdkAccess } from '../access.ts'
import { untilInterrupted } from '../interrupt.ts'
import { readToolConfig } from '../tool-config.ts'

/** How long the pretended action takes, milliseconds. */
const ACTION_MS = 3

/**
 * `sluice demo-executor`: pretends to flag, remove and refund whatever may be executed, and reports what it did as
 * outcomes. A parent process that listens is told of each.
 */
export async function demoExecutor(file: string | undefined): Promise<number> {
  using interrupt = untilInterrupted()
  await using open = new AsyncDisposableStack()
  const config = readToolConfig(file)
  const tracing = openTracing({ ...serviceConfig(config), otlp: otlpConfig(config) })
  open.defer(() => tracing.close())
  await runExecutor(
    {
      ...sdkAccess(config),
      group: 'demo-executor',
      topics: { execute: config.TOPIC_EXECUTE },
      outcomes: { topic: config.TOPIC_OUTCOMES, source: '/demo/executor' },
      signal: interrupt.signal,
      onTrouble: (error) => console.error(error instanceof Error ? error.message : String(error)),
      onLate: (verdict) => void process.send?.({ late: verdict.decisionId }),
      onUnreadable: (why) => console.error(why.message),
    },
    async (verdict, { actionKey }) => {
      await delay(ACTION_MS)
      process.send?.({ executed: verdict.decisionId, actionKey })
      if (process.send === undefined)
        console.log(`executed ${verdict.event.action} ${verdict.event.subject.id} (${actionKey})`)
    },
  )
  return 0
}
