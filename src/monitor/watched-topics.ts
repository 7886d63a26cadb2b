import type { Records } from '../avro/records.ts'
import type { TopicPositions, Positions } from './checkpoint.ts'
import { untilReadable } from '../feeds.ts'
import type { OnUnusable } from '../feeds.ts'
import type { KafkaConnection } from '../kafka/connection.ts'
import { followTopic } from '../kafka/follow.ts'
import type { Following } from '../kafka/follow.ts'
import type { Slice } from '../kafka/reader.ts'
import { readExecution, readReport } from './watched-records.ts'
import type { LogRecord, ReadRecord } from './watched-records.ts'
import type { Watch } from '../watch/watch.ts'

export type WatchedTopicsOptions = {
  readonly connection: KafkaConnection
  readonly topics: { readonly executions: string; readonly reports: string }
  readonly records: Records
  readonly from: TopicPositions
  readonly onUnusable: OnUnusable
  /** An execution that is left out since its age was counted already, and where it lies. */
  readonly onStraggler: (position: string) => void
  /** Told of every execution on such a certificate. */
  readonly onUnwatched: (certificate: string) => void
  readonly onTrouble: (error: unknown) => void
  readonly signal: AbortSignal
}

/** Gives a watch what is in both topics, and knows where to go on after a restart. */
export class WatchedTopics {
  readonly #watch: Watch
  readonly #options: WatchedTopicsOptions
  readonly #executions: Following
  readonly #reports: Following
  readonly #next = { executions: new Map<number, number>(), reports: new Map<number, number>() }

  constructor(watch: Watch, options: WatchedTopicsOptions) {
    this.#watch = watch
    this.#options = options
    this.#executions = this.#follow('executions', (record) => this.#takeExecution(record))
    this.#reports = this.#follow('reports', (record) => this.#takeReport(record))
  }

  /** Resolves once all that is in both topics by now has been given to the watch. */
  async upToNow(): Promise<void> {
    await Promise.all([this.#executions.upToNow(), this.#reports.upToNow()])
  }

  /** Resolves after the signal; rejects where a topic may not be read. */
  async ended(): Promise<void> {
    await Promise.all([this.#executions.ended, this.#reports.ended])
  }

  get positions(): TopicPositions {
    const { executions, reports } = this.#watch.needed
    return {
      executions: positionsOf(this.#next.executions, executions),
      reports: positionsOf(this.#next.reports, reports),
    }
  }

  #follow(part: 'executions' | 'reports', take: (record: LogRecord) => Promise<void>): Following {
    const { connection, topics, from, signal, onTrouble } = this.#options
    const onSlice = async (slice: Slice): Promise<void> => {
      for (const record of slice.records) await take(record)
      // What is read once more after a restart must not seem read less far than it was.
      this.#next[part].set(slice.partition, Math.max(slice.next, this.#next[part].get(slice.partition) ?? 0))
    }
    for (const [partition, { next }] of from[part]) this.#next[part].set(partition, next)
    const starts = new Map([...from[part]].map(([partition, it]) => [partition, it.from]))
    return followTopic(connection, topics[part], { onSlice, onTrouble, from: starts, signal })
  }

  async #takeExecution(record: LogRecord): Promise<void> {
    const execution = await this.#usable(record, readExecution)
    if (execution === null) return
    if ('unwatched' in execution) return this.#options.onUnwatched(execution.unwatched)
    if (this.#watch.execute(execution)) return
    const before = this.#options.from.executions.get(record.partition)?.next ?? 0
    if (record.offset >= before) this.#options.onStraggler(positionOf(record))
  }

  async #takeReport(record: LogRecord): Promise<void> {
    const report = await this.#usable(record, readReport)
    if (report !== null) this.#watch.report(report)
  }

  /** Null for what is of no concern, and for what cannot be read, which is told of. */
  async #usable<T>(
    record: LogRecord,
    read: (records: Records, record: LogRecord) => Promise<ReadRecord<T>>,
  ): Promise<T | null> {
    const { records, signal, onUnusable } = this.#options
    const found = await untilReadable(() => read(records, record), signal)
    if (found.kind === 'value') return found.value
    onUnusable(positionOf(record), found.fault.detail)
    return null
  }
}

const positionsOf = (next: ReadonlyMap<number, number>, needed: ReadonlyMap<number, number>): Positions =>
  new Map([...next].map(([partition, next]) => [partition, { from: needed.get(partition) ?? next, next }]))

const positionOf = ({ topic, partition, offset }: LogRecord): string => `${topic}:${partition}:${offset}`
