import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/**
 * One request of Kafka's protocol apart from the network: what it is, its body's bytes, and how its answer is read.
 * `flexible` versions (KIP-482) carry tagged fields in both headers. `sizeHint` in bytes.
 */
export type Request<Response> = {
  readonly apiKey: number
  readonly apiVersion: number
  readonly apiName: string
  readonly flexible: boolean
  readonly sizeHint?: number
  readonly write: (writer: Writer) => void
  readonly read: (reader: Reader) => Response
}
