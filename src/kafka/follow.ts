import { Cluster } from './cluster.ts'
import type { ClusterTimes } from './cluster.ts'
import type { KafkaConnection } from './connection.ts'
import { NoAnswer, refuse, remedyOf } from './errors.ts'
import { LogReader } from './reader.ts'
import type { ReaderLimits, Slice } from './reader.ts'
import { Backoff, pause } from './waiting.ts'
import { listOffsets } from './wire/messages/offsets.ts'
import type { LogPlace } from './wire/messages/offsets.ts'
import type { FetchedRecord } from './wire/record-reader.ts'

export type FollowOptions = {
  /** In order within a partition; the next is not given before the promise resolves. A rejection ends the following. */
  readonly onRecord: (record: FetchedRecord) => Promise<void> | void
  /** Something that is tried again. */
  readonly onTrouble?: (error: unknown) => void
  /** The beginning if not given. */
  readonly from?: 'beginning' | 'end'
  readonly signal: AbortSignal
  readonly limits?: Partial<ReaderLimits>
}

export type Following = {
  /** What was in the topic when following began has been given to `onRecord`. Rejects when following ends before. */
  readonly caughtUp: Promise<void>
  /** Resolves after the signal; rejects where the topic may not be read or `onRecord` failed. */
  readonly ended: Promise<void>
}

const TIMES: ClusterTimes = { connectTimeoutMs: 3000, requestTimeoutMs: 10_000 }
/** How often partitions that were added are looked for. */
const PARTITIONS_EVERY_MS = 60_000

/**
 * Reads all partitions of a topic without a group, read_committed, from the beginning, and goes on with what comes,
 * through lost brokers. Needs Describe and Read on the topic. Waits for as long as Kafka is away.
 */
export function followTopic(connection: KafkaConnection, topic: string, options: FollowOptions): Following {
  const follower = new Follower(connection, topic, options)
  const ended = follower.run()
  const caughtUp = follower.caughtUp
  ended.catch(() => undefined)
  caughtUp.catch(() => undefined)
  return { caughtUp, ended }
}

class Follower {
  readonly #cluster: Cluster
  readonly #topic: string
  readonly #options: FollowOptions
  readonly #reader: LogReader
  readonly #known = new Set<number>()
  /** Per partition the end seen at the start, where it was not reached yet. */
  readonly #ahead = new Map<number, number>()
  readonly #caughtUp = Promise.withResolvers<void>()

  constructor(connection: KafkaConnection, topic: string, options: FollowOptions) {
    this.#cluster = new Cluster(connection, TIMES)
    this.#topic = topic
    this.#options = options
    const sink = { accept: (slice: Slice) => this.#accept(slice), trouble: (error: unknown) => this.#trouble(error) }
    this.#reader = new LogReader(this.#cluster, sink, options.limits)
  }

  get caughtUp(): Promise<void> {
    return this.#caughtUp.promise
  }

  async run(): Promise<void> {
    const { signal } = this.#options
    const stop = (): void => this.#reader.stop()
    signal.addEventListener('abort', stop, { once: true })
    try {
      await this.#read()
      this.#caughtUp.reject(new NoAnswer('lost', `following ${this.#topic} ended before it had caught up`))
    } catch (error) {
      this.#caughtUp.reject(error)
      if (!signal.aborted) throw error
    } finally {
      signal.removeEventListener('abort', stop)
      this.#cluster.close()
    }
  }

  async #read(): Promise<void> {
    const { signal, from } = this.#options
    const edges = await this.#untilAnswered(() => edgesOf(this.#cluster, this.#topic))
    for (const { partition, earliest, end } of edges) {
      const offset = from === 'end' ? end : earliest
      if (offset < end) this.#ahead.set(partition, end)
      this.#known.add(partition)
      this.#reader.add({ topic: this.#topic, partition, offset })
    }
    this.#checkCaughtUp()
    const looking = setInterval(() => void this.#lookForMore(), PARTITIONS_EVERY_MS)
    try {
      if (!signal.aborted) await this.#reader.run()
    } finally {
      clearInterval(looking)
    }
  }

  async #accept(slice: Slice): Promise<void> {
    for (const record of slice.records) {
      if (this.#options.signal.aborted) return
      const done = this.#options.onRecord(record)
      if (done !== undefined) await done
    }
    const end = this.#ahead.get(slice.partition)
    if (end !== undefined && slice.next >= end) this.#ahead.delete(slice.partition)
    this.#checkCaughtUp()
  }

  #checkCaughtUp(): void {
    if (this.#ahead.size === 0) this.#caughtUp.resolve()
  }

  #trouble(error: unknown): void {
    this.#options.onTrouble?.(error)
  }

  async #untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
    for (const backoff = new Backoff(50, 1000); ;) {
      this.#options.signal.throwIfAborted()
      try {
        return await ask()
      } catch (error) {
        if (remedyOf(error) === 'refused') throw error
        this.#trouble(error)
      }
      await pause(backoff.next(), this.#options.signal)
    }
  }

  /** What was written to new partitions before they were noticed is read as well. */
  async #lookForMore(): Promise<void> {
    try {
      await this.#cluster.refresh()
      for (const partition of this.#cluster.partitions(this.#topic)) {
        if (this.#known.has(partition)) continue
        this.#known.add(partition)
        this.#reader.add({ topic: this.#topic, partition, offset: 0 })
      }
    } catch (error) {
      this.#trouble(error)
    }
  }
}

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
