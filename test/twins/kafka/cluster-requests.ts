import type { CoordinatorKind, TopicMetadata } from '../../../src/kafka/wire/messages/cluster.ts'
import type { Reader } from '../../../src/kafka/wire/reader.ts'
import { Writer } from '../../../src/kafka/wire/writer.ts'

/** The broker's side of Metadata 9 and FindCoordinator 3. */

export type BrokerPlace = { readonly node: number; readonly host: string; readonly port: number }

export function readMetadata(r: Reader): readonly string[] {
  return r.compactArray(() => {
    const topic = r.compactString()
    r.tags()
    return topic
  })
}

export function writeMetadata(brokers: readonly BrokerPlace[], topics: readonly TopicMetadata[]): Buffer {
  const w = new Writer()
  w.int32(0)
  w.compactArray(brokers, ({ node, host, port }) => {
    w.int32(node).compactString(host).int32(port).compactNullableString(null).tags()
  })
  w.compactNullableString('twin').int32(brokers[0]?.node ?? -1)
  w.compactArray(topics, ({ code, topic, partitions }) => {
    w.int16(code).compactString(topic).boolean(false)
    w.compactArray(partitions, (it) => {
      w.int16(it.code).int32(it.partition).int32(it.leader).int32(0)
      for (let list = 0; list < 3; list++) w.compactArray([], () => undefined)
      w.tags()
    })
    w.int32(0).tags()
  })
  return w.int32(0).tags().written()
}

export function readFindCoordinator(r: Reader): { readonly kind: CoordinatorKind; readonly key: string } {
  const key = r.compactString()
  return { key, kind: r.int8() === 0 ? 'group' : 'transaction' }
}

export function writeCoordinator(code: number, { node, host, port }: BrokerPlace): Buffer {
  const w = new Writer()
  w.int32(0).int16(code).compactNullableString(null)
  return w.int32(node).compactString(host).int32(port).tags().written()
}
