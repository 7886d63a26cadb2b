import type { Calibration } from './calibration.ts'
import type { Certificates } from './certificate.ts'
import type { ModelOutput, Received, SourcePosition } from './event.ts'
import type { ControlFact, Facts } from './facts.ts'
import type { ActionRule, Policy } from './policy.ts'
import type { Finding } from './verdict.ts'
import type { Route } from './route.ts'
import type { FindingCode } from './codes.ts'
import { weigh, type Weighed } from './costs.ts'
import { exemptionsOf } from './control.ts'
import { proofOf, type Proof } from './proof.ts'
import { readScore } from './reading.ts'
import type { Reading } from './reading.ts'

/** All that one decision looks at, gathered once for all checks. */
export type Matter = {
  readonly event: ModelOutput
  readonly source: SourcePosition
  readonly facts: Facts
  readonly policy: Policy
  /** null: the policy does not know the action. */
  readonly rule: ActionRule | null
  readonly reading: Reading
  readonly proof: Proof
  readonly weighed: Weighed
  /** By the id of the rule or limit that does not count. */
  readonly exemptions: ReadonlyMap<string, ControlFact>
}

/** One family of questions. Total: bad input is answered with a finding, never with an exception. */
export type Check = (matter: Matter) => readonly Finding[]

export const NONE: readonly Finding[] = []

export function toMatter(
  { event, source }: Received,
  facts: Facts,
  policy: Policy,
  calibration: Calibration,
  certificates: Certificates,
): Matter {
  const rule = policy.actions.get(event.action) ?? null
  const reading = readScore(event, rule, calibration, facts.now)
  const proof = proofOf(event, rule, certificates, facts)
  const weighed = weigh(rule?.costs ?? null, event)
  return { event, source, facts, policy, rule, reading, proof, weighed, exemptions: exemptionsOf(facts) }
}

/** Whether a limit, context need or rule is about this event's action. */
export const concerns = (it: { readonly actions: ReadonlySet<string> | null }, event: ModelOutput): boolean =>
  it.actions === null || it.actions.has(event.action)

/** The findings with one more, if there is one. Most checks have nothing to say, which must cost nothing. */
export function including(findings: readonly Finding[], found: Finding | null): readonly Finding[] {
  if (found === null) return findings
  return findings.length === 0 ? [found] : [...findings, found]
}

export const finding = (route: Route, code: FindingCode, subject: string | null, detail: string): Finding => ({
  route,
  code,
  subject,
  detail,
})
