import { Bell } from './bell.ts'
import type { Cluster } from './cluster.ts'
import { CommittedView } from './committed.ts'
import { KafkaRefusal, NoAnswer, refuse, remedyOf } from './errors.ts'
import { Backoff, pause, unlessAborted } from './waiting.ts'
import { fetchRecords } from './wire/messages/fetch.ts'
import type { FetchedPartition, FetchLimits, FetchPosition } from './wire/messages/fetch.ts'
import { listOffsets } from './wire/messages/offsets.ts'
import { readBatches, RecordCursor } from './wire/record-reader.ts'
import type { FetchedRecord, RecordBatch } from './wire/record-reader.ts'

/**
 * A run of one partition, read_committed: every offset from `from` to before `next` is in `records` or holds nothing to
 * show (control records, aborted transactions, compacted away). `bytes` is what it took in the fetch.
 */
export type Slice = {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly next: number
  readonly records: readonly FetchedRecord[]
  readonly bytes: number
}

export type Sink = {
  /** In order for each partition, of which no more is fetched before the promise resolves. A rejection ends the reading. */
  readonly accept: (slice: Slice) => Promise<void> | void
  /** Something that is tried again: no answer, no leader, a wrong checksum, or an offset that is gone. */
  readonly trouble: (error: unknown) => void
}

/** Milliseconds. `patienceMs` is how long nothing at all may be had before reading is given up; null: for ever. */
export type ReaderLimits = FetchLimits & { readonly patienceMs: number | null }

export const READER_LIMITS: ReaderLimits = {
  maxWaitMs: 250,
  maxBytes: 8_388_608,
  partitionMaxBytes: 1_048_576,
  patienceMs: null,
}

/** Records between two offsets are gone: deleted by retention before they were read, or with the topic. */
export class OffsetGone extends Error {
  override readonly name = 'OffsetGone'
  readonly topic: string
  readonly partition: number

  constructor(topic: string, partition: number, wanted: number, earliest: number) {
    super(`offset ${wanted} of ${topic}-${partition} is gone; reading goes on at ${earliest}, the earliest there is`)
    this.topic = topic
    this.partition = partition
  }
}

type Part = {
  readonly topic: string
  readonly partition: number
  /** Nothing from here on is handed over. */
  readonly end: number
  offset: number
  view: CommittedView
  /** Its last slice is not accepted yet. */
  held: boolean
}

const newBackoff = (): Backoff => new Backoff(50, 1000)
const IDLE_MS = 10_000
/** How much longer than it may wait for records a broker may take to answer. */
const ANSWER_GRACE_MS = 10_000

/**
 * Reads partitions from given offsets on, with one fetch at a time to each leader, and goes on through lost brokers and
 * moved leaders until stopped.
 */
export class LogReader {
  readonly #cluster: Cluster
  readonly #limits: ReaderLimits
  readonly #sink: Sink
  readonly #parts: Part[] = []
  readonly #loops = new Map<number, Promise<void>>()
  readonly #bell = new Bell()
  readonly #stop = new AbortController()
  #failure: { readonly error: unknown } | null = null
  #lastAnswer = Date.now()

  constructor(cluster: Cluster, sink: Sink, limits: Partial<ReaderLimits> = {}) {
    this.#cluster = cluster
    this.#sink = sink
    this.#limits = { ...READER_LIMITS, ...limits }
  }

  /** Reads it for good, or up to `end`: once nothing is left to be read that was added, reading stops. */
  add({ topic, partition, offset }: FetchPosition, end = Infinity): void {
    this.#parts.push({ topic, partition, end, offset, view: new CommittedView(), held: false })
    this.#bell.ring()
  }

  stop(): void {
    this.#stop.abort()
    this.#bell.ring()
  }

  /**
   * Reads until stopped. Rejects with KafkaRefusal where a topic may not be read, with what the sink rejected with, or
   * with the last trouble when patience is at its end.
   */
  async run(): Promise<void> {
    this.#lastAnswer = Date.now()
    const backoff = newBackoff()
    while (!this.#stop.signal.aborted) {
      if (!this.#startLoops()) await this.#recover(new NoAnswer('connect', 'a partition has no leader'), backoff)
      else {
        backoff.reset()
        await this.#bell.wait(IDLE_MS)
      }
    }
    await Promise.all(this.#loops.values())
    if (this.#failure !== null) throw this.#failure.error
  }

  /** False when a partition has no leader that is known. */
  #startLoops(): boolean {
    const leaders = new Set(this.#parts.map((it) => this.#leader(it)))
    for (const leader of leaders) {
      if (leader === null || this.#loops.has(leader)) continue
      const loop = this.#loop(leader).finally(() => {
        this.#loops.delete(leader)
        this.#bell.ring()
      })
      this.#loops.set(leader, loop)
    }
    return !leaders.has(null)
  }

  #leader({ topic, partition }: Part): number | null {
    return this.#cluster.leader(topic, partition)
  }

  /** Fetches from one broker what it leads, until it leads nothing more. */
  async #loop(leader: number): Promise<void> {
    const backoff = newBackoff()
    for (let turn = 0; !this.#stop.signal.aborted; turn++) {
      const led = this.#parts.filter((it) => this.#leader(it) === leader)
      if (led.length === 0) return
      const open = led.filter((it) => !it.held)
      if (open.length === 0) await this.#bell.wait(IDLE_MS)
      else await this.#turn(leader, rotated(open, turn), backoff)
    }
  }

