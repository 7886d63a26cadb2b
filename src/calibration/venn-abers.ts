import { at, countBelow } from './column.ts'
import type { Pooled } from './sample.ts'

/** Between which probabilities of being right a score lies; wide where there are few rows. */
export type Interval = { readonly low: number; readonly high: number }

/**
 * The inductive Venn–Abers interval of every score: the isotonic value it would get if it had been an error, and if it had
 * been right (Vovk, Petej, Fedorova: "Large-scale probabilistic predictors with and without guarantees of validity", NIPS
 * 2015, algorithms 1 to 4). Linear in the distinct scores once, then one search for each question.
 */
export function vennAbers(pooled: Pooled): (score: number) => Interval {
  const { scores } = pooled
  const highs = valuesIfRight(groupsOf(pooled))
  const lows = valuesIfRight(mirrored(groupsOf(pooled))).toReversed()
  return (score) => {
    const next = countBelow(scores, score)
    const last = scores[next] === score ? next : next - 1
    return { low: last < 0 ? 0 : 1 - at(lows, last), high: next === scores.length ? 1 : at(highs, next) }
  }
}

type Group = { readonly rows: number; readonly rights: number }

const groupsOf = ({ counts, rights }: Pooled): readonly Group[] =>
  Array.from(counts, (rows, group) => ({ rows, rights: at(rights, group) }))

/** Scores turned round and right taken for wrong: what held for the upper ends then holds for the lower ones. */
const mirrored = (groups: readonly Group[]): readonly Group[] =>
  groups.map(({ rows, rights }) => ({ rows, rights: rows - rights })).toReversed()

type Point = readonly [rows: number, rights: number]

/** Above 0 when the way from a over b to c turns left, which it does at every corner of a convex line. */
const turn = (a: Point, b: Point, c: Point): number => (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])

const slope = (a: Point, b: Point): number => (b[1] - a[1]) / (b[0] - a[0])

/**
 * For every group the isotonic value of one more right row just before it. That row is a step (1, 1) in the line of
 * cumulated rows and right rows; it wanders to the right group by group, and the convex line below is repaired at its left
 * end, which was popped for good: each point is pushed and popped once.
 */
function valuesIfRight(groups: readonly Group[]): Float64Array {
  const path = cumulated(groups)
  const corners = lowerCorners([[-1, -1], ...path]).toReversed()
  const values = new Float64Array(groups.length)
  for (let group = 0; group < groups.length; group++) {
    const [first, second] = [corners.at(-1) ?? ORIGIN, corners.at(-2) ?? ORIGIN]
    values[group] = slope(first, second)
    const [rows, rights] = path[group + 1] ?? ORIGIN
    const moved: Point = [rows - 1, rights - 1]
    if (turn(first, second, moved) >= 0) continue
    corners.pop()
    while (corners.length > 1 && turn(moved, corners.at(-1) ?? ORIGIN, corners.at(-2) ?? ORIGIN) <= 0) corners.pop()
    corners.push(moved)
  }
  return values
}

const ORIGIN: Point = [0, 0]

function cumulated(groups: readonly Group[]): readonly Point[] {
  const path: Point[] = [ORIGIN]
  let [rows, rights] = ORIGIN
  for (const group of groups) path.push([(rows += group.rows), (rights += group.rights)])
  return path
}

/** The corners of the greatest convex line that stays below the points, which come from left to right. */
function lowerCorners(points: readonly Point[]): Point[] {
  const corners: Point[] = []
  for (const point of points) {
    while (corners.length > 1 && turn(corners.at(-2) ?? ORIGIN, corners.at(-1) ?? ORIGIN, point) <= 0) corners.pop()
    corners.push(point)
  }
  return corners
}
