import { hash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Answer, InputEvent } from './audit/answer.ts'
import { Auditor } from './audit/auditor.ts'
import type { AuditReport } from './audit/auditor.ts'
import type { AuditFinding } from './audit/finding.ts'
import type { Kind, RecordOf } from './avro/record-types.ts'
import type { Read, Records } from './avro/records.ts'
import { HEADER_BYTES } from './avro/wire.ts'
import type { Route } from './decision/route.ts'
import { AuditFeed } from './kafka/audit-feed.ts'
import type { Beginning, Marks } from './kafka/audit-feed.ts'
import type { KafkaConnection } from './kafka/connection.ts'
import { readAll } from './kafka/lookup.ts'
import { placeOf } from './kafka/log-scan.ts'
import { OffsetGone } from './kafka/reader.ts'
import type { Slice } from './kafka/reader.ts'
import type { FetchedRecord } from './kafka/wire/record-reader.ts'
import type { Rulebook } from './processor/ports.ts'
import type { HeldCounters } from './redis/counter-reader.ts'
import { RulebookArchive } from './rulebook-archive.ts'

export type AuditTopics = {
  readonly input: string
  readonly verdicts: Readonly<Record<Route, string>>
  readonly deadLetters: string
  readonly policies: string
}

export type AuditOptions = {
  readonly connection: KafkaConnection
  readonly group: string
  readonly topics: AuditTopics
  readonly records: Records
  /** A larger event was not read by whoever decided, bytes. */
  readonly maxEventBytes: number
  /** What state holds of some counters, null where that cannot be told now; not looked at if not given. */
  readonly heldCounters?: (names: readonly string[]) => Promise<HeldCounters | null>
  readonly onFinding: (finding: AuditFinding) => void
  /** Something that is tried again. */
  readonly onTrouble: (error: unknown) => void
}

/** How often is asked what was committed, milliseconds. */
const LOOK_MS = 1000
/** How far input and answers may be read apart, offsets; and how long the one that is ahead waits, milliseconds. */
const APART_MAX = 2000
const WAIT_MS = 1000
const RETRY_MS = 500
const COUNTERS_AT_ONCE = 500

/** What was committed of one partition, and where the topics ended after that. */
type Mark = { readonly committed: number; readonly ends: Marks['ends'] }

/** Reads a deployment's topics by a way of its own, and holds the answers against the input. */
export class AuditRun {
  readonly #options: AuditOptions
  readonly #auditor: Auditor
  readonly #feed: AuditFeed
  readonly #archive: RulebookArchive
  readonly #routes: ReadonlyMap<string, Route>
  /** By place, the next offset that was not read yet. */
  readonly #positions = new Map<string, number>()
  /** Places whose first records were deleted, until what they begin with is known. */
  readonly #cut = new Set<string>()
  /** By partition, the offset after the last that an answer was read to. */
  readonly #answered = new Map<number, number>()
  readonly #settled = new Set<number>()
  /** By partition, what was committed when it was last asked. */
  readonly #committed = new Map<number, number>()
  #stop = new AbortController()

  constructor(options: AuditOptions) {
    const { connection, group, topics } = options
    this.#options = options
    this.#auditor = new Auditor(options.onFinding)
    this.#routes = new Map(Object.entries(topics.verdicts).map(([route, topic]) => [topic, route as Route]))
    this.#feed = new AuditFeed(connection, group, topics.input, [...this.#routes.keys(), topics.deadLetters])
    this.#archive = new RulebookArchive(topics.policies, (topic) => readAll(connection, topic))
  }

  report(): AuditReport {
    return this.#auditor.report()
  }

