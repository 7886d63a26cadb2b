import type { ModelOutput, Received } from './event.ts'
import type { Facts } from './facts.ts'
import type { CounterInquiry, Inquiry } from './inquiry.ts'
import type { ContextNeed, Limit, Policy } from './policy.ts'
import { actionKeyOf, contextHashOf, counterKeyOf, valuesOf } from './keys.ts'
import { concerns } from './matter.ts'
import { exemptionsOf } from './control.ts'
import { isDesk, UNLIMITED } from './desk.ts'
import { Recent } from './recent.ts'

type ContextInquiry = Inquiry['context'][number]

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
  for (const desk of policy.desks) if (concerns(desk, event)) counters.push(counterFor(desk, event))
  return counters
}

function counterFor(limit: Limit, event: ModelOutput): CounterInquiry {
  const recent = recentOf(recentCounters, limit)
  const values = valuesOf(limit, event)
  return (
    recent.get(values) ??
    recent.keep(values, {
      limit: limit.id,
      count: limit.count,
      key: counterKeyOf(limit, event),
      max: limit.max,
      windowMs: limit.windowMs,
    })
  )
}

function contextFor(event: ModelOutput, policy: Policy): Inquiry['context'] {
  const context: ContextInquiry[] = []
  for (const need of policy.context) {
    if (!concerns(need, event)) continue
    const key = need.key.read(event)
    const recent = recentOf(recentContexts, need)
    context.push(recent.get(key) ?? recent.keep(key, contextInquiry(need, key)))
  }
  return context
}

const contextInquiry = ({ name }: ContextNeed, key: string | null): ContextInquiry => ({
  name,
  key,
  hash: key === null ? null : contextHashOf(name, key),
})

/** The same sellers, models and customers come again and again, and a hash costs more than all else of an inquiry. */
const recentCounters = new WeakMap<Limit, Recent<CounterInquiry>>()
const recentContexts = new WeakMap<ContextNeed, Recent<ContextInquiry>>()

function recentOf<O extends object, V extends object>(all: WeakMap<O, Recent<V>>, owner: O): Recent<V> {
  const found = all.get(owner)
  if (found !== undefined) return found
  const made = new Recent<V>()
  all.set(owner, made)
  return made
}

/**
 * The places in execution limits that an event asks for once it would execute (`wouldExecute`); null when there are
 * none to ask for, or no state to ask. An exempted limit still counts the execution, but always has room.
 */
export function claimOf(inquiry: Inquiry, facts: Facts): Inquiry | null {
  if (facts.state === 'unavailable') return null
  const counters = inquiry.counters.filter(({ count, limit }) => count === 'executions' && !isDesk(limit))
  if (counters.length === 0) return null
  const exemptions = exemptionsOf(facts)
  if (exemptions.size === 0) return { ...inquiry, counters }
  return { ...inquiry, counters: counters.map((it) => (exemptions.has(it.limit) ? { ...it, max: UNLIMITED } : it)) }
}

/** The place at a desk that an event asks for which goes to review (`reviewPlace`). */
export function deskClaimOf(inquiry: Inquiry, place: { readonly desk: string; readonly max: number }): Inquiry | null {
  const counter = inquiry.counters.find(({ limit }) => limit === place.desk)
  return counter === undefined ? null : { ...inquiry, counters: [{ ...counter, max: place.max }] }
}
