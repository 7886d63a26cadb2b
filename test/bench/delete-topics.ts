import { Cluster } from '../../src/kafka/cluster.ts'
import type { KafkaConnection } from '../../src/kafka/connection.ts'
import { refuse } from '../../src/kafka/errors.ts'
import type { Request } from '../../src/kafka/wire/request.ts'

const TIMES = { connectTimeoutMs: 3000, requestTimeoutMs: 30_000 }

/** Any broker passes it on to the controller, with KRaft. */
export async function deleteTopics(connection: KafkaConnection, topics: readonly string[]): Promise<void> {
  const cluster = new Cluster(connection, TIMES)
  for (const code of await cluster.sendAny(deletion(topics))) refuse('DeleteTopics', code)
  cluster.close()
}

/** DeleteTopicsRequest.json, DeleteTopicsResponse.json version 3; answers each topic's code. */
const deletion = (topics: readonly string[]): Request<readonly number[]> => ({
  apiKey: 20,
  apiVersion: 3,
  apiName: 'DeleteTopics',
  flexible: false,
  write: (w) => w.array(topics, (topic) => w.string(topic)).int32(TIMES.requestTimeoutMs),
  read: (r) => {
    r.int32()
    return r.array(() => {
      r.string()
      return r.int16()
    })
  },
})
