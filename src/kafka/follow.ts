import { Cluster } from './cluster.ts'
import type { ClusterTimes } from './cluster.ts'
import type { KafkaConnection } from './connection.ts'
import { NoAnswer, remedyOf } from './errors.ts'
import { edgesOf } from './log-edges.ts'
import type { Edges } from './log-edges.ts'
import { LogReader } from './reader.ts'
import type { ReaderLimits, Slice } from './reader.ts'
import { Backoff, pause } from './waiting.ts'
import type { FetchedRecord } from './wire/record-reader.ts'

export type FollowOptions = {
  /** In order within a partition; the next is not given before the promise resolves. A rejection ends the following. */
  readonly onRecord?: (record: FetchedRecord) => Promise<void> | void
  /** The same, a run of one partition at a time. */
  readonly onSlice?: (slice: Slice) => Promise<void> | void
  /** Something that is tried again. */
  readonly onTrouble?: (error: unknown) => void
  /** The beginning if not given. A map gives the next offset by partition; one it lacks starts at the beginning. */
  readonly from?: 'beginning' | 'end' | ReadonlyMap<number, number>
  readonly signal: AbortSignal
  readonly limits?: Partial<ReaderLimits>
}

export type Following = {
  /** What was in the topic when following began has been given to `onRecord`. Rejects when following ends before. */
  readonly caughtUp: Promise<void>
  /** Resolves after the signal; rejects where the topic may not be read or `onRecord` failed. */
  readonly ended: Promise<void>
  /**
   * Resolves once all that is in the topic at the time of the call, in partitions added since too, has been given to
   * `onRecord`. Never resolves after following has ended.
   */
  readonly upToNow: () => Promise<void>
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
  return { caughtUp, ended, upToNow: () => follower.upToNow() }
}

/** Somebody waits until each partition was given up to its end. */
type Goal = { readonly edges: readonly Edges[]; readonly resolve: () => void }

class Follower {
  readonly #cluster: Cluster
  readonly #topic: string
  readonly #options: FollowOptions
  readonly #reader: LogReader
  /** Per partition the offset behind what was given last. */
  readonly #next = new Map<number, number>()
  readonly #started = Promise.withResolvers<void>()
  readonly #caughtUp = Promise.withResolvers<void>()
  #goals: readonly Goal[] = []

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
    for (const edge of edges) this.#add(edge.partition, startOf(from, edge))
    this.#started.resolve()
    void this.#untilRead(edges).then(() => this.#caughtUp.resolve())
    const looking = setInterval(() => void this.#lookForMore(), PARTITIONS_EVERY_MS)
    try {
      if (!signal.aborted) await this.#reader.run()
    } finally {
      clearInterval(looking)
    }
  }

  async #accept(slice: Slice): Promise<void> {
    const { onRecord, onSlice, signal } = this.#options
    if (signal.aborted) return
    await onSlice?.(slice)
    for (const record of onRecord === undefined ? [] : slice.records) {
      if (signal.aborted) return
      const done = onRecord?.(record)
      if (done !== undefined) await done
    }
    this.#next.set(slice.partition, slice.next)
    this.#checkGoals()
  }

  async upToNow(): Promise<void> {
    await this.#started.promise
    const edges = await this.#untilAnswered(() => edgesOf(this.#cluster, this.#topic))
    for (const { partition, earliest } of edges) this.#add(partition, earliest)
    await this.#untilRead(edges)
  }

  /** Resolves once every partition has been given up to its end. */
  async #untilRead(edges: readonly Edges[]): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#goals = [...this.#goals, { edges, resolve }]
    this.#checkGoals()
    await promise
  }

  #checkGoals(): void {
    const isReached = ({ edges }: Goal): boolean =>
      edges.every(({ partition, earliest, end }) => earliest >= end || (this.#next.get(partition) ?? 0) >= end)
    for (const goal of this.#goals) if (isReached(goal)) goal.resolve()
    this.#goals = this.#goals.filter((goal) => !isReached(goal))
  }

  #add(partition: number, offset: number): void {
    if (this.#next.has(partition)) return
    this.#next.set(partition, offset)
    this.#reader.add({ topic: this.#topic, partition, offset })
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
      for (const partition of this.#cluster.partitions(this.#topic)) this.#add(partition, 0)
    } catch (error) {
      this.#trouble(error)
    }
  }
}

function startOf(from: FollowOptions['from'], { partition, earliest, end }: Edges): number {
  if (from === 'end') return end
  if (from === undefined || from === 'beginning') return earliest
  return Math.max(earliest, from.get(partition) ?? earliest)
}
