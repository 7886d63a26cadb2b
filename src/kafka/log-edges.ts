import type { Cluster } from './cluster.ts'
import { NoAnswer, refuse } from './errors.ts'
import { listOffsets } from './wire/messages/offsets.ts'
import type { LogPlace } from './wire/messages/offsets.ts'

/** The first offset there is, and the one before which everything is decided (the last stable offset). */
export type Edges = { readonly partition: number; readonly earliest: number; readonly end: number }

/** One attempt over all partitions. Rejects with NoAnswer or KafkaRefusal. */
export async function edgesOf(cluster: Cluster, topic: string): Promise<readonly Edges[]> {
  await cluster.refresh([topic])
  const partitions = cluster.partitions(topic)
  const earliest = await offsetsOf(cluster, topic, partitions, 'earliest')
  const ends = await offsetsOf(cluster, topic, partitions, 'stable')
  return partitions.map((partition) => ({
    partition,
    earliest: earliest.get(partition) ?? 0,
    end: ends.get(partition) ?? 0,
  }))
}

/** One attempt, each partition asked of its leader. Rejects with NoAnswer or KafkaRefusal. */
export async function offsetsOf(
  cluster: Cluster,
  topic: string,
  partitions: readonly number[],
  place: LogPlace,
): Promise<ReadonlyMap<number, number>> {
  const found = new Map<number, number>()
  for (const [leader, led] of Map.groupBy(partitions, (it) => cluster.leader(topic, it))) {
    if (leader === null) throw new NoAnswer('connect', `a partition of ${topic} has no leader`)
    for (const edge of await cluster.send(leader, 'query', listOffsets(topic, led, place))) {
      refuse(`ListOffsets of ${topic}-${edge.partition}`, edge.code)
      found.set(edge.partition, edge.offset)
    }
  }
  return found
}