  /**
   * Audits until the signal, or, where `once`, until everything that was committed at the beginning is settled. Rejects with
   * KafkaRefusal where a topic or the group may not be read, with NoAnswer where Kafka does not answer at the beginning.
   */
  async run(signal: AbortSignal, { once }: { readonly once: boolean }): Promise<void> {
    const stop = (): void => this.#stop.abort()
    signal.addEventListener('abort', stop, { once: true })
    try {
      const beginnings = await this.#feed.beginnings()
      for (const it of beginnings) this.#begin(it)
      const sink = { accept: (slice: Slice) => this.#accept(slice), trouble: (error: unknown) => this.#heed(error) }
      const reading = this.#feed.run(beginnings, sink, this.#stop.signal)
      await Promise.race([reading, this.#settleAlways(once)])
      this.#stop.abort()
      await reading
    } finally {
      signal.removeEventListener('abort', stop)
      this.#feed.close()
    }
  }

  #begin(it: Beginning): void {
    this.#positions.set(placeOf(it), it.earliest)
    if (it.topic === this.#options.topics.input) this.#auditor.begin(it.partition, it.earliest)
    else if (it.earliest > 0) this.#cut.add(placeOf(it))
  }

  #heed(error: unknown): void {
    if (error instanceof OffsetGone && error.topic !== this.#options.topics.input) this.#cut.add(placeOf(error))
    this.#options.onTrouble(error)
  }

  // ---- Reading ------------------------------------------------------------------------------------------------------

  async #accept(slice: Slice): Promise<void> {
    if (slice.topic === this.#options.topics.input) await this.#acceptInput(slice)
    else await this.#acceptAnswers(slice)
    this.#positions.set(placeOf(slice), slice.next)
  }

  async #acceptInput({ partition, from, next, records }: Slice): Promise<void> {
    // What nobody has decided yet would wait for its answer for as long as the backlog is.
    await this.#waitWhile(() => from > (this.#committed.get(partition) ?? 0), Infinity)
    await this.#waitWhile(() => next > (this.#answered.get(partition) ?? 0) + APART_MAX, WAIT_MS)
    const events: InputEvent[] = []
    for (const record of records) events.push(await this.#inputEvent(record))
    this.#auditor.inputRead(partition, from, next, events)
  }

  async #acceptAnswers(slice: Slice): Promise<void> {
    const { partition } = slice
    for (const record of slice.records) {
      const answer = await this.#answerOf(record)
      if (answer === null) {
        this.#auditor.stranger(partition, `${record.topic}:${partition}:${record.offset} names no event of the input`)
        continue
      }
      if (this.#cut.delete(placeOf(slice))) this.#auditor.raiseFloor(partition, answer.offset)
      await this.#waitWhile(() => answer.offset > this.#readTo(partition) + APART_MAX, WAIT_MS)
      this.#auditor.answered(partition, answer)
      this.#answered.set(partition, Math.max(this.#answered.get(partition) ?? 0, answer.offset + 1))
    }
  }

  #readTo(partition: number): number {
    return this.#positions.get(placeOf({ topic: this.#options.topics.input, partition })) ?? 0
  }

  async #waitWhile(isAhead: () => boolean, maxMs: number): Promise<void> {
    for (let waited = 0; waited < maxMs && isAhead() && !this.#stop.signal.aborted; waited += 20) await delay(20)
  }

  async #inputEvent({ topic, offset, timestamp, key, value }: FetchedRecord): Promise<InputEvent> {
    const isReadable = (value?.length ?? 0) <= this.#options.maxEventBytes
    const read = await this.#read('ModelOutput', topic, isReadable ? value : null)
    return {
      offset,
      timestamp,
      keyed: key !== null,
      event: read.kind === 'value' ? read.value : null,
      bodyDigest: digestOf(value?.subarray(HEADER_BYTES) ?? null),
      valueDigest: digestOf(value),
    }
  }

  /** Null for a record that does not say whose answer it is. */
  async #answerOf(record: FetchedRecord): Promise<Answer | null> {
    const { topic, partition, value, timestamp } = record
    const route = this.#routes.get(topic)
    const named = this.#sourceOf(record)
    if (route === undefined)
      return named === null ? null : { kind: 'deadLetter', offset: named, valueDigest: digestOf(value) }
    const read = await this.#read('Verdict', topic, value)
    if (read.kind === 'fault')
      return named === null ? null : { kind: 'unreadable', offset: named, why: read.fault.detail }
    const verdict = read.value
    const { source } = verdict
    if (source.topic !== this.#options.topics.input || source.partition !== partition) return null
    return {
      kind: 'verdict',
      offset: source.offset,
      verdict,
      route,
      timestamp,
      rulebook: await this.#rulebookOf(verdict.policy),
    }
  }

  /** The offset that the headers name, if it is one of this partition of the input. */
  #sourceOf({ headers, topic, partition }: FetchedRecord): number | null {
    const text = (name: string): string => Buffer.from(headers.get(name) ?? []).toString('utf8')
    const isLetter = topic === this.#options.topics.deadLetters
    const id = isLetter
      ? ['topic', 'partition', 'offset'].map((part) => text(`__connect.errors.${part}`)).join(':')
      : text('ce_id')
    const place = `${this.#options.topics.input}:${partition}:`
    const offset = id.startsWith(place) ? id.slice(place.length) : ''
    return /^\d+$/.test(offset) ? Number(offset) : null
  }

