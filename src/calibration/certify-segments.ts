import type { Certification, Demand } from './certification.ts'
import { certify } from './certify.ts'
import { oneRowPerCluster } from './clusters.ts'
import { at } from './column.ts'
import type { Random } from './random.ts'
import { poolOf, rowsAt, type Sample } from './sample.ts'

/** Labelled rows with the segment and the cluster of each; null where there are none. */
export type LabelledRows = {
  readonly sample: Sample
  readonly segments: readonly string[] | null
  readonly clusters: readonly string[] | null
}

export type UnlabelledRows = { readonly scores: Float64Array; readonly segments: readonly string[] | null }

export type SegmentCertification = Certification & { readonly segment: string }

/** The rows that one certification rests on: those of a segment, or all where it is null; of each cluster one at random. */
export type Part = {
  readonly segment: string | null
  readonly sample: Sample
  readonly segments: readonly string[] | null
  /** Unlabelled. */
  readonly scores: Float64Array
}

/**
 * One certification over all rows, which holds for their mix only, and one for each segment of the labelled or unlabelled
 * rows, in alphabetical order, which does not. `jointly` shares delta among the segments, so that all their promises hold at
 * once. Where rows have clusters, one random row of each counts, and so each cluster once.
 */
export function certifySegments(
  labelled: LabelledRows,
  unlabelled: UnlabelledRows,
  demand: Demand & { readonly jointly: boolean },
  random: Random,
): { readonly whole: Certification; readonly segments: readonly SegmentCertification[] } {
  const { whole, segments } = partsOf(labelled, unlabelled, random)
  const delta = deltaEach(demand, segments.length)
  return {
    whole: certifyPart(whole, demand),
    segments: segments.map((part) => ({ segment: part.segment, ...certifyPart(part, { ...demand, delta }) })),
  }
}

/** What each of so many segments may fail with. */
export const deltaEach = (demand: Demand & { readonly jointly: boolean }, segments: number): number =>
  demand.jointly ? demand.delta / Math.max(1, segments) : demand.delta

export const certifyPart = ({ sample, scores }: Part, demand: Demand): Certification =>
  certify(poolOf(sample), scores, demand)

/** All rows as one part, and each segment, in alphabetical order. */
export function partsOf(
  labelled: LabelledRows,
  unlabelled: UnlabelledRows,
  random: Random,
): { readonly whole: Part; readonly segments: readonly (Part & { readonly segment: string })[] } {
  const names = [...new Set([...(labelled.segments ?? []), ...(unlabelled.segments ?? [])])].sort()
  const whole = { segment: null, ...partOf(labelled, unlabelled, null, random) }
  return { whole, segments: names.map((segment) => ({ segment, ...partOf(labelled, unlabelled, segment, random) })) }
}

function partOf(
  labelled: LabelledRows,
  unlabelled: UnlabelledRows,
  segment: string | null,
  random: Random,
): Omit<Part, 'segment'> {
  const inSegment = placesOf(labelled.segments, segment, labelled.sample.scores.length)
  const { clusters, segments } = labelled
  const rows =
    clusters === null
      ? inSegment
      : oneRowPerCluster(
          Array.from(inSegment, (row) => clusters[row] ?? ''),
          random,
        ).map((place) => at(inSegment, place))
  const places = placesOf(unlabelled.segments, segment, unlabelled.scores.length)
  return {
    sample: rowsAt(labelled.sample, rows),
    segments: segments === null ? null : Array.from(rows, (row) => segments[row] ?? ''),
    scores: Float64Array.from(places, (row) => at(unlabelled.scores, row)),
  }
}

/** The rows of one segment; all of them when no segment is asked for. */
const placesOf = (segments: readonly string[] | null, segment: string | null, rows: number): Uint32Array =>
  Uint32Array.from({ length: rows }, (_, row) => row).filter((row) => segment === null || segments?.[row] === segment)
