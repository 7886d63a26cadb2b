import { calibrationError, noiseFloor } from './calibration-error.ts'
import { chooseMap, ROWS_FOR_A_MAP, type Candidate } from './choose-map.ts'
import { at, type Column } from './column.ts'
import { brierParts, type BrierParts } from './corp.ts'
import { auroc, logLoss, meanLoss } from './metrics.ts'
import type { Random } from './random.ts'
import type { Refusal } from './refusal.ts'
import { poolOf, type Pooled, type Sample } from './sample.ts'
import { pointsOf, type ScoreMap } from './score-map.ts'
import { smoothCalibrationError } from './smooth-error.ts'
import { vennAbers } from './venn-abers.ts'

export type Measures = {
  readonly logLoss: number
  readonly brier: number
  readonly calibrationError: number
  readonly smoothError: number
  /** The mean score. */
  readonly said: number
}

export type SegmentMeasures = {
  readonly segment: string
  readonly rows: number
  /** The mean score after the map, and the share of right rows. */
  readonly said: number
  readonly right: number
}

/** One place of the map: raw and calibrated score, its Venn–Abers interval, and the share of rows below or at it. */
export type Place = {
  readonly score: number
  readonly calibrated: number
  readonly low: number
  readonly high: number
  readonly rowsUpTo: number
}

export type FitReport = {
  readonly rows: number
  readonly right: number
  readonly map: Pick<ScoreMap, 'kind' | 'parameters'>
  readonly candidates: readonly Candidate[]
  readonly auroc: number
  readonly before: Measures
  /** By maps fitted without the row they are measured on. */
  readonly after: Measures
  /** What chance alone would make of the calibration error after the map. */
  readonly noiseFloor: { readonly mean: number; readonly p95: number }
  readonly parts: BrierParts
  readonly places: readonly Place[]
  /** Those whose scores are furthest off come first. */
  readonly segments: readonly SegmentMeasures[]
  readonly points: ReturnType<typeof pointsOf>
  /** Raw score and the ends of its Venn–Abers interval, in at most 100 places. */
  readonly intervals: readonly (readonly [raw: number, low: number, high: number])[]
}

/** The chosen map and what it does to the scores, or why none can be fitted. `segments` are those of the rows. */
export function fitReport(sample: Sample, segments: readonly string[] | null, random: Random): FitReport | Refusal {
  const pooled = poolOf(sample)
  if (pooled.rows >= ROWS_FOR_A_MAP && (pooled.rightRows === 0 || pooled.rightRows === pooled.rows))
    return oneClass(pooled)
  const chosen = chooseMap(sample, random)
  if (chosen === null) return tooFew(pooled)
  const { map, candidates, outOfFold } = chosen
  return {
    rows: pooled.rows,
    right: pooled.rightRows / pooled.rows,
    map: { kind: map.kind, parameters: map.parameters },
    candidates,
    auroc: auroc(pooled),
    before: measuresOf(pooled),
    after: measuresOf(poolOf({ scores: outOfFold, right: sample.right })),
    noiseFloor: noiseFloor(outOfFold, random),
    parts: brierParts(pooled),
    places: placesOf(pooled, map),
    segments: segmentsOf(outOfFold, sample.right, segments ?? []),
    points: pointsOf(map, pooled),
    intervals: intervalsOf(pooled),
  }
}

function tooFew({ rows }: Pooled): Refusal {
  const detail = `no map: ${rows} independent rows with a score, ${ROWS_FOR_A_MAP} needed`
  return { code: 'labels.too_few', detail, labelsNeeded: ROWS_FOR_A_MAP }
}

function oneClass({ rows, rightRows }: Pooled): Refusal {
  const detail = `no map: all ${rows} labels say ${rightRows === 0 ? 'error' : 'right'}, and a map is learnt from both`
  return { code: 'labels.one_class', detail, labelsNeeded: null }
}

export function measuresOf(pooled: Pooled): Measures {
  const { brier } = brierParts(pooled)
  const said = pooled.scores.reduce((sum, score, group) => sum + score * at(pooled.counts, group), 0) / pooled.rows
  return {
    logLoss: meanLoss(pooled, logLoss),
    brier,
    calibrationError: calibrationError(pooled),
    smoothError: smoothCalibrationError(pooled),
    said,
  }
}

/** Where so many of all rows lie at or below the score. */
const SHARES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1] as const

function placesOf(pooled: Pooled, map: ScoreMap): readonly Place[] {
  const interval = vennAbers(pooled)
  const places: Place[] = []
  let rows = 0
  for (const [group, score] of pooled.scores.entries()) {
    const before = rows / pooled.rows
    rows += at(pooled.counts, group)
    const rowsUpTo = rows / pooled.rows
    if (SHARES.some((share) => before < share && share <= rowsUpTo))
      places.push({ score, calibrated: map.apply(score), ...interval(score), rowsUpTo })
  }
  return places
}

const INTERVALS_MAX = 100

/** At so many scores, with equally many rows between them, the ends among them. */
function intervalsOf(pooled: Pooled): FitReport['intervals'] {
  const interval = vennAbers(pooled)
  const chosen = [...new Set(quantiles(pooled))].map((score) => [score, interval(score)] as const)
  let [low, high] = [0, 0]
  // Binary fractions may let an end fall by a hair where it stands still.
  return chosen.map(([score, it]) => [score, (low = Math.max(low, it.low)), (high = Math.max(high, it.high))])
}

function quantiles({ scores, counts, rows }: Pooled): readonly number[] {
  const places: number[] = [at(scores, 0)]
  let seen = 0
  for (let group = 0; group < scores.length; group++) {
    const before = Math.floor((seen / rows) * (INTERVALS_MAX - 2))
    seen += at(counts, group)
    if (Math.floor((seen / rows) * (INTERVALS_MAX - 2)) > before) places.push(at(scores, group))
  }
  return [...places, at(scores, scores.length - 1)]
}

function segmentsOf(said: Column, right: Column, segments: readonly string[]): readonly SegmentMeasures[] {
  const sums = new Map<string, { rows: number; said: number; right: number }>()
  for (const [row, segment] of segments.entries()) {
    const sum = sums.get(segment) ?? { rows: 0, said: 0, right: 0 }
    sums.set(segment, { rows: sum.rows + 1, said: sum.said + at(said, row), right: sum.right + at(right, row) })
  }
  const off = (it: SegmentMeasures): number => Math.abs(it.said - it.right)
  return [...sums]
    .map(([segment, { rows, said, right }]) => ({ segment, rows, said: said / rows, right: right / rows }))
    .sort((a, b) => off(b) - off(a))
}