  async #turn(leader: number, open: readonly Part[], backoff: Backoff): Promise<void> {
    try {
      await this.#fetch(leader, open)
      backoff.reset()
    } catch (error) {
      await this.#recover(error, backoff)
    }
  }

  async #fetch(leader: number, open: readonly Part[]): Promise<void> {
    const request = fetchRecords(open, this.#limits)
    const fetching = this.#cluster.send(leader, 'fetch', request, this.#limits.maxWaitMs + ANSWER_GRACE_MS)
    const answer = await unlessAborted(fetching, this.#stop.signal)
    refuse('Fetch', answer.code)
    const troubles: unknown[] = []
    for (const fetched of answer.partitions) {
      const part = open.find((it) => it.topic === fetched.topic && it.partition === fetched.partition)
      if (part === undefined || this.#stop.signal.aborted) continue
      await this.#take(leader, part, fetched).catch((error: unknown) => troubles.push(error))
    }
    if (troubles.length > 0) throw troubles[0]
    this.#lastAnswer = Date.now()
  }

  async #take(leader: number, part: Part, fetched: FetchedPartition): Promise<void> {
    if (remedyOf(new KafkaRefusal('Fetch', fetched.code)) === 'range') return await this.#reset(leader, part)
    refuse(`Fetch of ${part.topic}-${part.partition}`, fetched.code)
    const slice = sliceOf(part, fetched)
    if (slice === null) return
    part.offset = slice.next
    this.#hand(part, slice)
  }

  /**
   * One that is at its end is fetched no more: a broker would wait for what is written next, and what there is of the others
   * would wait with it.
   */
  #settle(part: Part): void {
    if (part.offset < part.end) return
    this.#parts.splice(this.#parts.indexOf(part), 1)
    if (this.#parts.length === 0) this.stop()
  }

  #hand(part: Part, slice: Slice): void {
    try {
      const accepting = this.#sink.accept(slice)
      if (accepting === undefined) this.#settle(part)
      else void this.#hold(part, accepting)
    } catch (why) {
      this.#fail(why)
    }
  }

  async #hold(part: Part, accepting: Promise<void>): Promise<void> {
    part.held = true
    try {
      await accepting
      this.#settle(part)
    } catch (why) {
      this.#fail(why)
    }
    part.held = false
    this.#bell.ring()
  }

  async #reset(leader: number, part: Part): Promise<void> {
    const { topic, partition, offset } = part
    const [edge] = await this.#cluster.send(leader, 'query', listOffsets(topic, [partition], 'earliest'))
    refuse(`ListOffsets of ${topic}-${partition}`, edge?.code ?? -1)
    part.offset = edge?.offset ?? 0
    part.view = new CommittedView()
    this.#sink.trouble(new OffsetGone(topic, partition, offset, part.offset))
    this.#settle(part)
  }

  /** Waits, longer from failure to failure, and looks the leaders up again. */
  async #recover(why: unknown, backoff: Backoff): Promise<void> {
    const { patienceMs } = this.#limits
    if (this.#stop.signal.aborted) return
    const exhausted = patienceMs !== null && Date.now() - this.#lastAnswer > patienceMs
    if (exhausted || remedyOf(why) === 'refused') this.#fail(why)
    if (this.#stop.signal.aborted) return
    this.#sink.trouble(why)
    await pause(backoff.next(), this.#stop.signal).catch(() => undefined)
    await this.#cluster.refresh().catch((failure: unknown) => this.#sink.trouble(failure))
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.stop()
  }
}

/** A large batch of one partition may leave no room for those after it, so that each comes first in its turn. */
const rotated = (open: readonly Part[], turn: number): readonly Part[] => {
  const first = turn % open.length
  return [...open.slice(first), ...open.slice(0, first)]
}

/** Null when the answer holds nothing new. After an error the same offset is read again, with a view that knows nothing. */
function sliceOf(part: Part, fetched: FetchedPartition): Slice | null {
  const { topic, partition, offset: from, end, view } = part
  part.view = new CommittedView()
  const batches = readBatches(fetched.records)
  const next = Math.min(end, (batches.at(-1)?.lastOffset ?? -1) + 1)
  if (next <= from) return null
  const records = view.visible(batches, fetched.aborted).flatMap((batch) => recordsOf(batch, part))
  part.view = view
  return { topic, partition, from, next, records, bytes: fetched.records.length }
}

function recordsOf(batch: RecordBatch, part: Part): readonly FetchedRecord[] {
  const records: FetchedRecord[] = []
  const cursor = new RecordCursor(batch, part)
  for (let it = cursor.next(part.offset); it !== null && it.offset < part.end; it = cursor.next(part.offset))
    records.push(it)
  return records
}
