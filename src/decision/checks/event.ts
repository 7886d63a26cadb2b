import type { ModelOutput } from '../event.ts'
import { decisionIdOf } from '../keys.ts'
import { NONE, finding, including } from '../matter.ts'
import type { Check, Matter } from '../matter.ts'
import type { Finding } from '../verdict.ts'
import { duration, isoTime, quote } from '../words.ts'

/** Whether the event is in time, new, keyed and complete. */
export const checkEvent: Check = (matter) => {
  let findings = NONE
  for (const ask of QUESTIONS) findings = including(findings, ask(matter))
  return findings
}

const QUESTIONS = [expired, tooOld, repeated, inFuture, unkeyed, incomplete]

function expired({ event: { expiresAt }, facts: { now } }: Matter): Finding | null {
  if (expiresAt === null || (Number.isSafeInteger(expiresAt) && expiresAt > now)) return null
  return finding('reject', 'event.expired', null, `the event expired at ${isoTime(expiresAt)}, it is ${isoTime(now)}`)
}

function tooOld({ event, facts, policy }: Matter): Finding | null {
  const age = facts.now - event.time
  if (policy.maxAgeMs === null || age <= policy.maxAgeMs) return null
  const detail = `the event is ${duration(age)} old; the policy allows ${duration(policy.maxAgeMs)}`
  return finding('reject', 'event.too_old', null, detail)
}

function repeated({ source, facts: { first } }: Matter): Finding | null {
  if (first === null) return null
  if (first.decisionId === decisionIdOf(source)) return finding('review', 'event.replayed', null, REPLAYED)
  const where = `decision ${quote(first.decisionId)}`
  return first.digest === source.digest
    ? finding('reject', 'event.duplicate', null, `the same event was decided before, in ${where}`)
    : finding('review', 'event.conflict', null, `an event of this id but other content was decided before, in ${where}`)
}

const REPLAYED = 'this very record was decided before, and the group’s offset was set back to before it'

/** A time that cannot be placed is not known to be past; that includes `now`, without which nothing is. */
function inFuture({ event: { time }, facts: { now }, policy }: Matter): Finding | null {
  const canBePlaced = Number.isSafeInteger(time) && Number.isSafeInteger(now)
  if (canBePlaced && time <= now + policy.maxFutureMs) return null
  const detail = canBePlaced
    ? `the event's time is ${duration(time - now)} ahead; clocks may differ by ${duration(policy.maxFutureMs)}`
    : `the event's time ${time} cannot be compared with the time of the decision, ${now}`
  return finding('review', 'event.time_in_future', null, detail)
}

function unkeyed({ source }: Matter): Finding | null {
  if (source.keyed) return null
  return finding('review', 'event.unkeyed', null, 'the record has no key; send it with the key of its entity')
}

function incomplete({ event }: Matter): Finding | null {
  const empty = emptyFields(event)
  if (empty === null) return null
  return finding('review', 'event.incomplete', null, `empty but needed: ${empty.join(', ')}`)
}

function emptyFields({ id, source, tenant, action, model }: ModelOutput): readonly string[] | null {
  const isComplete =
    id !== '' && source !== '' && tenant !== '' && action !== '' && model.name !== '' && model.version !== ''
  if (isComplete) return null
  const fields = { id, source, tenant, action, 'model.name': model.name, 'model.version': model.version }
  return Object.entries(fields).flatMap(([name, value]) => (value === '' ? [name] : []))
}
