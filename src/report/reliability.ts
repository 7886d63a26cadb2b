import { noiseFloor } from '../calibration/calibration-error.ts'
import { chooseMap, ROWS_FOR_A_MAP } from '../calibration/choose-map.ts'
import { at } from '../calibration/column.ts'
import { consistencyBand } from '../calibration/consistency-band.ts'
import { brierParts, type BrierParts } from '../calibration/corp.ts'
import { measuresOf, type Measures } from '../calibration/fit-report.ts'
import { isotonicBlocks } from '../calibration/isotonic.ts'
import { auroc } from '../calibration/metrics.ts'
import type { Random } from '../calibration/random.ts'
import { poolOf, type Pooled, type Sample } from '../calibration/sample.ts'
import type { MapKind, ScoreMap } from '../calibration/score-map.ts'

/**
 * A CORP reliability diagram (PNAS 2021): how often rows of a score are right by isotonic regression, where that curve would
 * lie in 90 of 100 samples if the scores were exactly right, and how many rows have which score.
 */
export type Diagram = {
  readonly curve: readonly (readonly [score: number, right: number])[]
  readonly band: readonly { readonly score: number; readonly low: number; readonly high: number }[]
  /** Rows in forty bins of equal width from 0 to 1. */
  readonly histogram: readonly number[]
  /** What all but the lowest half percent of the scores are above. */
  readonly lowest: number
  readonly measures: Measures
  readonly parts: BrierParts
  readonly noiseFloor: { readonly mean: number; readonly p95: number }
}

export type Reliability = {
  readonly rows: number
  readonly right: number
  /** The chance that a right row has a higher score than a wrong one; null where all labels are the same. */
  readonly auroc: number | null
  readonly before: Diagram
  /** By maps fitted without the row they are measured on; null where no map can be fitted. */
  readonly after: (Diagram & { readonly kind: MapKind }) | null
  readonly withoutMap: string | null
}

/** `map` is what the scores are calibrated with elsewhere in the report. */
export type FittedReliability = { readonly shown: Reliability; readonly map: ScoreMap | null }

export function reliabilityOf(sample: Sample, random: Random): FittedReliability {
  const pooled = poolOf(sample)
  const hasBoth = pooled.rightRows > 0 && pooled.rightRows < pooled.rows
  const chosen = hasBoth ? chooseMap(sample, random) : null
  const before = diagramOf(pooled, random)
  const after = chosen === null ? null : diagramOf(poolOf({ scores: chosen.outOfFold, right: sample.right }), random)
  const shown = {
    rows: pooled.rows,
    right: pooled.rightRows / pooled.rows,
    auroc: hasBoth ? auroc(pooled) : null,
    before,
    after: after === null || chosen === null ? null : { kind: chosen.map.kind, ...after },
    withoutMap: chosen === null ? whyNone(pooled, hasBoth) : null,
  }
  return { shown, map: chosen?.map ?? null }
}

const whyNone = ({ rows }: Pooled, hasBoth: boolean): string =>
  hasBoth
    ? `No map was fitted: there are ${rows} labelled rows, and ${ROWS_FOR_A_MAP} are needed.`
    : 'No map was fitted: all labels are the same, and a map is learnt from both.'

const BINS = 40

function diagramOf(pooled: Pooled, random: Random): Diagram {
  const blocks = isotonicBlocks(pooled)
  const scores = placesOf(pooled)
  const band = consistencyBand(pooled, scores, random).map((interval, index) => ({
    score: at(scores, index),
    ...interval,
  }))
  const histogram = Array.from({ length: BINS }, () => 0)
  for (const [group, score] of pooled.scores.entries()) {
    const bin = Math.min(BINS - 1, Math.floor(score * BINS))
    histogram[bin] = (histogram[bin] ?? 0) + at(pooled.counts, group)
  }
  return {
    curve: blocks.flatMap(({ from, to, share }) => [
      [from, share] as const,
      ...(to > from ? [[to, share] as const] : []),
    ]),
    band,
    histogram,
    lowest: quantile(pooled, 0.005),
    measures: measuresOf(pooled),
    parts: brierParts(pooled, blocks),
    noiseFloor: noiseFloor(spread(pooled), random),
  }
}

/** Where the band is drawn: evenly over the scores there are, and closer where most rows lie. */
function placesOf(pooled: Pooled): readonly number[] {
  const { scores } = pooled
  if (scores.length <= 60) return [...scores]
  const [first, last] = [at(scores, 0), at(scores, scores.length - 1)]
  const steps = Array.from({ length: 31 }, (_, step) => step / 30)
  const places = [...steps.map((step) => first + (last - first) * step), ...steps.map((it) => quantile(pooled, it))]
  return [...new Set(places)].sort((a, b) => a - b)
}

/** The score that so many of the rows do not exceed. */
function quantile({ scores, counts, rows }: Pooled, share: number): number {
  let seen = 0
  for (const [group, score] of scores.entries()) {
    seen += at(counts, group)
    if (seen >= share * rows) return score
  }
  return at(scores, scores.length - 1)
}

/** One score for each row. */
function spread({ scores, counts, rows }: Pooled): Float64Array {
  const spread = new Float64Array(rows)
  let row = 0
  for (const [group, score] of scores.entries()) {
    spread.fill(score, row, row + at(counts, group))
    row += at(counts, group)
  }
  return spread
}
