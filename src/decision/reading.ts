import type { Calibration, CalibrationTable } from './calibration.ts'
import type { ModelOutput } from './event.ts'
import type { ActionRule } from './policy.ts'
import { calibrate } from './calibrate.ts'

export type ScoreProblem = 'missing' | 'invalid' | 'out_of_range'

/** `lapsed`: the table is applied nonetheless, for people to see. `other_version`: there is one, but not for this model. */
export type TableMatch =
  | { readonly kind: 'found' | 'lapsed'; readonly table: CalibrationTable }
  | { readonly kind: 'other_version'; readonly table: CalibrationTable }
  | { readonly kind: 'none' }

/** What the event's score says. `raw` is null exactly when there is a problem; `calibrated` when no band can be applied. */
export type Reading = {
  readonly raw: number | null
  readonly problem: ScoreProblem | null
  readonly match: TableMatch
  readonly calibrated: number | null
  /** Between which probabilities of being right the score lies; null where its table does not say. */
  readonly interval: { readonly low: number; readonly high: number } | null
}

export function readScore(event: ModelOutput, rule: ActionRule | null, calibration: Calibration, now: number): Reading {
  const problem = problemOf(event.confidence)
  // Adding 0 makes 0 of −0.
  const raw = problem === null && event.confidence !== null ? event.confidence + 0 : null
  const match = matchTable(event, calibration.tables, now)
  const calibrated = rule === null || raw === null ? null : applyTable(match, raw, rule)
  const interval = calibrated === null || raw === null ? null : intervalOf(match, raw)
  return { raw, problem, match, calibrated, interval }
}

function problemOf(confidence: number | null): ScoreProblem | null {
  if (confidence === null) return 'missing'
  if (!Number.isFinite(confidence)) return 'invalid'
  return confidence >= 0 && confidence <= 1 ? null : 'out_of_range'
}

const NO_TABLE: TableMatch = { kind: 'none' }

/** A table for the action goes before one for every action of the model. */
function matchTable(event: ModelOutput, tables: readonly CalibrationTable[], now: number): TableMatch {
  let general: CalibrationTable | null = null
  let foreign: CalibrationTable | null = null
  for (const table of tables) {
    if (!isAbout(table, event)) continue
    if (table.model.version !== event.model.version) foreign = table
    else if (table.action !== null) return inTime(table, now)
    else general = table
  }
  if (general !== null) return inTime(general, now)
  return foreign === null ? NO_TABLE : { kind: 'other_version', table: foreign }
}

const isAbout = (table: CalibrationTable, event: ModelOutput): boolean =>
  table.model.name === event.model.name &&
  table.scoreKind === event.scoreKind &&
  (table.action === null || table.action === event.action)

const inTime = (table: CalibrationTable, now: number): TableMatch => ({
  kind: table.expiresAt === null || table.expiresAt > now ? 'found' : 'lapsed',
  table,
})

/**
 * Bands are meant for the score they were set on: where a table is required, or exists for another version, the raw
 * score is held against none.
 */
function applyTable(match: TableMatch, raw: number, rule: ActionRule): number | null {
  if (match.kind === 'found' || match.kind === 'lapsed') return calibrate(match.table.points, raw)
  return match.kind === 'other_version' || rule.confidence.calibrated === 'required' ? null : raw
}

function intervalOf(match: TableMatch, raw: number): Reading['interval'] {
  if (match.kind === 'none' || match.kind === 'other_version' || match.table.interval === null) return null
  const { low, high } = match.table.interval
  return { low: calibrate(low, raw), high: calibrate(high, raw) }
}
