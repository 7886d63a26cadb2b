import type { Request } from '../request.ts'

export type TopicSetting = { readonly name: string; readonly value: string }

/** `replicas` −1 takes the broker's default. */
export type NewTopic = {
  readonly topic: string
  readonly partitions: number
  readonly replicas: number
  readonly settings: readonly TopicSetting[]
}

/** `message` is the broker's own explanation, where it gives one. */
export type CreatedTopic = { readonly topic: string; readonly code: number; readonly message: string | null }

/** CreateTopicsRequest.json, CreateTopicsResponse.json version 5. `timeoutMs` is how long the broker may take. */
export const createTopics = (topics: readonly NewTopic[], timeoutMs: number): Request<readonly CreatedTopic[]> => ({
  apiKey: 19,
  apiVersion: 5,
  apiName: 'CreateTopics',
  flexible: true,
  write: (w) => {
    w.compactArray(topics, (it) => {
      w.compactString(it.topic).int32(it.partitions).int16(it.replicas)
      w.compactArray([], () => undefined)
      w.compactArray(it.settings, ({ name, value }) => w.compactString(name).compactString(value).tags()).tags()
    })
    w.int32(timeoutMs).boolean(false).tags()
  },
  read: (r) => {
    r.int32()
    return r.compactArray(() => {
      const created = { topic: r.compactString(), code: r.int16(), message: r.compactNullableString() }
      r.int32()
      r.int16()
      r.compactArray(() => {
        r.compactString()
        r.compactNullableString()
        r.skip(3)
        r.tags()
      })
      r.tags()
      return created
    })
  },
})

const RESOURCE_TOPIC = 2

export type TopicSettings = { readonly code: number; readonly values: ReadonlyMap<string, string> }

/** DescribeConfigsRequest.json, DescribeConfigsResponse.json version 2, for one topic. Needs DescribeConfigs on it. */
export const describeTopic = (topic: string, names: readonly string[]): Request<TopicSettings> => ({
  apiKey: 32,
  apiVersion: 2,
  apiName: 'DescribeConfigs',
  flexible: false,
  write: (w) => {
    w.array([topic], (it) => {
      w.int8(RESOURCE_TOPIC).string(it)
      w.array(names, (name) => w.string(name))
    }).boolean(false)
  },
  read: (r) => {
    r.int32()
    const [found] = r.array(() => {
      const code = r.int16()
      r.nullableString()
      r.int8()
      r.string()
      const settings = r.array(() => {
        const setting = [r.string(), r.nullableString() ?? ''] as const
        r.skip(3)
        r.array(() => {
          r.string()
          r.nullableString()
          r.int8()
        })
        return setting
      })
      return { code, values: new Map(settings) }
    })
    return found ?? { code: -1, values: new Map() }
  },
})
