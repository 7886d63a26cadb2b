import { expect } from 'vitest'
import type { Attributes } from '../../src/decision/event.ts'
import type { Policy, Rule, RuleResult, RuleScope } from '../../src/decision/policy.ts'
import { loadPolicy } from '../../src/policy/load-policy.ts'
import { NOW, sampleEvent } from '../decision/samples.ts'
import { policyText } from './written.ts'

export const ATTRIBUTES: Attributes = { amount: 150, currency: 'EUR', note: null, urgent: true, 'a b': 'x' }

/** The sample event with some attributes, two contexts and two counters. */
export const sampleScope = (change: Partial<RuleScope> = {}): RuleScope => ({
  event: sampleEvent({ attributes: ATTRIBUTES }),
  context: new Map<string, Attributes>([
    ['seller', { trusted: true, rating: 4.5 }],
    ['free', { level: 3, plan: 'gold' }],
  ]),
  counters: new Map([
    ['burst', 21],
    ['per-model', 0],
  ]),
  now: NOW,
  ...change,
})

export function policyOf(text: string): Policy {
  const loaded = loadPolicy(text, 'shop.yaml')
  if (loaded.kind === 'problems') expect.fail(JSON.stringify(loaded.problems))
  return loaded.policy
}

/** The one rule of a policy whose condition is `when`. */
export function ruleOf(when: string): Rule {
  const rules = `rules:\n  - { id: r, when: ${JSON.stringify(when)}, route: review, code: policy.r, because: why }\n`
  const [rule] = policyOf(policyText({ rules })).rules
  return rule ?? expect.fail('the policy has no rule')
}

export const evaluate = (when: string, scope = sampleScope()): RuleResult => ruleOf(when).evaluate(scope)
