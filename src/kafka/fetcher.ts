import type { PartitionBatch } from '../processor/ports.ts'
import type { Cluster } from './cluster.ts'
import { KafkaRefusal, messageOf } from './errors.ts'
import { PartitionQueue } from './partition-queue.ts'
import { Backoff } from './waiting.ts'
import { fetchRecords } from './wire/messages/fetch.ts'
import type { FetchedPartition } from './wire/messages/fetch.ts'

/** How many records of a partition are waiting to be decided. */
export type PartitionLag = { readonly partition: number; readonly records: number }

export type FetchSettings = {
  readonly input: string
  readonly requestTimeoutMs: number
  /** How long a broker holds a fetch that has nothing to give. */
  readonly fetchMaxWaitMs: number
  /** Of one fetch from one broker. */
  readonly fetchMaxBytes: number
  readonly partitionFetchBytes: number
  /** A partition that holds as much is not fetched. */
  readonly partitionBufferBytes: number
  /** When all partitions together hold as much, none is fetched. */
  readonly bufferBytes: number
}

export type FetchEvents = {
  /** The log does not have the offset. The assignment is to be ended. */
  readonly outOfRange: (partition: number, offset: number) => void
  /** A partition, or all (null), were deleted. The assignment is to be ended: another log may come under the same name. */
  readonly gone: (partition: number | null) => void
  /** A partition, or all (null), cannot be fetched for now. Others go on. */
  readonly stalled: (partition: number | null, reason: string) => void
}

/** While a partition waits for room the others' fetches are short, so that it is not kept waiting behind them. */
const SHORT_WAIT_MS = 20

/**
 * The fetch loops of one assignment, one per leader, each with one request under way. What arrives after the assignment
 * has ended is thrown away.
 */
export class Fetcher {
  readonly #cluster: Cluster
  readonly #settings: FetchSettings
  readonly #events: FetchEvents
  readonly #ended: AbortSignal
  readonly #queues: readonly PartitionQueue[]
  readonly #looping = new Set<number>()
  /** Until when a partition rests after an error. */
  readonly #resting = new Map<number, number>()
  /** Those with records that cannot be read. */
  readonly #broken = new Set<PartitionQueue>()
  readonly #highWatermarks = new Map<number, number>()
  #waking: (() => void)[] = []
  #turn = 0

