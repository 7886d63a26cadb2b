import type { Attributes, ModelOutput } from '../decision/event.ts'
import type { ControlKind } from '../decision/facts.ts'
import type { Route } from '../decision/route.ts'
import type { Verdict } from '../decision/verdict.ts'

/** What is known of an entity; the fields of schemas/context.avsc. `time` in milliseconds since 1970. */
export type Context = {
  readonly entity: string
  readonly key: string
  readonly version: number
  readonly time: number
  readonly source: string
  readonly attributes: Attributes
}

/** What happened after a verdict; the fields of schemas/outcome.avsc. `time` in milliseconds since 1970. */
export type Outcome = {
  readonly decisionId: string
  readonly actionKey: string
  readonly kind: 'executed' | 'failed' | 'label'
  readonly right: boolean | null
  readonly time: number
  readonly source: string
  readonly propensity: number | null
  readonly detail: string | null
}

/** An operator's standing order; the fields of schemas/control.avsc. Times in milliseconds since 1970. */
export type Control = {
  readonly id: string
  readonly kind: ControlKind
  readonly route: Route
  readonly rule: string | null
  readonly tenant: string | null
  readonly model: string | null
  readonly action: string | null
  readonly actor: string | null
  readonly author: string
  readonly reason: string
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly certificate: string | null
}

/** What each kind of record decodes into. */
export type RecordOf = {
  readonly ModelOutput: ModelOutput
  readonly Verdict: Verdict
  readonly Context: Context
  readonly Outcome: Outcome
  readonly Control: Control
}

/** The name of the record in namespace `sluice`. */
export type Kind = keyof RecordOf
export const KINDS = ['ModelOutput', 'Verdict', 'Context', 'Outcome', 'Control'] as const satisfies readonly Kind[]
