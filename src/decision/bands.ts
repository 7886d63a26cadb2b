import type { Matter } from './matter.ts'

/** On the calibrated score: `execute` is reached at or above it, `reject` is the higher of both edges; null: no edge. */
export type Bands = { readonly execute: number | null; readonly reject: number | null }

/** The author's own edges, and those that cost least; the stricter of each counts. */
export function bandsOf({ rule, weighed }: Pick<Matter, 'rule' | 'weighed'>): Bands {
  const execute = rule?.confidence.execute ?? null
  const reject = rule?.confidence.reject ?? null
  if (weighed.kind !== 'weighed') return { execute, reject }
  const isPossible = execute !== null || (rule?.confidence.certified ?? null) !== null
  return {
    execute: isPossible ? Math.max(execute ?? 0, weighed.execute) : null,
    reject: Math.max(reject ?? 0, weighed.reject),
  }
}
