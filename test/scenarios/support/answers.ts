import type { Records } from '../../../src/avro/records.ts'
import type { Route } from '../../../src/decision/route.ts'
import type { Verdict } from '../../../src/decision/verdict.ts'
import type { KafkaConnection } from '../../../src/kafka/connection.ts'
import { followTopic } from '../../../src/kafka/follow.ts'
import { LogLookup } from '../../../src/kafka/lookup.ts'
import type { TopicNames } from '../../../src/kafka/topics.ts'
import type { FetchedRecord } from '../../../src/kafka/wire/record-reader.ts'
import { until } from './until.ts'

/** What became of one input record; `position` is the input's, `topic:partition:offset`, `at` when we saw it. */
export type Answer = { readonly position: string; readonly at: number } & (
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | { readonly kind: 'dead letter'; readonly code: string; readonly record: FetchedRecord }
)

/** `review state.lost`, `dead letter record.magic`: an answer in a row of a table. */
export const inShort = (answer: Answer): string =>
  answer.kind === 'verdict' ? `${answer.verdict.route} ${answer.verdict.code}` : `dead letter ${answer.code}`

const ROUTES = ['execute', 'review', 'reject'] as const satisfies readonly Route[]

export const headerOf = (record: FetchedRecord, name: string): string =>
  Buffer.from(record.headers.get(name) ?? []).toString('utf8')

/** Sees every committed answer of a deployment as it comes. */
export class Answers {
  readonly #connection: KafkaConnection
  readonly #topics: TopicNames
  readonly #byPosition = new Map<string, Answer>()
  readonly #stop = new AbortController()
  readonly #following: readonly Promise<void>[]
  #failure: unknown = null

  constructor(connection: KafkaConnection, topics: TopicNames, records: Records) {
    this.#connection = connection
    this.#topics = topics
    const outputs = [...ROUTES.map((route) => topics[route]), topics.deadLetters]
    this.#following = outputs.map((topic) => {
      const onRecord = async (record: FetchedRecord): Promise<void> =>
        this.#take(await answerOf(record, topics, records))
      const { ended } = followTopic(connection, topic, {
        onRecord,
        signal: this.#stop.signal,
        limits: { maxWaitMs: 50 },
      })
      return ended.catch((error: unknown) => void (this.#failure ??= error))
    })
  }

  #take(answer: Answer): void {
    this.#byPosition.set(answer.position, answer)
  }

  /** The answer to the record at this position. */
  async of(position: string, withinMs = 30_000): Promise<Answer> {
    return await until(`${position} is answered`, () => this.find(position), withinMs)
  }

  /** The verdict on it; rejects when it is a dead letter. */
  async verdict(position: string, withinMs = 30_000): Promise<Verdict> {
    const answer = await this.of(position, withinMs)
    if (answer.kind === 'verdict') return answer.verdict
    throw new Error(`${position} is a dead letter: ${answer.code}`)
  }

  async all(positions: readonly string[], withinMs = 30_000): Promise<readonly Answer[]> {
    const missing = (): readonly string[] => positions.filter((it) => this.find(it) === undefined)
    const answered = async () => missing().length === 0
    await until(`all of ${positions.length} are answered`, answered, withinMs).catch((error: unknown) => {
      const left = missing()
      throw new Error(`${left.length} of ${positions.length} have no answer, such as ${left.slice(0, 5).join(', ')}`, {
        cause: error,
      })
    })
    return positions.flatMap((it) => this.find(it) ?? [])
  }

  /** What is known by now. */
  find(position: string): Answer | undefined {
    if (this.#failure !== null) throw this.#failure
    return this.#byPosition.get(position)
  }

  list(): readonly Answer[] {
    return [...this.#byPosition.values()]
  }

  get count(): number {
    return this.#byPosition.size
  }

  /**
   * Reads the topics anew, read_committed, and holds the promise: every record of the input has exactly one verdict or
   * dead letter. Returns the positions that have none and those that have more.
   */
  async audit(): Promise<{
    readonly lost: readonly string[]
    readonly doubled: readonly string[]
    readonly events: number
  }> {
    const lookup = new LogLookup(this.#connection)
    try {
      const inputs = (await lookup.all(this.#topics.input)).map(placeOf)
      const counts = new Map(inputs.map((it) => [it, 0]))
      for (const topic of [...ROUTES.map((route) => this.#topics[route]), this.#topics.deadLetters]) {
        for (const record of await lookup.all(topic)) {
          const position = sourceOf(record, this.#topics)
          counts.set(position, (counts.get(position) ?? 0) + 1)
        }
      }
      const those = (wrong: (count: number) => boolean) => [...counts].filter(([, n]) => wrong(n)).map(([it]) => it)
      return { events: inputs.length, lost: those((n) => n === 0), doubled: those((n) => n > 1) }
    } finally {
      lookup.close()
    }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#following)
  }
}

const placeOf = ({ topic, partition, offset }: { topic: string; partition: number; offset: number }): string =>
  `${topic}:${partition}:${offset}`

/** Both kinds of answer name their source in headers, so that they can be counted unread. */
const sourceOf = (record: FetchedRecord, topics: TopicNames): string =>
  record.topic === topics.deadLetters
    ? ['topic', 'partition', 'offset'].map((part) => headerOf(record, `__connect.errors.${part}`)).join(':')
    : headerOf(record, 'ce_id')

async function answerOf(record: FetchedRecord, topics: TopicNames, records: Records): Promise<Answer> {
  const seen = { position: sourceOf(record, topics), at: Date.now() }
  if (record.topic === topics.deadLetters)
    return { ...seen, kind: 'dead letter', code: headerOf(record, 'sluice.error.code'), record }
  const read = await records.decode('Verdict', record.topic, record.value)
  if (read.kind === 'fault') throw new Error(`the verdict on ${seen.position} cannot be read: ${read.fault.detail}`)
  return { ...seen, kind: 'verdict', verdict: read.value }
}
