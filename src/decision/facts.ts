import type { Attributes } from './event.ts'
import type { Route } from './route.ts'

/** Whose clock `now` was read from: Redis TIME, or the processor's when Redis was away. */
export type Clock = 'redis' | 'processor'

/** `lost`: state answered, but what it should remember is known to be incomplete. */
export type StateHealth = 'ok' | 'unavailable' | 'lost'

/** An earlier event with the same action key. */
export type First = { readonly decisionId: string; readonly digest: string }

/** What is known of an entity; `time` in milliseconds since 1970. */
export type ContextValue = {
  readonly source: string
  readonly version: number
  readonly time: number
  readonly attributes: Attributes
}

export type ContextFact = {
  readonly name: string
  /** The entity asked for; null when the event does not name one. */
  readonly key: string | null
  readonly value: ContextValue | null
}

/**
 * One limit's counter around this event. Proposal limits count at observation: `after` is `before` plus one, or
 * `before` for a repeated event. Execution limits count at reservation: `granted` says whether a place was reserved,
 * null that none was asked for.
 */
export type CounterFact = {
  readonly limit: string
  /** Hash of the values counted per. */
  readonly key: string
  readonly before: number
  readonly after: number
  readonly granted: boolean | null
}

/**
 * `kill`: nothing in scope is executed. `force`: at least this strict; with a certificate, its withdrawal. `exempt`: one
 * rule or limit does not count.
 */
export type ControlKind = 'kill' | 'force' | 'exempt'

/** An operator's standing order that applied to this event. */
export type ControlFact = {
  readonly id: string
  readonly kind: ControlKind
  readonly route: Route
  readonly rule: string | null
  readonly author: string
  readonly reason: string
  readonly expiresAt: number | null
  /** The id of the certificate that is withdrawn; null: the order is about something else. */
  readonly certificate: string | null
}

/** What a decision knew besides the event; all of it is recorded in the verdict. */
export type Facts = {
  /** The time of the decision, milliseconds since 1970. */
  readonly now: number
  readonly clock: Clock
  readonly state: StateHealth
  readonly first: First | null
  readonly context: readonly ContextFact[]
  readonly counters: readonly CounterFact[]
  readonly control: readonly ControlFact[]
}
