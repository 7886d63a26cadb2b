import type { Attributes } from '../event.ts'
import { NONE, concerns, finding } from '../matter.ts'
import type { Check, Matter } from '../matter.ts'
import type { Limit, Rule, RuleScope } from '../policy.ts'
import type { Finding } from '../verdict.ts'
import { quote, shorten } from '../words.ts'
import { exempted } from './control.ts'
import { factOf } from './context.ts'
import { counterOf, countWith } from './limits.ts'

/** The policy author's own rules, in their order. */
export const checkRules: Check = (matter) => {
  const { event, rule, policy } = matter
  if (rule === null) return NONE
  const concerned = policy.rules.filter((it) => concerns(it, event))
  if (concerned.length === 0) return NONE
  const scope = scopeOf(matter)
  return concerned.map((it) => checkRule(it, scope, matter)).filter((it) => it !== null)
}

function checkRule(rule: Rule, scope: RuleScope, matter: Matter): Finding | null {
  const absent = rule.contexts.filter((name) => !scope.context.has(name))
  if (absent.length > 0) return checkUnanswerable(rule, absent, matter)
  const result = rule.evaluate(scope)
  if (result.kind === 'failed') return failed(rule, `could not be evaluated: ${shorten(result.why, 300)}`)
  if (!result.holds) return null
  const found = finding(rule.route, rule.code, rule.id, rule.because)
  const exemption = matter.exemptions.get(rule.id)
  return exemption === undefined ? found : exempted(exemption, found)
}

/**
 * A rule that reads a context which is not there has no answer. Where that already keeps the event from being executed,
 * nothing more is said. Where the author lets events pass without that context, the rule might have been the one that
 * objects, so it fails closed.
 */
function checkUnanswerable(rule: Rule, absent: readonly string[], matter: Matter): Finding | null {
  const unanswered = absent.find((name) => !isObjectedTo(name, matter))
  return unanswered === undefined ? null : failed(rule, `reads the context ${quote(unanswered)}, which is not known`)
}

/** Whether the absence of a context has a finding of its own that is stricter than execute. */
const isObjectedTo = (name: string, { event, facts, policy }: Matter): boolean =>
  policy.context.some(
    (need) =>
      need.name === name && concerns(need, event) && (need.missing !== 'execute' || facts.state === 'unavailable'),
  )

const failed = (rule: Rule, why: string): Finding =>
  finding('review', 'rule.failed', rule.id, `rule ${quote(rule.id)} ${why}`)

function scopeOf(matter: Matter): RuleScope {
  const { event, facts } = matter
  return { event, context: contextOf(matter), counters: countersOf(matter), now: facts.now }
}

function contextOf(matter: Matter): ReadonlyMap<string, Attributes> {
  const context = new Map<string, Attributes>()
  for (const need of matter.policy.context) {
    const value = concerns(need, matter.event) ? factOf(need.name, matter)?.value : null
    if (value) context.set(need.name, value.attributes)
  }
  return context
}

function countersOf(matter: Matter): ReadonlyMap<string, number> {
  const counters = new Map<string, number>()
  for (const limit of matter.policy.limits) if (concerns(limit, matter.event)) setCount(counters, limit, matter)
  return counters
}

function setCount(counters: Map<string, number>, limit: Limit, matter: Matter): void {
  const counter = counterOf(limit, matter)
  if (counter !== null) counters.set(limit.id, countWith(limit, counter))
}
