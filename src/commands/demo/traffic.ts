import { setTimeout as delay } from 'node:timers/promises'
import { Producer } from '../../kafka/producer.ts'
import type { KafkaConnection } from '../../kafka/connection.ts'
import { produceModelOutputs } from '../../sdk/index.ts'
import type { Access } from '../../sdk/index.ts'
import { RecordWriter } from '../../sdk/record-writer.ts'
import { demoContexts, demoItems } from './scenario.ts'
import type { DemoItem } from './scenario.ts'

export type TrafficOptions = {
  readonly access: Access
  readonly connection: KafkaConnection
  readonly topics: { readonly input: string; readonly context: string }
  readonly seed: number
  /** Makes event ids unique to this run. */
  readonly run: string
  /** Stop by itself after so many; null: never. */
  readonly events: number | null
  readonly perSecond: number
  readonly signal: AbortSignal
  /** Told where each lies once it is acknowledged. */
  readonly onSent: (position: string, item: DemoItem) => void
}

/** Writes the facts about sellers and customers, so that decisions find them. Resolves to how many. */
export async function writeDemoContexts({ access, topics }: TrafficOptions): Promise<number> {
  await using open = new AsyncDisposableStack()
  const writer = new RecordWriter('Context', topics.context, access)
  open.defer(() => writer.close())
  const now = Date.now()
  const contexts = demoContexts()
  await Promise.all(
    contexts.map(({ entity, key, attributes }) =>
      writer.send({
        key: `${entity}:${key}`,
        value: { entity, key, version: now, time: now, source: '/demo', attributes },
        event: { id: `${entity}:${key}:${now}`, source: '/demo', type: 'sluice.context', time: now },
        attributes: {},
      }),
    ),
  )
  return contexts.length
}

type Send = (item: DemoItem) => Promise<string>

/** Sends at the given pace until the count is reached or `signal` aborts; everything sent is acknowledged by then. */
export async function sendDemoTraffic(options: TrafficOptions): Promise<number> {
  await using open = new AsyncDisposableStack()
  const send = openSender(options, open)
  const started = performance.now()
  let sent = 0
  for (const item of demoItems(options.seed, options.run, Date.now)) {
    if (options.signal.aborted || sent === options.events) break
    options.onSent(await send(item), item)
    sent += 1
    const ahead = (sent / options.perSecond) * 1000 - (performance.now() - started)
    if (ahead > 1) await delay(ahead, undefined, { signal: options.signal }).catch(() => undefined)
  }
  return sent
}

/** Events go through the SDK; garbage is what the SDK would not send, so it goes to Kafka as it is. */
function openSender({ access, connection, topics }: TrafficOptions, open: AsyncDisposableStack): Send {
  let key: string | null = null
  const typed = produceModelOutputs({ ...access, topic: topics.input, key: () => key })
  open.defer(() => typed.close())
  const raw = new Producer(connection)
  open.defer(() => raw.close())
  return async (item) => {
    key = item.key
    const [placed] =
      item.kind === 'event'
        ? await typed.send(item.event)
        : await raw.send([garbageRecord(item.key, item.bytes, topics.input)])
    if (placed === undefined) throw new Error('a record was acknowledged without a place')
    return `${placed.topic}:${placed.partition}:${placed.offset}`
  }
}

const garbageRecord = (key: string, bytes: Buffer, topic: string) => ({
  topic,
  partition: null,
  key: Buffer.from(key),
  value: bytes,
  timestamp: Date.now(),
  headers: [],
})
