import type { Attributes } from '../event.ts'
import { NONE, concerns, finding, including } from '../matter.ts'
import type { Check, Matter } from '../matter.ts'
import type { Rule, RuleScope } from '../policy.ts'
import type { Finding } from '../verdict.ts'
import { quote, shorten } from '../words.ts'
import { exempted } from './control.ts'
import { factOf } from './context.ts'
import { counterOf, countWith } from './limits.ts'

/** The policy author's own rules, in their order. */
export const checkRules: Check = (matter) => {
  const { event, rule, policy } = matter
  if (rule === null) return NONE
  let findings = NONE
  let scope: RuleScope | null = null
  for (const it of policy.rules) {
    if (!concerns(it, event)) continue
    scope ??= scopeOf(matter)
    findings = including(findings, checkRule(it, scope, matter))
  }
  return findings
}

function checkRule(rule: Rule, scope: RuleScope, matter: Matter): Finding | null {
  const absent = absentOf(rule, scope)
  if (absent.length > 0) return checkUnanswerable(rule, absent, matter)
  const result = rule.evaluate(scope)
  if (result.kind === 'failed') return failed(rule, `could not be evaluated: ${shorten(result.why, 300)}`)
  if (!result.holds) return null
  const found = finding(rule.route, rule.code, rule.id, rule.because)
  const exemption = matter.exemptions.get(rule.id)
  return exemption === undefined ? found : exempted(exemption, found)
}

/** The contexts it reads that are not there. */
function absentOf({ contexts }: Rule, { context }: RuleScope): readonly string[] {
  for (const name of contexts) {
    if (context.get(name) === undefined) return contexts.filter((it) => context.get(it) === undefined)
  }
  return NO_NAMES
}

const NO_NAMES: readonly string[] = []

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

/** Looked up when a condition asks, since most conditions ask for little. */
const scopeOf = (matter: Matter): RuleScope => ({
  event: matter.event,
  context: new ContextLookup(matter),
  counters: new CounterLookup(matter),
  now: matter.facts.now,
})

class ContextLookup {
  readonly #matter: Matter

  constructor(matter: Matter) {
    this.#matter = matter
  }

  get(name: string): Attributes | undefined {
    const { event, policy } = this.#matter
    const isAsked = policy.context.some((need) => need.name === name && concerns(need, event))
    return isAsked ? factOf(name, this.#matter)?.value?.attributes : undefined
  }
}

class CounterLookup {
  readonly #matter: Matter

  constructor(matter: Matter) {
    this.#matter = matter
  }

  get(id: string): number | undefined {
    const { event, policy } = this.#matter
    const limit = policy.limits.find((it) => it.id === id && concerns(it, event))
    const counter = limit === undefined ? null : counterOf(limit, this.#matter)
    return limit === undefined || counter === null ? undefined : countWith(limit, counter)
  }
}
