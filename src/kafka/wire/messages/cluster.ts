import type { Request } from '../request.ts'

export type Metadata = {
  readonly brokers: readonly { readonly node: number; readonly address: string }[]
  readonly topics: readonly TopicMetadata[]
}

export type TopicMetadata = {
  readonly code: number
  readonly topic: string
  readonly partitions: readonly PartitionMetadata[]
}

/** `leader` is −1 where there is none. */
export type PartitionMetadata = { readonly code: number; readonly partition: number; readonly leader: number }

/** MetadataRequest.json, MetadataResponse.json version 9. No topic: brokers only. Never creates a topic. */
export const metadata = (topics: readonly string[]): Request<Metadata> => ({
  apiKey: 3,
  apiVersion: 9,
  apiName: 'Metadata',
  flexible: true,
  write: (w) => {
    w.compactArray(topics, (topic) => w.compactString(topic).tags())
    w.boolean(false).boolean(false).boolean(false).tags()
  },
  read: (r) => {
    r.int32()
    const brokers = r.compactArray(() => {
      const node = r.int32()
      const host = r.compactString()
      const address = `${host.includes(':') ? `[${host}]` : host}:${r.int32()}`
      r.compactNullableString()
      r.tags()
      return { node, address }
    })
    r.compactNullableString()
    r.int32()
    const topics = r.compactArray(() => {
      const code = r.int16()
      const topic = r.compactString()
      r.boolean()
      const partitions = r.compactArray(() => {
        const code = r.int16()
        const partition = r.int32()
        const leader = r.int32()
        r.int32()
        for (let list = 0; list < 3; list++) r.compactArray(() => r.int32())
        r.tags()
        return { code, partition, leader }
      })
      r.int32()
      r.tags()
      return { code, topic, partitions }
    })
    return { brokers, topics }
  },
})

export type CoordinatorKind = 'group' | 'transaction'
export type Coordinator = { readonly code: number; readonly node: number; readonly address: string }

/** FindCoordinatorRequest.json, FindCoordinatorResponse.json version 3. */
export const findCoordinator = (kind: CoordinatorKind, key: string): Request<Coordinator> => ({
  apiKey: 10,
  apiVersion: 3,
  apiName: 'FindCoordinator',
  flexible: true,
  write: (w) => {
    w.compactString(key)
      .int8(kind === 'group' ? 0 : 1)
      .tags()
  },
  read: (r) => {
    r.int32()
    const code = r.int16()
    r.compactNullableString()
    const node = r.int32()
    const host = r.compactString()
    return { code, node, address: `${host}:${r.int32()}` }
  },
})
