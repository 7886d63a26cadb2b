import { kafkaConnection, otlpConfig, serviceConfig } from '../../connections.ts'
import { openTracing } from '../../telemetry/open-tracing.ts'
import { sdkAccess } from '../access.ts'
import { untilInterrupted } from '../interrupt.ts'
import { sendDemoTraffic, writeDemoContexts } from './traffic.ts'
import { readToolConfig } from '../tool-config.ts'

export type DemoProducerOptions = {
  readonly events: number | null
  readonly perSecond: number
  readonly seed: number
}

/** Facts grow stale; the policy wants those about sellers no older than an hour. */
const CONTEXTS_EVERY_MS = 600_000

const reportStale = (error: unknown): void => console.error(`the demo's contexts were not refreshed: ${String(error)}`)

/**
 * `sluice demo-producer`: plays the models of the demo until the count is reached or it is interrupted. A parent process
 * that listens is told of each event sent.
 */
export async function demoProducer(file: string | undefined, options: DemoProducerOptions): Promise<number> {
  using interrupt = untilInterrupted()
  await using open = new AsyncDisposableStack()
  const config = readToolConfig(file)
  const tracing = openTracing({ ...serviceConfig(config), otlp: otlpConfig(config) })
  open.defer(() => tracing.close())
  const traffic = {
    access: sdkAccess(config),
    connection: kafkaConnection(config),
    topics: { input: config.TOPIC_INPUT, context: config.TOPIC_CONTEXT },
    run: `demo-${Date.now().toString(36)}`,
    signal: interrupt.signal,
    onSent: (position: string, { story }: { readonly story: string }) => void process.send?.({ sent: position, story }),
    ...options,
  }
  await writeDemoContexts(traffic)
  const refreshing = setInterval(() => void writeDemoContexts(traffic).catch(reportStale), CONTEXTS_EVERY_MS)
  open.defer(() => clearInterval(refreshing))
  const sent = await sendDemoTraffic(traffic)
  if (process.send === undefined) console.log(`sent ${sent} events`)
  process.send?.({ done: sent })
  return 0
}
