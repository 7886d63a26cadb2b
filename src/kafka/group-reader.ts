import { Cluster } from './cluster.ts'
import type { KafkaConnection } from './connection.ts'
import { refuse, remedyOf } from './errors.ts'
import { GroupMembership } from './group-membership.ts'
import type { GroupPlace, GroupTimes } from './group-membership.ts'
import { GroupShare } from './group-share.ts'
import type { Handling } from './group-share.ts'
import { offsetsOf } from './log-edges.ts'
import { LogReader } from './reader.ts'
import type { ReaderLimits } from './reader.ts'
import { Backoff, pause, unlessAborted } from './waiting.ts'
import { offsetFetch } from './wire/messages/offsets.ts'
import { offsetCommit } from './wire/messages/offset-commit.ts'
import type { NextOffsets } from './wire/messages/offset-commit.ts'
import type { FetchedRecord } from './wire/record-reader.ts'

export type GroupReaderOptions = {
  readonly group: string
  readonly topics: readonly string[]
  /**
   * Called for one record of a partition at a time, in order. A rejection is reported and the same record is handed over
   * again, later from time to time, while the partition's other records wait: nothing is skipped.
   */
  readonly handle: (record: FetchedRecord, handling: Handling) => Promise<void> | void
  /** Where a partition without a committed offset is read from; the beginning if not given. */
  readonly from?: 'beginning' | 'end'
  /** Reading ends in order when it aborts: what is being handled is finished and committed, and the group is left. */
  readonly signal: AbortSignal
  /** Told of what is tried again; `record` is the one whose handling failed, null for trouble with Kafka. */
  readonly onTrouble?: (error: unknown, record: FetchedRecord | null) => void
  /** How many partitions are handled at the same time; 8 if not given. */
  readonly concurrency?: number
  readonly times?: Partial<GroupReaderTimes>
  readonly limits?: Partial<ReaderLimits>
}

/** Milliseconds. `commitMs`: offsets are committed no more often than this. `retryMs`: the first and longest wait. */
export type GroupReaderTimes = GroupTimes & {
  readonly commitMs: number
  readonly retryMs: { readonly first: number; readonly last: number }
}

export const GROUP_READER_TIMES: GroupReaderTimes = {
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 60_000,
  heartbeatMs: 1000,
  requestTimeoutMs: 10_000,
  commitMs: 100,
  retryMs: { first: 100, last: 30_000 },
}

const CONCURRENCY = 8
const PARTITIONS_EVERY_MS = 60_000

/**
 * Reads topics as a member of a group, read_committed, at least once: a record's offset is committed after it was
 * handled, so after a crash or a rebalance the last ones are handed over again. Waits for as long as Kafka is away.
 * Resolves after the signal; rejects with KafkaRefusal where the group or a topic may not be used.
 */
export async function readGroup(connection: KafkaConnection, options: GroupReaderOptions): Promise<void> {
  const times = { ...GROUP_READER_TIMES, ...options.times }
  const cluster = new Cluster(connection, { connectTimeoutMs: 3000, requestTimeoutMs: times.requestTimeoutMs })
  const trouble = (error: unknown): void => options.onTrouble?.(error, null)
  const membership = new GroupMembership(cluster, options.group, options.topics, times, trouble)
  const reader = new GroupReader(cluster, membership, options, times)
  try {
    await reader.run()
  } finally {
    await membership.leave().catch(trouble)
    cluster.close()
  }
}

class GroupReader {
  readonly #cluster: Cluster
  readonly #membership: GroupMembership
  readonly #options: GroupReaderOptions
  readonly #times: GroupReaderTimes

  constructor(cluster: Cluster, membership: GroupMembership, options: GroupReaderOptions, times: GroupReaderTimes) {
    this.#cluster = cluster
    this.#membership = membership
    this.#options = options
    this.#times = times
  }

  async run(): Promise<void> {
    const { signal } = this.#options
    for (const backoff = new Backoff(50, 1000); !signal.aborted;) {
      try {
        const place = await this.#membership.join(signal)
        const positions = await this.#positions(place)
        backoff.reset()
        await this.#readShare(place, positions)
      } catch (error) {
        if (signal.aborted) return
        await this.#recover(error, backoff)
      }
    }
  }

