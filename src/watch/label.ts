import type { Missing, Report } from './execution.ts'

/** What is known of an action at its full age. */
export type Label = {
  /** `failed`: it was never done, so it was neither right nor wrong. */
  readonly label: 'right' | 'wrong' | 'failed' | 'missing'
  /** Labels after the first, and those among them that say the opposite; none of them counts. */
  readonly repeated: number
  readonly contradicting: number
}

/** The first label counts, by its record's time, then by its place; what came later than `maturesAt` does not. */
export function labelAt(reports: readonly Report[], maturesAt: number): Label {
  const inTime = reports.filter(({ at }) => at <= maturesAt)
  const [first, ...others] = inTime.filter(({ says }) => says !== 'failed').toSorted(inOrder)
  if (first === undefined) return { label: inTime.length > 0 ? 'failed' : 'missing', repeated: 0, contradicting: 0 }
  const contradicting = others.filter(({ says }) => says !== first.says).length
  return { label: first.says, repeated: others.length, contradicting }
}

const inOrder = (a: Report, b: Report): number =>
  a.at - b.at || a.place.partition - b.place.partition || a.place.offset - b.place.offset

/** 1: right; 0: wrong; null: it does not count. */
export const rightOf = ({ label }: Label, rule: Missing): 0 | 1 | null =>
  label === 'missing' ? ASSUMED[rule] : RIGHT[label]

const RIGHT = { right: 1, wrong: 0, failed: null } as const
const ASSUMED: Readonly<Record<Missing, 0 | 1 | null>> = { 'assume-wrong': 0, 'assume-right': 1, exclude: null }