  constructor(
    cluster: Cluster,
    settings: FetchSettings,
    starts: ReadonlyMap<number, number>,
    ended: AbortSignal,
    events: FetchEvents,
  ) {
    this.#cluster = cluster
    this.#settings = settings
    this.#events = events
    this.#ended = ended
    this.#queues = [...starts].map(([partition, start]) => new PartitionQueue(settings.input, partition, start))
    ended.addEventListener('abort', () => this.#stop(), { once: true })
    this.#loopOverLeaders()
  }

  /** Per partition the records in the log that were not handed out, as of its last fetch. */
  get lag(): readonly PartitionLag[] {
    return this.#queues.map(({ partition, handedTo }) => {
      const end = this.#highWatermarks.get(partition) ?? handedTo
      return { partition, records: Math.max(0, end - handedTo) }
    })
  }

  /** Bytes held in all partitions. */
  get held(): number {
    return this.#queues.reduce((sum, queue) => sum + queue.size, 0)
  }

  async poll(maxRecords: number, waitMs: number): Promise<readonly PartitionBatch[]> {
    const until = performance.now() + waitMs
    for (;;) {
      if (this.#ended.aborted) return []
      const runs = this.#take(maxRecords)
      if (runs.length > 0) return runs
      const now = performance.now()
      if (now >= until) return []
      await this.#woken(Math.min(until, this.#nextResume()) - now)
    }
  }

  putBack(run: PartitionBatch, delayMs: number): void {
    const queue = this.#queues.find(({ partition }) => partition === run.partition)
    queue?.putBack(run, performance.now() + delayMs)
    this.#wake()
  }

  /** Fair shares: those with the least first, so that what they leave goes to those with more. */
  #take(maxRecords: number): readonly PartitionBatch[] {
    const now = performance.now()
    const ready = this.#queues
      .map((queue) => ({ queue, available: queue.available(now) }))
      .filter(({ queue, available }) => available > 0 && !this.#broken.has(queue))
      .sort((a, b) => a.available - b.available)
    const runs: PartitionBatch[] = []
    let left = maxRecords
    for (const [index, { queue }] of ready.entries()) {
      const run = this.#takeFrom(queue, Math.ceil(left / (ready.length - index)), now)
      if (run === null) continue
      runs.push(run)
      left -= run.records.length
    }
    if (runs.length > 0) this.#wake()
    return runs
  }

  /** What cannot be read stays unread: the partition stops there, and its committed offset too. */
  #takeFrom(queue: PartitionQueue, max: number, now: number): PartitionBatch | null {
    try {
      return queue.take(max, now)
    } catch (error) {
      this.#broken.add(queue)
      this.#events.stalled(queue.partition, messageOf(error))
      return null
    }
  }

  #nextResume(): number {
    return this.#queues.reduce((soonest, { resumesAt }) => Math.min(soonest, resumesAt ?? Infinity), Infinity)
  }

  /** Every leader has a loop while it leads something; what has no leader is looked for again after a while. */
  #loopOverLeaders(): void {
    for (const { partition } of this.#queues) {
      const node = this.#cluster.leader(this.#settings.input, partition)
      if (node !== null && !this.#looping.has(node)) void this.#loop(node)
    }
    const leaderless = this.#queues.some(({ partition }) => this.#leaderOf(partition) === null)
    if (leaderless && !this.#looping.has(NOBODY)) void this.#findLeaders()
  }

  #leaderOf(partition: number): number | null {
    return this.#cluster.leader(this.#settings.input, partition)
  }

  async #findLeaders(): Promise<void> {
    this.#looping.add(NOBODY)
    const backoff = new Backoff(50, 1_000)
    for (;;) {
      const missing = this.#queues.filter(({ partition }) => this.#leaderOf(partition) === null)
      if (missing.length === 0 || this.#ended.aborted) break
      if (this.#cluster.lacks(this.#settings.input)) return this.#events.gone(null)
      for (const { partition } of missing) this.#events.stalled(partition, 'it has no leader')
      await this.#rest(backoff.next())
      await this.#cluster.refresh().catch(() => undefined)
    }
    this.#looping.delete(NOBODY)
    if (!this.#ended.aborted) this.#loopOverLeaders()
  }

  async #loop(node: number): Promise<void> {
    this.#looping.add(node)
    const backoff = new Backoff(50, 1_000)
    while (!this.#ended.aborted) {
      const led = this.#queues.filter(({ partition }) => this.#leaderOf(partition) === node)
      if (led.length === 0) break
      const wanted = this.#wanted(led)
      try {
        if (wanted.length === 0) await this.#woken(this.#untilRested(led))
        else if (await this.#fetch(node, wanted, wanted.length < led.length)) backoff.reset()
        else await this.#lookForLeaders(backoff.next())
      } catch (error) {
        if (this.#ended.aborted) break
        this.#events.stalled(null, messageOf(error))
        await this.#lookForLeaders(backoff.next())
      }
    }
    this.#looping.delete(node)
    if (!this.#ended.aborted) this.#loopOverLeaders()
  }

  async #lookForLeaders(restMs: number): Promise<void> {
    await this.#rest(restMs)
    await this.#cluster.refresh().catch(() => undefined)
    this.#loopOverLeaders()
  }

  #wanted(led: readonly PartitionQueue[]): readonly PartitionQueue[] {
    if (this.held >= this.#settings.bufferBytes) return []
    const now = performance.now()
    const open = led.filter((queue) => {
      const rested = now >= (this.#resting.get(queue.partition) ?? -Infinity)
      return rested && queue.size < this.#settings.partitionBufferBytes && !this.#broken.has(queue)
    })
    // The broker fills an answer in the order asked, so everybody is first in turn.
    const turn = open.length === 0 ? 0 : this.#turn++ % open.length
    return [...open.slice(turn), ...open.slice(0, turn)]
  }

  /** False when a partition is not where it was thought to be. */
  async #fetch(node: number, wanted: readonly PartitionQueue[], othersWait: boolean): Promise<boolean> {
    const { input, fetchMaxWaitMs, fetchMaxBytes, partitionFetchBytes, requestTimeoutMs } = this.#settings
    const positions = wanted.map(({ partition, fetchAt }) => ({ topic: input, partition, offset: fetchAt }))
    const maxWaitMs = othersWait ? Math.min(SHORT_WAIT_MS, fetchMaxWaitMs) : fetchMaxWaitMs
    const request = fetchRecords(positions, {
      maxWaitMs,
      maxBytes: fetchMaxBytes,
      partitionMaxBytes: partitionFetchBytes,
    })
    const { code, partitions } = await this.#cluster.send(node, 'fetch', request, maxWaitMs + requestTimeoutMs)
    if (this.#ended.aborted) return true
    if (code !== 0) throw new KafkaRefusal(request.apiName, code)
    const askedAt = new Map(positions.map(({ partition, offset }) => [partition, offset]))
    const settled = partitions.map((fetched) => this.#accept(fetched, askedAt.get(fetched.partition)))
    this.#wake()
    return settled.every(Boolean)
  }

  #accept(fetched: FetchedPartition, askedAt: number | undefined): boolean {
    const queue = this.#queues.find(({ partition }) => partition === fetched.partition)
    if (queue === undefined || askedAt === undefined) return true
    if (fetched.code !== 0) return this.#refused(queue, new KafkaRefusal('Fetch', fetched.code))
    this.#highWatermarks.set(fetched.partition, fetched.highWatermark)
    try {
      queue.add(fetched, askedAt)
    } catch (error) {
      this.#stall(queue.partition, messageOf(error))
    }
    return true
  }

  #refused(queue: PartitionQueue, refusal: KafkaRefusal): boolean {
    if (refusal.kafka.code === UNKNOWN_TOPIC_OR_PARTITION) {
      this.#events.gone(queue.partition)
      return true
    }
    switch (refusal.kafka.remedy) {
      case 'range':
        this.#events.outOfRange(queue.partition, queue.fetchAt)
        return true
      case 'leader':
        return false
      default:
        this.#stall(queue.partition, refusal.message)
        return true
    }
  }

  #stall(partition: number, reason: string): void {
    this.#resting.set(partition, performance.now() + REST_MS)
    this.#events.stalled(partition, reason)
  }

  #untilRested(led: readonly PartitionQueue[]): number {
    const now = performance.now()
    const rests = led.map(({ partition }) => (this.#resting.get(partition) ?? 0) - now).filter((ms) => ms > 0)
    return Math.min(REST_MS, ...rests)
  }

  async #rest(ms: number): Promise<void> {
    const until = performance.now() + ms
    for (let left = ms; left > 0 && !this.#ended.aborted; left = until - performance.now()) await this.#woken(left)
  }

  /** Until something has changed, or the time is over. */
  async #woken(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, Math.min(Math.max(ms, 1), REST_MS))
    this.#waking.push(resolve)
    await promise
    clearTimeout(timer)
  }

  /** A fetch under way would stand before the first one of the next assignment. */
  #stop(): void {
    this.#cluster.hangUp('fetch')
    this.#wake()
  }

  #wake(): void {
    const waking = this.#waking
    this.#waking = []
    for (const resolve of waking) resolve()
  }
}

const UNKNOWN_TOPIC_OR_PARTITION = 3
/** Stands for the search of leaders among the loops. */
const NOBODY = -1
/** How long a partition that cannot be read is left alone. */
const REST_MS = 1_000
