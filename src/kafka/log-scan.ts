import { Cluster } from './cluster.ts'
import type { ClusterTimes } from './cluster.ts'
import type { KafkaConnection } from './connection.ts'
import { edgesOf, offsetsOf } from './log-edges.ts'
import { LogReader, OffsetGone } from './reader.ts'
import type { Slice } from './reader.ts'

export type ScanOptions = {
  readonly topics: readonly string[]
  /** Records older than that may be left out, milliseconds since 1970. */
  readonly since: number
  /** Where to go on, by `placeOf`. */
  readonly places: ReadonlyMap<string, number>
  /**
   * In order within a partition; the next one of it is not given before the promise resolves. `progress` from 0 to 1 over
   * all of them. False ends the scan.
   */
  readonly accept: (slice: Slice, progress: number) => Promise<boolean>
  readonly signal: AbortSignal
}

/** `cut`: a partition begins later than `since`, so records that were written after it may have been deleted. */
export type Scanned =
  | { readonly kind: 'read' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'cut'; readonly topic: string; readonly partition: number }

type Span = { readonly topic: string; readonly partition: number; readonly from: number; readonly end: number }

const TIMES: ClusterTimes = { connectTimeoutMs: 3000, requestTimeoutMs: 10_000 }
/** Small enough that what is made of one slice is no long work for whoever gets it. */
const LIMITS = { maxWaitMs: 250, partitionMaxBytes: 524_288, patienceMs: 30_000 }

/** One name for a partition of a topic. */
export const placeOf = ({ topic, partition }: { readonly topic: string; readonly partition: number }): string =>
  `${topic}-${partition}`

/**
 * Reads topics read_committed up to all that was written when the scan began, whether or not its transactions had ended
 * by then: it waits for those. Rejects with NoAnswer where nothing can be had for 30 seconds, or with KafkaRefusal.
 */
export async function scanLog(connection: KafkaConnection, options: ScanOptions): Promise<Scanned> {
  const cluster = new Cluster(connection, TIMES)
  try {
    const spans: Span[] = []
    for (const topic of options.topics) {
      const found = await spansOf(cluster, topic, options)
      if ('kind' in found) return found
      spans.push(...found)
    }
    return await new Scan(cluster, spans, options).run()
  } finally {
    cluster.close()
  }
}

/** Only those in which something is to be read. */
async function spansOf(
  cluster: Cluster,
  topic: string,
  { since, places }: ScanOptions,
): Promise<readonly Span[] | Extract<Scanned, { kind: 'cut' }>> {
  const edges = await edgesOf(cluster, topic)
  const partitions = edges.map(({ partition }) => partition)
  const ends = await offsetsOf(cluster, topic, partitions, 'latest')
  const starts = await offsetsOf(cluster, topic, partitions, Math.max(0, since))
  const spans: Span[] = []
  for (const { partition, earliest } of edges) {
    const end = ends.get(partition) ?? 0
    const first = starts.get(partition) ?? -1
    const begun = places.get(placeOf({ topic, partition }))
    if (begun === undefined && first === earliest && earliest > 0) return { kind: 'cut', topic, partition }
    if (begun !== undefined && begun < earliest) return { kind: 'cut', topic, partition }
    const from = begun ?? (first < 0 ? end : first)
    if (from < end) spans.push({ topic, partition, from, end })
  }
  return spans
}

class Scan {
  readonly #reader: LogReader
  readonly #accept: ScanOptions['accept']
  readonly #signal: AbortSignal
  readonly #spans: readonly Span[]
  /** Offsets in all spans, in the slices that were given, and in those that were accepted. */
  readonly #all: number
  #given = 0
  #done = 0
  #isStopped = false
  #cut: OffsetGone | null = null

  constructor(cluster: Cluster, spans: readonly Span[], { accept, signal }: ScanOptions) {
    this.#accept = accept
    this.#signal = signal
    this.#spans = spans
    this.#all = spans.reduce((sum, { from, end }) => sum + end - from, 0)
    const sink = { accept: (slice: Slice) => this.#take(slice), trouble: (error: unknown) => this.#heed(error) }
    this.#reader = new LogReader(cluster, sink, LIMITS)
  }

  async run(): Promise<Scanned> {
    const stop = (): void => this.#reader.stop()
    this.#signal.addEventListener('abort', stop, { once: true })
    try {
      for (const { topic, partition, from, end } of this.#spans)
        this.#reader.add({ topic, partition, offset: from }, end)
      if (this.#spans.length > 0 && !this.#signal.aborted) await this.#reader.run()
    } finally {
      this.#signal.removeEventListener('abort', stop)
    }
    if (this.#cut !== null) return { kind: 'cut', topic: this.#cut.topic, partition: this.#cut.partition }
    return { kind: this.#isStopped || this.#done < this.#all ? 'stopped' : 'read' }
  }

  /** Deleted before it was read; all other trouble is tried again. */
  #heed(error: unknown): void {
    if (!(error instanceof OffsetGone)) return
    this.#cut = error
    this.#end()
  }

  #end(): void {
    this.#isStopped = true
    this.#reader.stop()
  }

  async #take(slice: Slice): Promise<void> {
    if (this.#isStopped) return
    const length = slice.next - slice.from
    this.#given += length
    if (await this.#accept(slice, this.#given / this.#all)) this.#done += length
    else this.#end()
  }
}
