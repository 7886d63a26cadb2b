import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { percent } from '../decision/words.ts'
import type { Config } from '../config.ts'
import { dimensionOf } from '../policy/dimension.ts'
import { parseDuration } from '../policy/duration.ts'
import { sampleOf, type DecidedEvent, type SampleCounts, type SampledEvent } from '../watch/decided-sample.ts'
import type { CountingRules, Missing } from '../watch/execution.ts'
import { calibrateScores, type CalibrateOptions } from './calibrate.ts'
import { certifyThreshold, type CertifyOptions } from './certify.ts'
import { readDecidedEvents, type Wanted } from './decided-events.ts'
import { modelOf } from './model-version.ts'
import { clearProgress, progressLine } from './progress.ts'
import { readToolConfig } from './tool-config.ts'

/** What narrows down the decided events; the rest is as for files. */
export type TopicOptions = {
  readonly model?: string
  readonly action?: string
  readonly scoreKind: string
  /** An ISO 8601 time, or a duration before now such as 7d. */
  readonly from?: string
  readonly to?: string
  readonly segment?: string
  readonly cluster?: string
  /** A duration; the monitor's setting if not given. */
  readonly maturity?: string
  readonly missing?: Missing
  readonly out?: string
  readonly json: boolean
  readonly print?: (line: string) => void
  readonly complain?: (line: string) => void
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

type FilesOf<O> = Omit<O, 'csv' | 'labelled' | 'unlabelled' | 'score' | 'label' | 'labelMeans' | 'time'>

/** `sluice certify --from-topics`: answers as `sluice certify` does. */
export const certifyFromTopics = (
  file: string | undefined,
  options: FilesOf<CertifyOptions> & TopicOptions,
): Promise<0 | 1 | 2> =>
  withRows(file, options, GRID_SHARE, (rows, columns) => certifyThreshold({ ...options, ...columns, ...rows }))

/** `sluice calibrate --from-topics`: answers as `sluice calibrate` does. */
export const calibrateFromTopics = (
  file: string | undefined,
  options: FilesOf<CalibrateOptions> & TopicOptions,
): Promise<0 | 1 | 2> =>
  withRows(file, options, 0, ({ labelled }, columns) => calibrateScores({ ...options, ...columns, csv: labelled }))

/** The first of the events lay out the thresholds, and their labels are not used, so that the grid is free of labels. */
const GRID_SHARE = 0.2

type Rows = { readonly labelled: string; readonly unlabelled: string }
type Columns = {
  readonly score: string
  readonly label: string
  readonly labelMeans: 'right'
  readonly time: string
  readonly segment?: string
  readonly cluster?: string
}

/**
 * Writes the joined rows to two CSV files, beside what is written where something is, so that every figure can be had again
 * from them, and goes on with these.
 */
async function withRows(
  file: string | undefined,
  options: TopicOptions,
  gridShare: number,
  run: (rows: Rows, columns: Columns) => Promise<0 | 1 | 2>,
): Promise<0 | 1 | 2> {
  const config = readToolConfig(file)
  const now = (options.now ?? Date.now)()
  const asked = askedOf(config, options, now)
  if (asked.kind === 'problems') return told(asked.problems, options)
  const found = await readDecidedEvents(config, asked.wanted, progressLine).finally(clearProgress)
  const split = Math.floor(found.events.length * gridShare)
  const [before, after] = [found.events.slice(0, split), found.events.slice(split)]
  const { rows, counts } = sampleOf(after, found.reports, asked.rules, now)
  const problem = sampleProblem(found.events, counts)
  if (problem !== null) return told([problem], options)
  for (const line of countLines(counts, found.otherwise, before.length)) say(line, options)
  await using open = new AsyncDisposableStack()
  const stem = options.out ?? (await scratchFile(open))
  const written = await writeRows(stem, before, rows, options)
  return await run(written, {
    score: 'score',
    label: 'right',
    labelMeans: 'right',
    time: 'time',
    ...(options.segment !== undefined && { segment: 'segment' }),
    ...(options.cluster !== undefined && { cluster: 'cluster' }),
  })
}

function told(problems: readonly string[], { complain = console.error }: TopicOptions): 2 {
  for (const line of problems) complain(line)
  return 2
}

/** Beside JSON, what is for people goes to standard error. */
const say = (line: string, { json, print = console.log }: TopicOptions): void =>
  json ? console.error(line) : print(line)

type Asked =
  | { readonly kind: 'asked'; readonly wanted: Wanted; readonly rules: CountingRules }
  | { readonly kind: 'problems'; readonly problems: readonly string[] }

function askedOf(config: Config, options: TopicOptions, now: number): Asked {
  const problems: string[] = []
  const need = <T>(value: T | string): T | null => {
    if (typeof value !== 'string') return value
    problems.push(value)
    return null
  }
  const model = need(
    options.model === undefined
      ? '--from-topics: add --model NAME@VERSION, whose scores are meant'
      : modelOf(options.model),
  )
  const from = need(timeOf('--from', options.from, 0, now))
  const to = need(timeOf('--to', options.to, now, now))
  const segment = need(eventValueOf('--segment', options.segment))
  const cluster = need(eventValueOf('--cluster', options.cluster))
  const maturityMs = need(maturityOf(config, options.maturity))
  if (from !== null && to !== null && !(from < to)) problems.push('--from: it must be before --to')
  if (model === null || from === null || to === null || maturityMs === null || problems.length > 0)
    return { kind: 'problems', problems }
  const { action = null, scoreKind } = options
  const rules = { maturityMs, missing: options.missing ?? config.SLUICE_MISSING_LABEL }
  return { kind: 'asked', wanted: { model, action, scoreKind, segment, cluster, from, to }, rules }
}

/** Milliseconds since 1970, or what is wrong. */
function timeOf(option: string, text: string | undefined, standard: number, now: number): number | string {
  if (text === undefined) return standard
  const ago = parseDuration(text)
  const time = ago === null ? Date.parse(text) : now - ago
  return Number.isNaN(time)
    ? `${option} ${text}: write a time such as 2026-11-24T12:00:00Z, or how long ago, such as 7d`
    : time
}

function maturityOf(config: Config, text: string | undefined): number | string {
  if (text === undefined) return config.SLUICE_MATURITY_MS
  return parseDuration(text) ?? `--maturity ${text}: write a duration such as 24h`
}

function eventValueOf(option: string, path: string | undefined): ReturnType<typeof dimensionOf> | string {
  if (path === undefined) return null
  return (
    dimensionOf(path) ?? `${option} ${path}: it is no value of an event, such as subject.owner or attributes.category`
  )
}

function sampleProblem(events: readonly DecidedEvent[], { executed, reviewed, share }: SampleCounts): string | null {
  if (events.length === 0)
    return 'no such event was executed or reviewed in that time: are model, action and score kind as in the events?'
  if (executed + reviewed === 0)
    return `none of ${events.length} events is of full age; --maturity says after which time a label is not waited for any more`
  if (share > 0) return null
  return `of ${executed} executed events some had an audit share of 0, so that nothing is known of them; let the policy audit, or leave them out with --from`
}

function countLines(it: SampleCounts, otherwise: number, grid: number): readonly string[] {
  const decided = it.executed + it.reviewed
  const seen = decided + it.immature
  return [
    `topics     ${it.executed} executed events, ${it.audited} of them audited, and ${it.reviewed} reviewed ones of full age` +
      (grid > 0 ? `, after ${grid} that lay out the thresholds` : ''),
    `           ${percent(it.share)} of each kind count, the smallest share that was to be labelled; ` +
      `${it.missing} of these have no label: ${it.rule}`,
    `           ${it.immature} are too young (${percent(it.immature / Math.max(1, seen))}), ${it.failed} were not done, ` +
      `${otherwise} were reviewed for other reasons than their score`,
    ...(it.repeated > 0
      ? [
          `           ${it.repeated} labels were said again, ${it.contradicting} of them contradict the first, which counts`,
        ]
      : []),
  ]
}

async function scratchFile(open: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-rows-'))
  open.defer(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'rows')
}

async function writeRows(
  stem: string,
  before: readonly DecidedEvent[],
  rows: readonly SampledEvent[],
  options: TopicOptions,
): Promise<Rows> {
  const names = { labelled: `${stem}.labelled.csv`, unlabelled: `${stem}.unlabelled.csv` }
  const header = 'time,action_key,score,right,segment,cluster'
  const labelled = rows.map(({ event, right }) => rowOf(event, String(right)))
  await writeFile(names.labelled, `${[header, ...labelled].join('\n')}\n`)
  if (before.length > 0)
    await writeFile(names.unlabelled, `${[header, ...before.map((it) => rowOf(it, ''))].join('\n')}\n`)
  if (options.out !== undefined)
    say(`           rows in ${names.labelled}${before.length > 0 ? ` and ${names.unlabelled}` : ''}`, options)
  return names
}

const rowOf = ({ decidedAt, actionKey, score, segment, cluster }: DecidedEvent, right: string): string =>
  [
    new Date(decidedAt).toISOString(),
    actionKey,
    Number.isNaN(score) ? '' : String(score),
    right,
    quoted(segment),
    quoted(cluster),
  ].join()

const quoted = (text: string | null): string => `"${(text ?? '').replaceAll('"', '""')}"`
