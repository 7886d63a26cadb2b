/** Where a record lies in its topic. */
export type Place = { readonly partition: number; readonly offset: number }

/** An executed event that was picked for audit, as its verdict tells of it. Times in milliseconds since 1970. */
export type AuditedExecution = {
  readonly place: Place
  readonly actionKey: string
  readonly decidedAt: number
  /** The chance with which it was picked, above 0. */
  readonly propensity: number
  readonly score: number
  /** What it was executed on, and what that promised. */
  readonly certificate: string
  readonly segment: string | null
  readonly risk: number
  readonly assurance: number
}

/**
 * An execution on a certificate that cannot be watched: errors among all events are promised there, and whether those are too
 * many does not show among the executed ones.
 */
export type UnwatchedExecution = { readonly unwatched: string }

/** Said of its certificate. */
export const UNWATCHED =
  'is not watched, since it bounds errors among all events and only executed ones are audited: ' +
  'certify with `--budget per-execution` for one that is'

/** What somebody said of an action: a label, or that nothing was done. `at` is the record's own time. */
export type Report = {
  readonly place: Place
  readonly actionKey: string
  readonly at: number
  readonly says: 'right' | 'wrong' | 'failed'
}

/** What an action that nobody labelled in time counts as. */
export const MISSING = ['assume-wrong', 'assume-right', 'exclude'] as const
export type Missing = (typeof MISSING)[number]

/** By what rules outcomes are counted: at which age, in milliseconds, and what a missing label means. */
export type CountingRules = { readonly maturityMs: number; readonly missing: Missing }
