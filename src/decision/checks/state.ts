import { NONE, concerns, finding } from '../matter.ts'
import type { Check, Matter } from '../matter.ts'

const UNAVAILABLE = 'state did not answer in time: earlier decisions, counters and context of this event are not known'
const LOST = 'state was lost not long ago: earlier decisions and counts may have been forgotten'

/** Whoever decides without trustworthy state must be able to. */
export const checkState: Check = (matter) => {
  const { state } = matter.facts
  if (state === 'ok' || canDoWithout(matter)) return NONE
  return state === 'lost'
    ? [finding('review', 'state.lost', null, LOST)]
    : [finding('review', 'state.unavailable', null, UNAVAILABLE)]
}

/** Even then a double is possible; the author has accepted that, where it can be undone. */
const canDoWithout = ({ event, rule, policy }: Matter): boolean =>
  rule !== null &&
  rule.stateless &&
  rule.undo !== 'irreversible' &&
  !policy.limits.some((limit) => concerns(limit, event)) &&
  !policy.context.some((need) => concerns(need, event))
