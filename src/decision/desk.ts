import { concerns, finding, NONE } from './matter.ts'
import type { Matter } from './matter.ts'
import type { Limit } from './policy.ts'
import type { Finding } from './verdict.ts'
import { duration } from './words.ts'

/** The counter of a desk's reviews; no author can give a limit such an id. `action` null: every action without its own. */
export const deskId = (action: string | null): string => `review:${action ?? '*'}`

export const isDesk = (limit: string): boolean => limit.startsWith('review:')

export const deskOf = ({ event, policy }: Matter): Limit | null =>
  policy.desks.find((desk) => concerns(desk, event)) ?? null

export const UNLIMITED = Number.MAX_SAFE_INTEGER

/**
 * The number of reviews in the window up to which this event is still worth one. Within the capacity a look has the price
 * that the policy gives it; beyond, its price grows as the reviews do, n / capacity times, and what costs more to look at
 * than to reject is not looked at. Only what lacks nothing but a surer score is weighed; all else waits for a person.
 */
export function worthwhileReviews(noticed: readonly Finding[], { reading, weighed }: Matter, desk: Limit): number {
  const { calibrated } = reading
  const isUnsure = noticed.every(({ route, code }) => route === 'execute' || code === 'confidence.below_execute')
  if (!isUnsure || weighed.kind !== 'weighed' || calibrated === null) return UNLIMITED
  const { wrongReject, review } = weighed.amounts
  const worth = (desk.max * calibrated * wrongReject) / review
  return worth < UNLIMITED ? Math.max(desk.max, Math.floor(worth)) : UNLIMITED
}

/** Asked of an event that goes to review and took a place at its desk: whether the desk has capacity for it. */
export function checkDesk(matter: Matter, noticed: readonly Finding[]): readonly Finding[] {
  const desk = deskOf(matter)
  const counter = matter.facts.counters.find(({ limit }) => limit === desk?.id)
  if (desk === null || counter === undefined || counter.granted === null) return NONE
  const count = counter.before + 1
  if (count <= desk.max) return NONE
  const which = `this would be review ${count} in ${duration(desk.windowMs)}, and ${desk.max} are what the desk can do`
  if (counter.granted || !(count > worthwhileReviews(noticed, matter, desk)))
    return [finding('review', 'limit.review_capacity', desk.id, which)]
  const detail = `${which}; at the price of that a look costs more than rejecting`
  return [finding('reject', 'limit.review_price', desk.id, detail)]
}
