import { Cluster } from './cluster.ts'
import type { ClusterTimes } from './cluster.ts'
import type { KafkaConnection } from './connection.ts'
import { refuse } from './errors.ts'
import { edgesOf, offsetsOf } from './log-edges.ts'
import { placeOf } from './log-scan.ts'
import { LogReader } from './reader.ts'
import type { Sink } from './reader.ts'
import { offsetFetch } from './wire/messages/offsets.ts'

/** Where a partition's log begins. */
export type Beginning = { readonly topic: string; readonly partition: number; readonly earliest: number }

/** What was committed, and where all topics ended after that. By partition of the input; ends by `placeOf`. */
export type Marks = {
  readonly committed: ReadonlyMap<number, number>
  readonly ends: ReadonlyMap<string, number>
}

const TIMES: ClusterTimes = { connectTimeoutMs: 3000, requestTimeoutMs: 10_000 }
const LIMITS = { maxWaitMs: 250, partitionMaxBytes: 524_288 }

/** An input and its outputs, read whole and read_committed, apart from whoever decides. */
export class AuditFeed {
  readonly #cluster: Cluster
  readonly #group: string
  readonly #input: string
  readonly #outputs: readonly string[]

  constructor(connection: KafkaConnection, group: string, input: string, outputs: readonly string[]) {
    this.#cluster = new Cluster(connection, TIMES)
    this.#group = group
    this.#input = input
    this.#outputs = outputs
  }

  /** Of the input's partitions in every topic. Rejects with NoAnswer or KafkaRefusal. */
  async beginnings(): Promise<readonly Beginning[]> {
    const input = await edgesOf(this.#cluster, this.#input)
    const partitions = new Set(input.map(({ partition }) => partition))
    const beginnings: Beginning[] = input.map((it) => ({ topic: this.#input, ...it }))
    for (const topic of this.#outputs) {
      const edges = await edgesOf(this.#cluster, topic)
      beginnings.push(...edges.filter((it) => partitions.has(it.partition)).map((it) => ({ topic, ...it })))
    }
    return beginnings
  }

  /** Reads everything from the beginnings on until the signal. Rejects where a topic may not be read. */
  async run(beginnings: readonly Beginning[], sink: Sink, signal: AbortSignal): Promise<void> {
    const reader = new LogReader(this.#cluster, sink, LIMITS)
    for (const { topic, partition, earliest } of beginnings) reader.add({ topic, partition, offset: earliest })
    const stop = (): void => reader.stop()
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) return
    await reader.run().finally(() => signal.removeEventListener('abort', stop))
  }

  /**
   * What the group has committed for good, and after that the high watermarks of the outputs: whoever has read up to these
   * has read every answer to what was committed. Partitions whose offset is being committed are left out.
   */
  async marks(): Promise<Marks> {
    const partitions = this.#cluster.partitions(this.#input)
    const node = await this.#cluster.coordinator('group', this.#group)
    const answer = await this.#cluster.send(node, 'group', offsetFetch(this.#group, this.#input, partitions))
    refuse('OffsetFetch', answer.code)
    const stable = answer.partitions.filter(({ code, offset }) => code === 0 && offset >= 0)
    const ends = new Map<string, number>()
    for (const topic of [...this.#outputs, this.#input]) {
      for (const [partition, end] of await offsetsOf(this.#cluster, topic, partitions, 'latest'))
        ends.set(placeOf({ topic, partition }), end)
    }
    return { committed: new Map(stable.map(({ partition, offset }) => [partition, offset])), ends }
  }

  /** Looks leaders and coordinators up again, after trouble. */
  async lookAgain(): Promise<void> {
    this.#cluster.forgetCoordinators()
    await this.#cluster.refresh()
  }

  close(): void {
    this.#cluster.close()
  }
}
