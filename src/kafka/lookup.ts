import { Cluster } from './cluster.ts'
import type { ClusterTimes } from './cluster.ts'
import type { KafkaConnection } from './connection.ts'
import { KafkaRefusal, NoAnswer, remedyOf } from './errors.ts'
import { edgesOf, offsetsOf } from './log-edges.ts'
import type { Edges } from './log-edges.ts'
import { LogReader } from './reader.ts'
import type { ReaderLimits, Slice } from './reader.ts'
import { Backoff, pause } from './waiting.ts'
import type { FetchedRecord } from './wire/record-reader.ts'

export type RecordPlace = { readonly topic: string; readonly partition: number; readonly offset: number }

/**
 * What to look through: one partition, or all where it is null. `since` skips records that were written before that
 * time, milliseconds since 1970; null looks from the beginning.
 */
export type Search = { readonly topic: string; readonly partition: number | null; readonly since: number | null }

/** How far a search has come; counts offsets, whether or not a record is left at them. */
export type SearchProgress = { readonly done: number; readonly all: number }

export type LookupOptions = {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: SearchProgress) => void
}

type Range = { readonly topic: string; readonly partition: number; readonly from: number; readonly end: number }

const TIMES: ClusterTimes = { connectTimeoutMs: 3000, requestTimeoutMs: 10_000 }
const PATIENCE_MS = 15_000
/** For brokers of which none takes a connection: somebody waits at a terminal, and a wrong address does not mend. */
const CONNECT_PATIENCE_MS = 3_000
const BULK: Partial<ReaderLimits> = { maxWaitMs: 100, patienceMs: PATIENCE_MS }
const ONE: Partial<ReaderLimits> = {
  maxWaitMs: 100,
  maxBytes: 65_536,
  partitionMaxBytes: 65_536,
  patienceMs: PATIENCE_MS,
}

/**
 * Point reads and bounded searches, read_committed, each up to the end that is there when it begins. Every method
 * rejects with NoAnswer where Kafka does not answer for 15 seconds, or takes no connection for 3, with KafkaRefusal where a topic is not there or may not be read, and
 * with the signal's reason.
 */
export class LogLookup {
  readonly #cluster: Cluster

  constructor(connection: KafkaConnection) {
    this.#cluster = new Cluster(connection, TIMES)
  }

  /** Null: nothing is there that may be shown (not written yet, not committed, aborted, compacted, or deleted). */
  async read({ topic, partition, offset }: RecordPlace, options: LookupOptions = {}): Promise<FetchedRecord | null> {
    const edges = await this.#edges(topic, options)
    const edge = edges.find((it) => it.partition === partition)
    if (edge === undefined || offset < edge.earliest || offset >= edge.end) return null
    const range = { topic, partition, from: offset, end: offset + 1 }
    const record = await this.#first([range], (it) => it.offset === offset, options, ONE)
    return record ?? null
  }

  /** The first record that matches; of several partitions, whichever is come across first. Null: there is none. */
  async find(
    searches: readonly Search[],
    matches: (record: FetchedRecord) => boolean | Promise<boolean>,
    options: LookupOptions = {},
  ): Promise<FetchedRecord | null> {
    const ranges: Range[] = []
    for (const search of searches) ranges.push(...(await this.#ranges(search, options)))
    return await this.#first(ranges, matches, options, BULK)
  }

  /** All records of a topic, in order within a partition. For small topics: they are all held in memory. */
  async all(topic: string, options: LookupOptions = {}): Promise<readonly FetchedRecord[]> {
    const records: FetchedRecord[] = []
    const ranges = await this.#ranges({ topic, partition: null, since: null }, options)
    const collect = (record: FetchedRecord): boolean => {
      records.push(record)
      return false
    }
    await this.#first(ranges, collect, options, BULK)
    return records
  }

  close(): void {
    this.#cluster.close()
  }

  async #ranges({ topic, partition, since }: Search, options: LookupOptions): Promise<readonly Range[]> {
    const all = await this.#edges(topic, options)
    const edges = all.filter((it) => partition === null || it.partition === partition)
    const partitions = edges.map((it) => it.partition)
    const starts =
      since === null
        ? new Map<number, number>()
        : await this.#answered(() => offsetsOf(this.#cluster, topic, partitions, since), options)
    return edges.flatMap(({ partition, earliest, end }) => {
      const start = starts.get(partition) ?? earliest
      // No record is that late.
      if (start < 0) return []
      return [{ topic, partition, from: Math.max(start, earliest), end }]
    })
  }

  #edges(topic: string, options: LookupOptions): Promise<readonly Edges[]> {
    return this.#answered(() => edgesOf(this.#cluster, topic), options)
  }