  /** A schema that cannot be had for now is waited for. */
  async #read<K extends Kind>(kind: K, topic: string, value: Buffer | null): Promise<Read<RecordOf[K]>> {
    for (;;) {
      const read = await this.#options.records.decode(kind, topic, value)
      if (read.kind === 'value' || !read.fault.retry || this.#stop.signal.aborted) return read
      this.#options.onTrouble(new Error(read.fault.detail))
      await delay(RETRY_MS)
    }
  }

  async #rulebookOf(ref: Parameters<RulebookArchive['find']>[0]): Promise<Rulebook | null> {
    while (!this.#stop.signal.aborted) {
      try {
        const found = await this.#archive.find(ref)
        return found.kind === 'found' ? found.rulebook : null
      } catch (error) {
        this.#options.onTrouble(error)
        await delay(RETRY_MS)
      }
    }
    return null
  }

  // ---- Settling -----------------------------------------------------------------------------------------------------

  async #settleAlways(once: boolean): Promise<void> {
    const open = new Map<number, Mark>()
    while (!this.#stop.signal.aborted) {
      const marks = await this.#marks()
      for (const [partition, committed] of marks?.committed ?? []) {
        this.#committed.set(partition, committed)
        if (!open.has(partition)) open.set(partition, { committed, ends: marks?.ends ?? new Map() })
      }
      await this.#settle(open, performance.now() + LOOK_MS)
      await this.#holdCounters()
      if (marks !== null && once && [...marks.committed.keys()].every((it) => this.#settled.has(it))) return
    }
  }

  async #holdCounters(): Promise<void> {
    const names = this.#auditor.countersToHold(COUNTERS_AT_ONCE)
    const held = await this.#options.heldCounters?.(names)
    if (held !== undefined && held !== null) this.#auditor.holdCounters(names, held.counters, held.now)
  }

  async #marks(): Promise<Marks | null> {
    try {
      return await this.#feed.marks()
    } catch (error) {
      this.#options.onTrouble(error)
      await this.#feed.lookAgain().catch((failure: unknown) => this.#options.onTrouble(failure))
      return null
    }
  }

  /** Each partition as soon as all its answers were read; one that is slow keeps its mark, and holds up no other. */
  async #settle(open: Map<number, Mark>, until: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      for (const [partition, mark] of open) {
        if (!this.#isRead(partition, mark)) continue
        this.#settleCut(partition, mark.committed)
        this.#auditor.settle(partition, mark.committed)
        this.#settled.add(partition)
        open.delete(partition)
      }
      if (performance.now() >= until) return
      await delay(20)
    }
  }

  #isRead(partition: number, { committed, ends }: Mark): boolean {
    const { input, deadLetters } = this.#options.topics
    const places = [...this.#routes.keys(), deadLetters].map((topic) => placeOf({ topic, partition }))
    const isAnswered = places.every((place) => (this.#positions.get(place) ?? 0) >= (ends.get(place) ?? 0))
    const end = ends.get(placeOf({ topic: input, partition })) ?? committed
    return isAnswered && this.#readTo(partition) >= Math.min(committed, end)
  }

  /** Nothing at all is left of what a place once held. */
  #settleCut(partition: number, committed: number): void {
    for (const topic of [...this.#routes.keys(), this.#options.topics.deadLetters])
      if (this.#cut.has(placeOf({ topic, partition }))) this.#auditor.raiseFloor(partition, committed)
  }
}

/** SHA-256, first 16 bytes in hex; empty for nothing. */
const digestOf = (bytes: Buffer | null): string => (bytes === null ? '' : hash('sha256', bytes, 'hex').slice(0, 32))
