import { NONE, finding } from '../matter.ts'
import type { Check } from '../matter.ts'
import { quote } from '../words.ts'

/** Only actions the policy names can be executed. */
export const checkAction: Check = ({ event, rule, policy }) =>
  rule === null
    ? [finding('reject', 'action.unknown', null, `policy ${quote(policy.name)} has no action ${quote(event.action)}`)]
    : NONE
