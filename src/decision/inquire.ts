import type { ModelOutput, Received } from './event.ts'
import type { Facts } from './facts.ts'
import type { CounterInquiry, Inquiry } from './inquiry.ts'
import type { Limit, Policy } from './policy.ts'
import { actionKeyOf, contextHashOf, counterKeyOf } from './keys.ts'
import { concerns } from './matter.ts'
import { exemptionsOf } from './control.ts'

/** What must be known before this event can be decided. An unknown action needs neither counters nor context. */
export function inquire({ event, source }: Received, policy: Policy): Inquiry {
  const isKnown = policy.actions.has(event.action)
  return {
    offset: source.offset,
    actionKey: actionKeyOf(event),
    digest: source.digest,
    counters: isKnown ? countersFor(event, policy) : [],
    context: isKnown ? contextFor(event, policy) : [],
  }
}

function countersFor(event: ModelOutput, policy: Policy): Inquiry['counters'] {
  const counters: CounterInquiry[] = []
  for (const limit of policy.limits) if (concerns(limit, event)) counters.push(counterFor(limit, event))
  return counters
}

const counterFor = (limit: Limit, event: ModelOutput): CounterInquiry => ({
  limit: limit.id,
  count: limit.count,
  key: counterKeyOf(limit, event),
  max: limit.max,
  windowMs: limit.windowMs,
})

function contextFor(event: ModelOutput, policy: Policy): Inquiry['context'] {
  const context: Inquiry['context'][number][] = []
  for (const need of policy.context) {
    if (!concerns(need, event)) continue
    const key = need.key.read(event)
    context.push({ name: need.name, key, hash: key === null ? null : contextHashOf(need.name, key) })
  }
  return context
}

/**
 * The places in execution limits that an event asks for once it would execute (`wouldExecute`); null when there are
 * none to ask for, or no state to ask. An exempted limit still counts the execution, but always has room.
 */
export function claimOf(inquiry: Inquiry, facts: Facts): Inquiry | null {
  if (facts.state === 'unavailable') return null
  const counters = inquiry.counters.filter(({ count }) => count === 'executions')
  if (counters.length === 0) return null
  const exemptions = exemptionsOf(facts)
  return { ...inquiry, counters: counters.map((it) => (exemptions.has(it.limit) ? { ...it, max: UNLIMITED } : it)) }
}

const UNLIMITED = Number.MAX_SAFE_INTEGER
