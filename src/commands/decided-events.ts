import { createRecords } from '../avro/records.ts'
import type { Records } from '../avro/records.ts'
import { openRegistry } from '../avro/registry.ts'
import type { Config } from '../config.ts'
import { kafkaConnection, registryOptions } from '../connections.ts'
import type { ModelOutput } from '../decision/event.ts'
import type { Dimension } from '../decision/policy.ts'
import type { Verdict } from '../decision/verdict.ts'
import { LogLookup } from '../kafka/lookup.ts'
import { readReport } from '../monitor/watched-records.ts'
import type { LogRecord } from '../monitor/watched-records.ts'
import type { DecidedEvent } from '../watch/decided-sample.ts'
import type { Report } from '../watch/execution.ts'
import type { ModelVersion } from './model-version.ts'

/** Which decided events are meant; times in milliseconds since 1970, `action` null: every action of the model. */
export type Wanted = {
  readonly model: ModelVersion
  readonly action: string | null
  readonly scoreKind: string
  readonly segment: Dimension | null
  readonly cluster: Dimension | null
  readonly from: number
  readonly to: number
}

export type DecidedEvents = {
  /** In the order of their decisions. */
  readonly events: readonly DecidedEvent[]
  readonly reports: ReadonlyMap<string, readonly Report[]>
  /** Reviewed for a reason of their own, such as a rule or a limit, so that their score did not matter. */
  readonly otherwise: number
}

type Progress = (line: string) => void

/**
 * Joins the executed and reviewed events of a time range with what was reported of them. What was rejected is left out:
 * nobody labels it.
 */
export async function readDecidedEvents(config: Config, wanted: Wanted, progress: Progress): Promise<DecidedEvents> {
  await using open = new AsyncDisposableStack()
  const lookup = new LogLookup(kafkaConnection(config))
  open.defer(() => lookup.close())
  const registry = await openRegistry(registryOptions(config, () => undefined))
  open.defer(() => registry.close())
  const records = createRecords(registry, config.SLUICE_MAX_VERDICT_BYTES)
  const events = new Map<string, DecidedEvent>()
  let otherwise = 0
  for (const topic of [config.TOPIC_EXECUTE, config.TOPIC_REVIEW]) {
    await readAll(lookup, topic, wanted.from, progress, async (record) => {
      const verdict = await verdictOf(records, record)
      if (verdict === null || !isWanted(verdict, wanted)) return
      if (!isScored(verdict)) otherwise += 1
      // An executor executes the first, and a person is shown no second.
      else if (isFirst(events.get(verdict.actionKey), verdict)) events.set(verdict.actionKey, eventOf(verdict, wanted))
    })
  }
  const reports = new Map<string, Report[]>()
  await readAll(lookup, config.TOPIC_OUTCOMES, wanted.from, progress, async (record) => {
    const read = await readReport(records, record)
    if (read.kind === 'fault') throw new UnreadableRecord(record, read.fault.detail)
    if (read.value === null || !events.has(read.value.actionKey)) return
    const known = reports.get(read.value.actionKey)
    if (known === undefined) reports.set(read.value.actionKey, [read.value])
    else known.push(read.value)
  })
  const inOrder = [...events.values()].sort((a, b) => a.decidedAt - b.decidedAt || (a.actionKey < b.actionKey ? -1 : 1))
  return { events: inOrder, reports, otherwise }
}

/** Clocks of those who decide and of brokers may differ by so much, milliseconds. */
const CLOCK_SKEW_MS = 300_000

async function readAll(
  lookup: LogLookup,
  topic: string,
  from: number,
  progress: Progress,
  take: (record: LogRecord) => Promise<void>,
): Promise<void> {
  const search = { topic, partition: null, since: Math.max(0, from - CLOCK_SKEW_MS) }
  const onProgress = ({ done, all }: { readonly done: number; readonly all: number }): void =>
    progress(`${topic}: read ${done} of ${all} records`)
  const matches = async (record: LogRecord): Promise<false> => {
    await take(record)
    return false
  }
  await lookup.find([search], matches, { onProgress })
}

/** A record that is not what its topic is for: the data are not as they must be. */
export class UnreadableRecord extends Error {
  override readonly name = 'UnreadableRecord'

  constructor({ topic, partition, offset }: LogRecord, detail: string) {
    super(`${topic}:${partition}:${offset} cannot be read: ${detail}`)
  }
}

async function verdictOf(records: Records, record: LogRecord): Promise<Verdict | null> {
  const read = await records.decode('Verdict', record.topic, record.value)
  if (read.kind === 'fault') throw new UnreadableRecord(record, read.fault.detail)
  return read.value
}

const isWanted = ({ event, facts }: Verdict, { model, action, scoreKind, from, to }: Wanted): boolean =>
  event.model.name === model.name &&
  event.model.version === model.version &&
  (action === null || event.action === action) &&
  event.scoreKind === scoreKind &&
  facts.now >= from &&
  facts.now < to

/** Whether the score alone decided, or would have with a certificate and a calibration in force. */
const isScored = ({ findings }: Verdict): boolean =>
  findings.every(({ route, code }) => route === 'execute' || /^(calibration|confidence)\./.test(code))

const isFirst = (known: DecidedEvent | undefined, { facts }: Verdict): boolean =>
  known === undefined || facts.now < known.decidedAt

function eventOf(verdict: Verdict, { segment, cluster }: Wanted): DecidedEvent {
  const { actionKey, facts, audit, score, event } = verdict
  const isExecuted = verdict.route === 'execute'
  return {
    actionKey,
    decidedAt: facts.now,
    route: isExecuted ? 'execute' : 'review',
    selected: isExecuted ? audit.selected : true,
    propensity: isExecuted ? audit.propensity : 1,
    score: score.raw ?? Number.NaN,
    segment: valueOf(segment, event),
    cluster: valueOf(cluster, event),
  }
}

const valueOf = (dimension: Dimension | null, event: ModelOutput): string | null => dimension?.read(event) ?? null