  async #recover(why: unknown, backoff: Backoff): Promise<void> {
    if (remedyOf(why) === 'refused') throw why
    this.#membership.heed(why)
    if (remedyOf(why) !== 'rejoin') this.#trouble(why)
    await pause(backoff.next(), this.#options.signal).catch(() => undefined)
  }

  #trouble(error: unknown): void {
    this.#options.onTrouble?.(error, null)
  }

  async #positions({ seat, share, ended }: GroupPlace): Promise<NextOffsets> {
    const positions = new Map<string, ReadonlyMap<number, number>>()
    for (const [topic, partitions] of share) {
      const node = await this.#cluster.coordinator('group', seat.group)
      const answer = await unlessAborted(
        this.#cluster.send(node, 'group', offsetFetch(seat.group, topic, partitions)),
        ended,
      )
      refuse('OffsetFetch', answer.code)
      for (const { code } of answer.partitions) refuse('OffsetFetch', code)
      const committed = answer.partitions.filter(({ offset }) => offset >= 0)
      const known = new Map(committed.map(({ partition, offset }) => [partition, offset]))
      positions.set(topic, new Map([...(await this.#startsOf(topic, partitions, known)), ...known]))
    }
    return positions
  }

  async #startsOf(
    topic: string,
    partitions: readonly number[],
    known: ReadonlyMap<number, number>,
  ): Promise<ReadonlyMap<number, number>> {
    const fresh = partitions.filter((it) => !known.has(it))
    if (fresh.length === 0) return new Map()
    return await offsetsOf(this.#cluster, topic, fresh, this.#options.from === 'end' ? 'stable' : 'earliest')
  }

  /** Reads until the group moves on or the signal, then finishes and commits what is being handled. */
  async #readShare(place: GroupPlace, positions: NextOffsets): Promise<void> {
    const over = AbortSignal.any([place.ended, this.#options.signal])
    const share = this.#newShare(over)
    const reader = new LogReader(this.#cluster, share, this.#options.limits)
    for (const [topic, ofTopic] of positions) {
      for (const [partition, offset] of ofTopic) reader.add({ topic, partition, offset })
    }
    const stop = (): void => reader.stop()
    over.addEventListener('abort', stop, { once: true })
    if (over.aborted) stop()
    const looking = setInterval(() => void this.#lookForPartitions(), PARTITIONS_EVERY_MS)
    const committing = this.#commitAsHandled(place, share, over)
    try {
      await reader.run()
    } finally {
      clearInterval(looking)
      this.#membership.giveUp(place)
      await committing
      await share.idle(this.#times.rebalanceTimeoutMs / 2)
      await this.#commit(place, share)
    }
  }

  #newShare(over: AbortSignal): GroupShare {
    const { handle, onTrouble, concurrency } = this.#options
    return new GroupShare({
      handle,
      onTrouble: (error, record) => onTrouble?.(error, record),
      concurrency: concurrency ?? CONCURRENCY,
      retryMs: this.#times.retryMs,
      over,
    })
  }

  async #commitAsHandled(place: GroupPlace, share: GroupShare, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await share.progress(1000)
      await this.#commit(place, share)
      await pause(this.#times.commitMs, over).catch(() => undefined)
    }
  }

  /** One attempt; what could not be committed is committed with what comes next. */
  async #commit({ seat }: GroupPlace, share: GroupShare): Promise<void> {
    const offsets = share.unsaved()
    if (offsets.size === 0) return
    try {
      const node = await this.#cluster.coordinator('group', seat.group)
      for (const code of await this.#cluster.send(node, 'group', offsetCommit(seat, offsets)))
        refuse('OffsetCommit', code)
      share.saved(offsets)
    } catch (error) {
      this.#membership.heed(error)
      if (remedyOf(error) !== 'rejoin') this.#trouble(error)
    }
  }

  async #lookForPartitions(): Promise<void> {
    await this.#cluster.refresh().catch((error: unknown) => this.#trouble(error))
    this.#membership.heedPartitions()
  }
}
