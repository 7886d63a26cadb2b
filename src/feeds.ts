import type { Control } from './avro/record-types.ts'
import type { Records } from './avro/records.ts'
import { contextHashOf } from './decision/keys.ts'
import { controlProblem } from './decision/control.ts'
import { followTopic } from './kafka/follow.ts'
import type { Following } from './kafka/follow.ts'
import type { KafkaConnection } from './kafka/connection.ts'
import type { Slice } from './kafka/reader.ts'
import type { ContextFeed, ContextUpdate } from './processor/context-updater.ts'
import type { StandingOrders } from './processor/standing-orders.ts'

/** Told in a sentence of a record that cannot be used, and where it lies; what it replaces stays in force. */
export type OnUnusable = (position: string, problem: string) => void

type Raw = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

const positionOf = ({ topic, partition, offset }: Raw): string => `${topic}:${partition}:${offset}`

/** Keeps the standing orders as the control topic has them; `caughtUp` resolves once what was there is in force. */
export function followControl(
  connection: KafkaConnection,
  topic: string,
  records: Records,
  orders: StandingOrders,
  onUnusable: OnUnusable,
  signal: AbortSignal,
): Following {
  const onRecord = async (record: Raw): Promise<void> => {
    const id = record.key?.toString('utf8') ?? ''
    if (record.value === null) return orders.apply(id, null)
    const read = await untilReadable(() => records.decode('Control', topic, record.value), signal)
    const problem = read.kind === 'fault' ? read.fault.detail : orderProblem(read.value, id)
    if (read.kind === 'fault' || problem !== null) return onUnusable(positionOf(record), problem ?? '')
    orders.apply(id, read.value)
  }
  return followTopic(connection, topic, { onRecord, signal })
}

const orderProblem = (order: Control, key: string): string | null =>
  order.id === key ? controlProblem(order) : `the record’s key \`${key}\` is not the order’s id \`${order.id}\``

/** The context topic as runs of updates; a record that cannot be read changes nothing and is told of. */
export function followContext(
  connection: KafkaConnection,
  topic: string,
  records: Records,
  onUnusable: OnUnusable,
): ContextFeed {
  return async (from, accept, signal) => {
    const onSlice = async (slice: Slice): Promise<void> => {
      const updates: ContextUpdate[] = []
      for (const record of slice.records) {
        const update = await contextUpdate(record, topic, records, onUnusable, signal)
        if (update !== null) updates.push(update)
      }
      await accept({ partition: slice.partition, from: slice.from, next: slice.next, updates })
    }
    await followTopic(connection, topic, { onSlice, from, signal }).ended
  }
}

async function contextUpdate(
  record: Raw,
  topic: string,
  records: Records,
  onUnusable: OnUnusable,
  signal: AbortSignal,
): Promise<ContextUpdate | null> {
  const key = record.key?.toString('utf8') ?? ''
  const colon = key.indexOf(':')
  const unusable = (problem: string): null => {
    onUnusable(positionOf(record), problem)
    return null
  }
  if (colon < 1) return unusable('the record’s key is not entity:key')
  const hash = contextHashOf(key.slice(0, colon), key.slice(colon + 1))
  if (record.value === null) return { offset: record.offset, hash, value: null }
  const read = await untilReadable(() => records.decode('Context', topic, record.value), signal)
  if (read.kind === 'fault') return unusable(read.fault.detail)
  const { entity, key: name, version, time, source, attributes } = read.value
  if (`${entity}:${name}` !== key) return unusable(`the record’s key is not its entity and key`)
  return { offset: record.offset, hash, value: { version, time, source, attributes } }
}

const RETRY_MS = 1000

/** A record whose schema cannot be had for now is waited for: skipping it could lose an order or a fact for good. */
export async function untilReadable<T extends { readonly kind: string }>(
  read: () => T | Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    const result = await read()
    if (!mayPass(result) || signal.aborted) return result
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
  }
}

const mayPass = (result: { readonly kind: string; readonly fault?: { readonly retry: boolean } }): boolean =>
  result.kind === 'fault' && result.fault?.retry === true
