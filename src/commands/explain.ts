import { createRecords, MAX_RECORD_BYTES } from '../avro/records.ts'
import type { Records } from '../avro/records.ts'
import { openRegistry } from '../avro/registry.ts'
import type { Config } from '../config.ts'
import { kafkaConnection, registryOptions } from '../connections.ts'
import { explain } from '../decision/explain.ts'
import { recompute } from '../decision/recompute.ts'
import type { Recomputed } from '../decision/recompute.ts'
import type { Verdict } from '../decision/verdict.ts'
import { findVerdict, LogLookup } from '../kafka/lookup.ts'
import type { RecordPlace } from '../kafka/lookup.ts'
import type { Rulebook } from '../processor/ports.ts'
import { RulebookArchive } from '../rulebook-archive.ts'
import { clearProgress, progressLine } from './progress.ts'
import { readToolConfig } from './tool-config.ts'

export type ExplainOptions = {
  readonly decisionId: string | undefined
  readonly event: string | undefined
  readonly place: { readonly topic?: string; readonly partition?: number; readonly offset?: number }
  readonly json: boolean
}

/** What a record became, or why that is not known. */
type Answer =
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | { readonly kind: 'deadLetter'; readonly position: string; readonly code: string; readonly detail: string }
  | { readonly kind: 'none'; readonly why: string }

type Search = {
  readonly config: Config
  readonly lookup: LogLookup
  readonly records: Records
  readonly progress: (line: string) => void
}

/**
 * `sluice explain`: the decision in words, and whether deciding again from its record gives the same. Returns 0 when it
 * does, 1 when it differs or cannot be found, 2 when the request makes no sense.
 */
export async function explainDecision(file: string | undefined, options: ExplainOptions): Promise<number> {
  const config = readToolConfig(file)
  const request = requestOf(options)
  if (typeof request === 'string') {
    console.error(`sluice explain: ${request}`)
    return 2
  }
  await using open = new AsyncDisposableStack()
  const lookup = new LogLookup(kafkaConnection(config))
  open.defer(() => lookup.close())
  const registry = await openRegistry(registryOptions(config, () => undefined))
  open.defer(() => registry.close())
  const records = createRecords(registry, MAX_RECORD_BYTES)
  const search = { config, lookup, records, progress: progressLine }
  const answer = 'event' in request ? await findByEvent(request.event, search) : await findByPlace(request, search)
  clearProgress()
  return answer.kind === 'verdict' ? await show(answer.verdict, search, options.json) : showOther(answer, options.json)
}

type Request = RecordPlace | { readonly event: string }

/** A sentence where the options do not name one decision. */
function requestOf({ decisionId, event, place }: ExplainOptions): Request | string {
  const { topic, partition, offset } = place
  const byPlace = topic !== undefined || partition !== undefined || offset !== undefined
  if ([decisionId !== undefined, event !== undefined, byPlace].filter(Boolean).length !== 1) {
    return 'name one decision: DECISION_ID, or --event ID, or --topic T --partition P --offset O'
  }
  if (event !== undefined) return { event }
  if (decisionId === undefined) {
    if (topic === undefined || partition === undefined || offset === undefined)
      return '--topic, --partition and --offset go together'
    return { topic, partition, offset }
  }
  const parts = /^([a-zA-Z0-9._-]+):(\d+):(\d+)$/.exec(decisionId)
  if (parts === null) return `\`${decisionId}\` is no decision id; one looks like model.outputs:3:1842`
  return { topic: parts[1] ?? '', partition: Number(parts[2]), offset: Number(parts[3]) }
}

const verdictTopics = (config: Config): readonly string[] => [
  config.TOPIC_EXECUTE,
  config.TOPIC_REVIEW,
  config.TOPIC_REJECT,
]

/** The place is the event's; where a verdict topic is named, the verdict's own. */
async function findByPlace(place: RecordPlace, search: Search): Promise<Answer> {
  const { config, lookup } = search
  const named = `${place.topic}:${place.partition}:${place.offset}`
  if (verdictTopics(config).includes(place.topic)) {
    const record = await lookup.read(place)
    return record === null
      ? { kind: 'none', why: `there is no verdict at ${named}` }
      : verdictOf(record, place.topic, search)
  }
  const source = place.topic === config.TOPIC_INPUT ? await lookup.read(place) : null
  const asked = { decisionId: named, partition: place.partition, eventTime: source?.timestamp ?? null }
  const found = await findVerdict(lookup, verdictTopics(config), asked, { onProgress: onProgress(search) })
  if (found !== null) return verdictOf(found, found.topic, search)
  return (await findDeadLetter(place, search)) ?? { kind: 'none', why: whyNone(named, place, source !== null, config) }
}

