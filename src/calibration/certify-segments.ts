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
  const names = [...new Set([...(labelled.segments ?? []), ...(unlabelled.segments ?? [])])].sort()
  const delta = demand.jointly ? demand.delta / Math.max(1, names.length) : demand.delta
  const whole = certifyPart(labelled, unlabelled, null, demand, random)
  const segments = names.map((segment) => ({
    segment,
    ...certifyPart(labelled, unlabelled, segment, { ...demand, delta }, random),
  }))
  return { whole, segments }
}

function certifyPart(
  labelled: LabelledRows,
  unlabelled: UnlabelledRows,
  segment: string | null,
  demand: Demand,
  random: Random,
): Certification {
  const inSegment = placesOf(labelled.segments, segment, labelled.sample.scores.length)
  const { clusters } = labelled
  const rows =
    clusters === null
      ? inSegment
      : oneRowPerCluster(
          Array.from(inSegment, (row) => clusters[row] ?? ''),
          random,
        ).map((place) => at(inSegment, place))
  const places = placesOf(unlabelled.segments, segment, unlabelled.scores.length)
  const scores = Float64Array.from(places, (row) => at(unlabelled.scores, row))
  return certify(poolOf(rowsAt(labelled.sample, rows)), scores, demand)
}

/** The rows of one segment; all of them when no segment is asked for. */
const placesOf = (segments: readonly string[] | null, segment: string | null, rows: number): Uint32Array =>
  Uint32Array.from({ length: rows }, (_, row) => row).filter((row) => segment === null || segments?.[row] === segment)
