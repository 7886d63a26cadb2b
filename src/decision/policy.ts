import type { Budget } from './certificate.ts'
import type { Costs } from './costs.ts'
import type { Attributes, ModelOutput } from './event.ts'
import type { Route } from './route.ts'

/** How well an executed action can be taken back. */
export type Undo = 'reversible' | 'compensable' | 'irreversible'

/**
 * The share of wrong executions allowed, and the probability with which that promise must hold; both in (0, 1). `segment`
 * reads which segment an event belongs to, whose own certificate counts; null: the one for all traffic does.
 */
export type CertificateDemand = {
  readonly risk: number
  readonly assurance: number
  readonly budget: Budget
  readonly segment: Dimension | null
}

/**
 * When a calibrated score is enough. `execute`: at or above it may be executed (null: never on a static threshold);
 * `reject`: below it is rejected (null: never); `calibrated`: whether a calibration table must apply.
 */
export type ConfidenceRule = {
  readonly execute: number | null
  readonly certified: CertificateDemand | null
  readonly reject: number | null
  readonly calibrated: 'required' | 'optional'
}

export type ActionRule = {
  readonly action: string
  readonly undo: Undo
  readonly confidence: ConfidenceRule
  /** null: mistakes and looks are not weighed against each other. */
  readonly costs: Costs | null
  /** How long after the decision an execute verdict may still be acted on, milliseconds. */
  readonly executeWithinMs: number
  /** The author accepts execution while state is away, where no limit or context applies; a double is then possible. */
  readonly stateless: boolean
  /** The share of executed events marked for labelling, 0 to 1. */
  readonly auditShare: number
}

/**
 * `proposals` counts every event (velocity); `executions` only those that would execute (blast radius). The window
 * slides and never under-counts. `per` reads the values counted per; null values count together.
 */
export type Limit = {
  readonly id: string
  readonly count: 'proposals' | 'executions'
  readonly per: readonly Dimension[]
  readonly max: number
  readonly windowMs: number
  readonly over: 'review' | 'reject'
  /** null: every action. */
  readonly actions: ReadonlySet<string> | null
}

/** A named value of the event, e.g. `model.name` or `attributes.seller`. */
export type Dimension = { readonly name: string; readonly read: (event: ModelOutput) => string | null }

/** A fact about an entity that decisions need, and what happens without it. */
export type ContextNeed = {
  readonly name: string
  readonly key: Dimension
  /** Older counts as stale, milliseconds. */
  readonly maxAgeMs: number
  readonly missing: Route
  readonly stale: Route
  /** null: every action. */
  readonly actions: ReadonlySet<string> | null
}

/** What can be looked up by name; a Map is one. */
export type Lookup<V> = Pick<ReadonlyMap<string, V>, 'get'>

/** What a condition may look at. */
export type RuleScope = {
  readonly event: ModelOutput
  readonly context: Lookup<Attributes>
  /** Limit id to the count including this event. */
  readonly counters: Lookup<number>
  readonly now: number
}

export type RuleResult =
  | { readonly kind: 'value'; readonly holds: boolean }
  | { readonly kind: 'failed'; readonly why: string }

export type Rule = {
  readonly id: string
  readonly route: Route
  readonly code: `policy.${string}`
  readonly because: string
  /** The condition as written. */
  readonly when: string
  /** Contexts the condition reads; it is not evaluated without them. */
  readonly contexts: readonly string[]
  /** null: every action. */
  readonly actions: ReadonlySet<string> | null
  /** Total: an error of evaluation is a result. Must be pure. */
  readonly evaluate: (scope: RuleScope) => RuleResult
}

/** A policy, loaded, checked and compiled; immutable. Limits, context needs and rules keep the author's order. */
export type Policy = {
  readonly name: string
  readonly version: number
  /** SHA-256 of the text, first 16 bytes in hex. */
  readonly digest: string
  /** The text it was compiled from, published so that a verdict can be recomputed. */
  readonly text: string
  readonly actions: ReadonlyMap<string, ActionRule>
  readonly limits: readonly Limit[]
  /**
   * What reviewers can do, as limits that count reviews where they are reserved; at most one covers an action. Beyond one
   * an event is still reviewed, or rejected; see `checkDesk`.
   */
  readonly desks: readonly Limit[]
  readonly context: readonly ContextNeed[]
  readonly rules: readonly Rule[]
  /** How far ahead of `now` an event's time may lie, milliseconds. */
  readonly maxFutureMs: number
  /** How old an event may be, milliseconds; null: any age. */
  readonly maxAgeMs: number | null
  /** How long an action key is remembered, milliseconds. */
  readonly duplicatesMs: number
  /** Changes which events the audit picks. */
  readonly auditSalt: string
  /** The longest of all windows and of duplicatesMs: how long lost state is felt. */
  readonly longestWindowMs: number
}
