import type { ContextFact } from '../facts.ts'
import { NONE, concerns, finding, including } from '../matter.ts'
import type { Check, Matter } from '../matter.ts'
import type { ContextNeed } from '../policy.ts'
import type { Finding } from '../verdict.ts'
import { duration, quote } from '../words.ts'

/** Required facts about entities: known, and not too old. */
export const checkContext: Check = (matter) => {
  const { event, rule, policy } = matter
  if (rule === null || policy.context.length === 0) return NONE
  let findings = NONE
  for (const need of policy.context) {
    if (concerns(need, event)) findings = including(findings, checkNeed(need, matter))
  }
  return findings
}

function checkNeed(need: ContextNeed, matter: Matter): Finding | null {
  const fact = factOf(need.name, matter)
  if (fact === null || fact.value === null) {
    return isExcused(fact, matter) ? null : finding(need.missing, 'context.missing', need.name, missing(need, fact))
  }
  const { now } = matter.facts
  const { time } = fact.value
  if (now - time <= need.maxAgeMs && time <= now + matter.policy.maxFutureMs) return null
  return finding(need.stale, 'context.stale', need.name, stale(need, fact, now - time))
}

/** What only state could have told is covered by `state.unavailable`; that an event names no entity is known without. */
const isExcused = (fact: ContextFact | null, { facts }: Matter): boolean =>
  facts.state === 'unavailable' && (fact === null || fact.key !== null)

export const factOf = (name: string, { facts }: Matter): ContextFact | null =>
  facts.context.find((fact) => fact.name === name) ?? null

const missing = (need: ContextNeed, fact: ContextFact | null): string =>
  fact === null || fact.key === null
    ? `the event names no ${quote(need.name)}: ${quote(need.key.name)} is not set`
    : `nothing is known of ${quote(need.name)} ${quote(fact.key)}`

function stale(need: ContextNeed, fact: ContextFact, age: number): string {
  const which = `what is known of ${quote(need.name)} ${quote(fact.key ?? '')}`
  if (!Number.isFinite(age)) return `${which} has no usable time`
  return age < 0
    ? `${which} claims a time ${duration(-age)} ahead`
    : `${which} is ${duration(age)} old; the policy allows ${duration(need.maxAgeMs)}`
}