  async #answered<T>(ask: () => Promise<T>, { signal }: LookupOptions): Promise<T> {
    const began = Date.now()
    const patient = signal ?? new AbortController().signal
    for (const backoff = new Backoff(50, 1000); ; await pause(backoff.next(), patient)) {
      patient.throwIfAborted()
      try {
        return await ask()
      } catch (error) {
        if (Date.now() - began >= patienceFor(error)) throw error
      }
    }
  }

  async #first(
    ranges: readonly Range[],
    matches: (record: FetchedRecord) => boolean | Promise<boolean>,
    options: LookupOptions,
    limits: Partial<ReaderLimits>,
  ): Promise<FetchedRecord | null> {
    const open = ranges.filter((it) => it.from < it.end)
    const search = new RangeSearch(open, matches, options)
    const reader = new LogReader(this.#cluster, search, limits)
    const stop = (): void => reader.stop()
    search.onFound = stop
    options.signal?.addEventListener('abort', stop, { once: true })
    try {
      options.signal?.throwIfAborted()
      for (const { topic, partition, from, end } of open) reader.add({ topic, partition, offset: from }, end)
      if (open.length > 0) await reader.run()
      options.signal?.throwIfAborted()
      return search.found
    } finally {
      options.signal?.removeEventListener('abort', stop)
    }
  }
}

/** All records of one small topic, over a connection of its own. */
export async function readAll(connection: KafkaConnection, topic: string): Promise<readonly FetchedRecord[]> {
  const lookup = new LogLookup(connection)
  try {
    return await lookup.all(topic)
  } finally {
    lookup.close()
  }
}

/** Takes slices until a record matched. */
class RangeSearch {
  readonly #matches: (record: FetchedRecord) => boolean | Promise<boolean>
  readonly #onProgress: ((progress: SearchProgress) => void) | undefined
  readonly #all: number
  #done = 0
  found: FetchedRecord | null = null
  onFound: () => void = () => undefined

  constructor(
    ranges: readonly Range[],
    matches: (record: FetchedRecord) => boolean | Promise<boolean>,
    options: LookupOptions,
  ) {
    this.#all = ranges.reduce((sum, it) => sum + it.end - it.from, 0)
    this.#matches = matches
    this.#onProgress = options.onProgress
  }

  readonly accept = async (slice: Slice): Promise<void> => {
    if (this.found !== null) return
    for (const record of slice.records) {
      if (await this.#matches(record)) this.found ??= record
      if (this.found !== null) return this.onFound()
    }
    this.#done += slice.next - slice.from
    this.#onProgress?.({ done: this.#done, all: this.#all })
  }

  readonly trouble = (): void => undefined
}

/** Milliseconds. A topic that was just created may not be known to every broker. */
function patienceFor(error: unknown): number {
  if (remedyOf(error) === 'refused') return 0
  if (error instanceof NoAnswer && error.kind === 'connect') return CONNECT_PATIENCE_MS
  return error instanceof KafkaRefusal && error.kafka.code === UNKNOWN_TOPIC ? 1000 : PATIENCE_MS
}

const UNKNOWN_TOPIC = 3

const idHeader = (record: FetchedRecord): string | null => {
  const id = record.headers.get('ce_id')
  return id === undefined ? null : Buffer.from(id).toString('utf8')
}

/** Clocks of producer, broker and processor may differ by this much, milliseconds. */
const CLOCK_SKEW_MS = 300_000

/**
 * The verdict with this decision id, which all verdict records carry as their CloudEvents id. A verdict lies in the partition number of its event and is written after it, so that `eventTime` (the
 * event record's time stamp) bounds the search; null searches all of the partition.
 */
export async function findVerdict(
  lookup: LogLookup,
  verdictTopics: readonly string[],
  { decisionId, partition, eventTime }: { decisionId: string; partition: number; eventTime: number | null },
  options: LookupOptions = {},
): Promise<FetchedRecord | null> {
  const since = eventTime === null ? null : Math.max(0, eventTime - CLOCK_SKEW_MS)
  const searches = verdictTopics.map((topic) => ({ topic, partition, since }))
  return await lookup.find(searches, (record) => idHeader(record) === decisionId, options)
}