function whyNone(named: string, place: RecordPlace, exists: boolean, config: Config): string {
  if (place.topic !== config.TOPIC_INPUT) return `${named} is not of the input topic ${config.TOPIC_INPUT}`
  if (exists) return `the event ${named} is there and has no verdict yet: is the processor running?`
  return `there is no event ${named}, and neither a verdict nor a dead letter of it`
}

async function verdictOf(
  record: { readonly value: Buffer | null },
  topic: string,
  { records }: Search,
): Promise<Answer> {
  const read = await records.decode('Verdict', topic, record.value)
  if (read.kind === 'fault') return { kind: 'none', why: `the verdict cannot be read: ${read.fault.detail}` }
  return { kind: 'verdict', verdict: read.value }
}

async function findByEvent(id: string, search: Search): Promise<Answer> {
  const searches = verdictTopics(search.config).map((topic) => ({ topic, partition: null, since: null }))
  let found: Verdict | null = null
  const matches = async (record: { readonly topic: string; readonly value: Buffer | null }): Promise<boolean> => {
    if (record.value?.includes(id) !== true) return false
    const answer = await verdictOf(record, record.topic, search)
    if (answer.kind !== 'verdict' || answer.verdict.event.id !== id || answer.verdict.facts.first !== null) return false
    found = answer.verdict
    return true
  }
  await search.lookup.find(searches, matches, { onProgress: onProgress(search) })
  if (found === null) return { kind: 'none', why: `no verdict of an event with the id \`${id}\` was found` }
  return { kind: 'verdict', verdict: found }
}

async function findDeadLetter(place: RecordPlace, search: Search): Promise<Answer | null> {
  const { config, lookup } = search
  const text = (headers: ReadonlyMap<string, Uint8Array>, name: string): string =>
    Buffer.from(headers.get(name) ?? []).toString('utf8')
  const found = await lookup.find(
    [{ topic: config.TOPIC_DEAD_LETTERS, partition: place.partition, since: null }],
    ({ headers }) =>
      text(headers, '__connect.errors.topic') === place.topic &&
      text(headers, '__connect.errors.offset') === String(place.offset),
    { onProgress: onProgress(search) },
  )
  if (found === null) return null
  const position = `${found.topic}:${found.partition}:${found.offset}`
  const detail = text(found.headers, '__connect.errors.exception.message')
  return { kind: 'deadLetter', position, code: text(found.headers, 'sluice.error.code'), detail }
}

async function show(verdict: Verdict, { config, lookup }: Search, json: boolean): Promise<number> {
  const archive = new RulebookArchive(config.TOPIC_POLICIES, (topic) => lookup.all(topic))
  const found = await archive.find(verdict.policy)
  const again = found.kind === 'found' ? recomputed(verdict, found.rulebook) : null
  if (json) {
    const why = found.kind === 'missing' ? { why: found.why } : {}
    console.log(JSON.stringify({ verdict, recomputed: again ?? { equal: null, ...why } }, jsonValue, 2))
  } else {
    process.stdout.write(explain(verdict))
    console.log(found.kind === 'missing' ? `\nNot recomputed: ${found.why}.` : recomputedLine(again))
  }
  return again?.equal === true ? 0 : 1
}

const recomputed = (verdict: Verdict, { policy, calibration, certificates }: Rulebook): Recomputed =>
  recompute(verdict, policy, calibration, certificates)

const recomputedLine = (again: Recomputed | null): string =>
  again?.equal === true
    ? '\nDecided again from this record: the same verdict.'
    : `\nDecided again from this record: NOT the same; these fields differ: ${again?.differences.join(', ') ?? ''}`

/** JSON has no NaN and no bytes. */
function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer' && 'data' in value) {
    return Buffer.from(value.data as number[]).toString('base64')
  }
  return value
}

function showOther(answer: Exclude<Answer, { kind: 'verdict' }>, json: boolean): number {
  if (json) console.log(JSON.stringify(answer, null, 2))
  else if (answer.kind === 'none') console.error(`sluice explain: ${answer.why}`)
  else
    console.log(
      `Set aside as a dead letter, undecided: ${answer.code}: ${answer.detail}\nIts raw bytes lie at ${answer.position}.`,
    )
  return 1
}

const onProgress =
  ({ progress }: Search) =>
  ({ done, all }: { readonly done: number; readonly all: number }): void =>
    progress(`searched ${done} of ${all} records`)
