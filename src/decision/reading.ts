import type { Calibration, CalibrationTable } from './calibration.ts'
import type { ModelOutput } from './event.ts'
import type { ActionRule } from './policy.ts'
import type { Score } from './verdict.ts'
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
}

export function readScore(event: ModelOutput, rule: ActionRule | null, calibration: Calibration, now: number): Reading {
  const problem = problemOf(event.confidence)
  // Adding 0 makes 0 of −0.
  const raw = problem === null && event.confidence !== null ? event.confidence + 0 : null
  const match = matchTable(event, calibration.tables, now)
  const calibrated = rule === null || raw === null ? null : applyTable(match, raw, rule)
  return { raw, problem, match, calibrated }
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

/** The score as the verdict records it. */
export function scoreOf({ raw, match, calibrated }: Reading, rule: ActionRule | null): Score {
  const execute = rule?.confidence.execute ?? null
  const reject = rule?.confidence.reject ?? null
  const isCalibrated = calibrated !== null && match.kind !== 'none'
  return {
    raw,
    calibrated,
    execute,
    reject,
    margin: marginOf(calibrated, execute, reject),
    calibrator: isCalibrated ? match.table.digest : null,
    certificate: null,
  }
}

/** Distance to the nearest edge, positive above it; of two equally near, to the execute edge. */
function marginOf(calibrated: number | null, execute: number | null, reject: number | null): number | null {
  if (calibrated === null) return null
  if (execute === null) return reject === null ? null : calibrated - reject
  const toExecute = calibrated - execute
  if (reject === null) return toExecute
  const toReject = calibrated - reject
  return Math.abs(toReject) < Math.abs(toExecute) ? toReject : toExecute
}
