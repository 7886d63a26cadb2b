import type { CounterFact } from '../facts.ts'
import { NONE, concerns, finding, including } from '../matter.ts'
import type { Check, Matter } from '../matter.ts'
import type { Limit } from '../policy.ts'
import type { Finding } from '../verdict.ts'
import { duration, quote } from '../words.ts'
import { exempted } from './control.ts'

/** Whether every limit has room for this event. */
export const checkLimits: Check = (matter) => {
  const { event, rule, policy } = matter
  if (rule === null || policy.limits.length === 0) return NONE
  let findings = NONE
  for (const limit of policy.limits) {
    if (concerns(limit, event)) findings = including(findings, checkLimit(limit, matter))
  }
  return findings
}

function checkLimit(limit: Limit, matter: Matter): Finding | null {
  const counter = counterOf(limit, matter)
  if (counter === null) return matter.facts.state === 'unavailable' ? null : unobserved(limit, 'was not read')
  const count = countWith(limit, counter)
  if (count <= limit.max) return null
  const found = finding(limit.over, 'limit.exceeded', limit.id, exceeded(limit, count))
  const exemption = matter.exemptions.get(limit.id)
  return exemption === undefined ? found : exempted(exemption, found)
}

/**
 * Asked last, of an event that nothing else keeps from being executed: whether it holds a place in every execution limit.
 * Without one nobody has counted it, however much room there seemed to be.
 */
export const checkReserved: Check = (matter) => {
  let findings = NONE
  for (const limit of matter.policy.limits) {
    if (limit.count !== 'executions' || !concerns(limit, matter.event)) continue
    if (counterOf(limit, matter)?.granted === true) continue
    findings = including(findings, unobserved(limit, 'has no place reserved for this event'))
  }
  return findings
}

export const counterOf = (limit: Limit, { facts }: Matter): CounterFact | null =>
  facts.counters.find((counter) => counter.limit === limit.id) ?? null

/** The count including this event: for execution limits, if it were executed. */
export const countWith = (limit: Limit, counter: CounterFact): number =>
  limit.count === 'proposals' ? counter.after : counter.before + 1

const unobserved = (limit: Limit, why: string): Finding =>
  finding('review', 'limit.unobserved', limit.id, `the counter of limit ${quote(limit.id)} ${why}`)

function exceeded(limit: Limit, count: number): string {
  const per = limit.per.length === 0 ? '' : ` per ${limit.per.map(({ name }) => name).join(', ')}`
  const what = limit.count === 'proposals' ? 'proposals' : 'executions'
  return `this would be number ${count} of at most ${limit.max} ${what}${per} in ${duration(limit.windowMs)}`
}
