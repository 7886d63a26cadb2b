import { setTimeout as sleep } from 'node:timers/promises'
import type { Attributes } from '@opentelemetry/api'
import type { Kind, RecordOf } from '../avro/record-types.ts'
import { SchemaUnavailable } from '../avro/records.ts'
import type { Records } from '../avro/records.ts'
import { Producer, PRODUCER_LIMITS } from '../kafka/producer.ts'
import type { Placed } from '../kafka/producer.ts'
import { connectionOf, openRecords } from './access.ts'
import type { Access } from './access.ts'
import { inSendSpan } from './trace.ts'

/** Where a record lies, once all in-sync replicas have it. */
export type Receipt = Placed

/** CloudEvents attributes, Kafka binding, binary mode. `time` in milliseconds since 1970. */
export type CloudEvent = { readonly id: string; readonly source: string; readonly type: string; readonly time: number }

export type Entry<K extends Kind> = {
  readonly key: string | null
  readonly value: RecordOf[K]
  readonly event: CloudEvent
  readonly attributes: Attributes
}

const REGISTRY_RETRY_MS = 250

/** Writes one kind of record to one topic: Avro in the Confluent wire format, CloudEvents and trace headers. */
export class RecordWriter<K extends Kind> {
  readonly topic: string
  readonly #kind: K
  readonly #records: Promise<Records>
  readonly #producer: Producer
  readonly #deadlineMs: number

  constructor(kind: K, topic: string, access: Access, deadlineMs = PRODUCER_LIMITS.deadlineMs) {
    this.#kind = kind
    this.topic = topic
    this.#records = openRecords(access.registry)
    this.#producer = new Producer(connectionOf(access.kafka), { deadlineMs })
    this.#deadlineMs = deadlineMs
  }

  /** Rejects with NotSent, InvalidRecord on a value that its schema does not take, or SchemaUnavailable. */
  send(entry: Entry<K>): Promise<Receipt> {
    const place = { topic: this.topic, partition: null }
    return inSendSpan(place, entry.attributes, async (trace) => {
      const value = await this.#encode(entry.value)
      const key = entry.key === null ? null : Buffer.from(entry.key)
      const headers = [...headersOf(entry.event), ...trace]
      const record = { topic: this.topic, partition: null, key, value, timestamp: Date.now(), headers }
      const [placed] = await this.#producer.send([record])
      if (placed === undefined) throw new Error('a record was sent and its place is not known')
      return placed
    })
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await this.#producer.close()
  }

  /** Waits for a registry that does not answer, until the deadline. */
  async #encode(value: RecordOf[K]): Promise<Buffer> {
    const records = await this.#records
    const until = Date.now() + this.#deadlineMs
    for (;;) {
      try {
        return await records.encode(this.#kind, this.topic, value)
      } catch (error) {
        if (!(error instanceof SchemaUnavailable && error.fault.retry) || Date.now() > until) throw error
      }
      await sleep(REGISTRY_RETRY_MS)
    }
  }
}

const headersOf = ({ id, source, type, time }: CloudEvent): readonly (readonly [string, string])[] => [
  ['content-type', 'application/vnd.confluent.avro'],
  ['ce_specversion', '1.0'],
  ['ce_id', id],
  ['ce_source', source],
  ['ce_type', type],
  ['ce_time', new Date(time).toISOString()],
]
