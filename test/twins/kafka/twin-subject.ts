import { KafkaTwin } from './kafka-twin.ts'
import type { KafkaTwinOptions } from './kafka-twin.ts'
import { connectTwin } from './twin-connection.ts'

const START = 1_700_000_000_000

/** A twin whose time passes only when told to. */
export function twinSubject(brokers: number, options: Partial<KafkaTwinOptions> = {}) {
  let now = START
  let count = 0
  const twin = new KafkaTwin({ brokers, topics: {}, now: () => now, random: () => 0.5, ...options })
  const advance = async (ms: number): Promise<void> => {
    const until = now + ms
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      const due = twin.nextDue()
      if (due === null || due > until) break
      now = Math.max(now, due)
      twin.advance()
    }
    now = until
  }
  const unique = (name: string): string => `${name}-${++count}`
  return {
    twin,
    advance,
    unique,
    connection: {
      brokers: twin.addresses,
      clientId: 'test',
      ssl: null,
      sasl: null,
      connect: connectTwin(twin, () => twin.advance()),
    },
    topic: async (partitions: number): Promise<string> => {
      const topic = unique('t')
      twin.createTopic(topic, partitions)
      return topic
    },
    deleteBefore: async (topic: string, partition: number, offset: number): Promise<void> =>
      twin.deleteBefore(topic, partition, offset),
    freeze: async (node: number): Promise<void> => twin.freeze(node),
    thaw: async (node: number): Promise<void> => twin.thaw(node),
    close: async (): Promise<void> => undefined,
  }
}
