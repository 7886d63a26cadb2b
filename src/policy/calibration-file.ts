import { isSeq } from 'yaml'
import type { Calibration, CalibrationTable } from '../decision/calibration.ts'
import { digestOf } from './digest.ts'
import { entriesOf, Fields, isWhole, list, share, text, type Reader } from './fields.ts'
import { instant } from './instant.ts'
import type { Problem } from './problem.ts'
import { parseSource, startOf, type Source } from './source.ts'

export type LoadedCalibration =
  | { readonly kind: 'calibration'; readonly calibration: Calibration }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }

/**
 * Reads a calibration file (JSON or YAML), or says everything that is wrong with it; `file` is named in the problems.
 * The format is schemas/calibration.schema.json. Never throws.
 */
export function loadCalibration(text: string, file: string): LoadedCalibration {
  const parsed = parseSource(text, file)
  if (parsed.kind === 'problems') return parsed
  const { source, root } = parsed
  const place = { name: 'the calibration', keyOffset: 0, offset: startOf(root), node: root }
  const fields = Fields.of(source, place, ['$schema', 'tables'])
  const tables = fields?.required('tables', list(table, { min: 1, max: 500 }), 'List one table per model version.')
  reportOverlaps(source, tables ?? [])
  if (source.problems.length > 0 || tables === undefined) return { kind: 'problems', problems: source.problems }
  const calibration = { tables: tables.map((placed) => placed.table), digest: digestOf(text), text }
  return { kind: 'calibration', calibration }
}

type PlacedTable = { readonly table: CalibrationTable; readonly offset: number }

const name = text({ max: 200, hint: 'Write it as the events do.' })

const table: Reader<PlacedTable> = (source, value) => {
  const fields = Fields.of(source, value, ['model', 'action', 'scoreKind', 'points', 'intervals', 'expiresAt', 'fit'])
  if (fields === undefined) return undefined
  const parts = {
    model: fields.required('model', model, 'Name the model the scores come from: `{ name, version }`.'),
    action: fields.optional<string | null>('action', name, null),
    scoreKind: fields.optional('scoreKind', name, 'probability'),
    points: fields.required('points', points, 'List at least two pairs of raw and calibrated score.'),
    interval: fields.optional<CalibrationTable['interval']>('intervals', intervals, null),
    expiresAt: fields.optional<number | null>('expiresAt', instant, null),
  }
  const fit = fields.optional<unknown>('fit', provenance, null)
  return isWhole(parts) && fit !== undefined
    ? { table: { ...parts, digest: tableDigest(parts) }, offset: value.offset }
    : undefined
}

/** How a table was fitted is for people and reports: it decides nothing, and is not part of the table's digest. */
const provenance: Reader<unknown> = entriesOf

const model: Reader<CalibrationTable['model']> = (source, value) => {
  const fields = Fields.of(source, value, ['name', 'version'])
  if (fields === undefined) return undefined
  const parts = {
    name: fields.required('name', name, 'The `model.name` of the events.'),
    version: fields.required('version', name, 'The `model.version` of the events; a table holds for one version only.'),
  }
  return isWhole(parts) ? parts : undefined
}

/** Of the table in JSON with the keys in alphabetical order and no white space; intervals only where there are any. */
export function tableDigest({
  model,
  action,
  scoreKind,
  points,
  interval,
  expiresAt,
}: Omit<CalibrationTable, 'digest'>): string {
  const { name, version } = model
  const head = { action, expiresAt, ...(interval === null ? {} : { interval }) }
  return digestOf(JSON.stringify({ ...head, model: { name, version }, points, scoreKind }))
}

// ---- points -----------------------------------------------------------------------------------------------------

type Point = CalibrationTable['points'][number]

const points: Reader<readonly Point[]> = (source, value) => {
  let previous: Point | null = null
  const inOrder: Reader<Point> = (source, item) => {
    const found = point(source, item)
    if (found === undefined) return undefined
    if (previous !== null) reportDisorder(source, item.offset, previous, found)
    previous = found
    return found
  }
  return list(inOrder, { min: 2, max: 2_000 })(source, value)
}

const point: Reader<Point> = (source, value) => {
  if (isSeq(value.node) && value.node.items.length !== 2)
    return source.report(value.offset, 'a point needs two numbers', 'Write `[raw, calibrated]`, both from 0 to 1.')
  const [raw, calibrated] = list(share, { max: 2 })(source, value) ?? []
  return raw === undefined || calibrated === undefined ? undefined : [raw, calibrated]
}

/** Triples of raw score, lower and upper end. */
const intervals: Reader<NonNullable<CalibrationTable['interval']>> = (source, value) => {
  let previous: Triple | null = null
  const inOrder: Reader<Triple> = (source, item) => {
    const found = triple(source, item)
    if (found === undefined) return undefined
    if (previous !== null) {
      reportDisorder(source, item.offset, [previous[0], previous[1]], [found[0], found[1]])
      if (!(found[2] >= previous[2])) reportFall(source, item.offset, previous[2], found[2])
    }
    previous = found
    return found
  }
  const found = list(inOrder, { min: 2, max: 2_000 })(source, value)
  return found && { low: found.map(([raw, low]) => [raw, low]), high: found.map(([raw, , high]) => [raw, high]) }
}

type Triple = readonly [raw: number, low: number, high: number]

const triple: Reader<Triple> = (source, value) => {
  if (isSeq(value.node) && value.node.items.length !== 3)
    return source.report(value.offset, 'an interval needs three numbers', 'Write `[raw, low, high]`, all from 0 to 1.')
  const [raw, low, high] = list(share, { max: 3 })(source, value) ?? []
  if (raw === undefined || low === undefined || high === undefined) return undefined
  if (!(low <= high))
    return source.report(value.offset, `the lower end ${low} is above the upper end ${high}`, 'Exchange them.')
  return [raw, low, high]
}

/** A falling table would turn a surer model into a less trusted one. */
function reportDisorder(source: Source, offset: number, previous: Point, found: Point): void {
  if (!(found[0] > previous[0]))
    source.report(
      offset,
      `the raw score ${found[0]} does not follow ${previous[0]}`,
      'Raw scores must rise from point to point.',
    )
  if (!(found[1] >= previous[1])) reportFall(source, offset, previous[1], found[1])
}

const reportFall = (source: Source, offset: number, from: number, to: number): void =>
  source.report(
    offset,
    `the calibrated score falls from ${from} to ${to}`,
    'It must never fall: join points by isotonic regression.',
  )

// ---- overlaps ---------------------------------------------------------------------------------------------------

/** Two tables for the same scores would leave it open which one counts. */
function reportOverlaps(source: Source, tables: readonly PlacedTable[]): void {
  const first = new Map<string, number>()
  for (const { table, offset } of tables) {
    const key = JSON.stringify([table.model.name, table.model.version, table.action, table.scoreKind])
    const earlier = first.get(key)
    if (earlier === undefined) first.set(key, offset)
    else
      source.report(
        offset,
        'this table is for the same scores as an earlier one',
        `See line ${source.lineOf(earlier)}.`,
      )
  }
}
