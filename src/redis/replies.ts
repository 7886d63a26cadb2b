import type { ContextValue, First } from '../decision/facts.ts'
import type { Inquiry } from '../decision/inquiry.ts'
import type { Grant, Observation } from '../processor/ports.ts'
import { isLabelOf } from './segment.ts'

/** A recorded observation, as `observe` in sluice.lua writes it. */
type ObservationRecord = readonly [
  offset: number,
  now: number,
  lost: 0 | 1,
  first: string | null,
  counters: readonly (string | number)[],
  contexts: readonly (string | ContextValue | null)[],
]

/** A recorded grant, as `reserve` in sluice.lua writes it. */
type GrantRecord = readonly [offset: number, granted: 0 | 1, counters: readonly (string | number)[]]

/** One range's observations in the order of its inquiries; null for what is below the committed offset. */
export function readObservations(
  text: string,
  inquiries: readonly Inquiry[],
  topic: string,
): readonly (Observation | null)[] {
  const records = JSON.parse(`[${text}]`) as readonly (ObservationRecord | null)[]
  return records.map((it, at) => it && observationOf(it, inquiries[at], topic))
}

function observationOf(
  [, now, lost, first, counters, contexts]: ObservationRecord,
  asked: Inquiry | undefined,
  topic: string,
): Observation {
  return {
    now,
    lost: lost === 1,
    first: first === null ? null : firstOf(first, topic),
    counters: countsOf(counters, asked),
    context: contextsOf(contexts, asked),
  }
}

/** One range's grants in the order of its claims; null for what is below the committed offset. */
export function readGrants(text: string, claims: readonly { readonly inquiry: Inquiry }[]): readonly (Grant | null)[] {
  const records = JSON.parse(`[${text}]`) as readonly (GrantRecord | null)[]
  return records.map((it, at) => it && { granted: it[1] === 1, counters: countsOf(it[2], claims[at]?.inquiry) })
}

/** By limit id what is asked for now; a count that was recorded of another entity is absent, so that it is not taken. */
function countsOf(labelled: readonly (string | number)[], asked: Inquiry | undefined): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { limit, key } of asked?.counters ?? []) {
    const count = labelledAs(labelled, limit, key)
    if (typeof count === 'number') counts.set(limit, count)
  }
  return counts
}

function contextsOf(
  labelled: readonly (string | ContextValue | null)[],
  asked: Inquiry | undefined,
): Map<string, ContextValue> {
  const contexts = new Map<string, ContextValue>()
  for (const { name, hash } of asked?.context ?? []) {
    const value = hash === null ? null : labelledAs(labelled, name, hash)
    if (value !== undefined && value !== null) contexts.set(name, value as ContextValue)
  }
  return contexts
}

/** What follows the label in a flat list of labels and values; there are few, and a map of them would cost more. */
function labelledAs<T>(flat: readonly T[], name: string, hash: string): T | undefined {
  for (let i = 0; i + 1 < flat.length; i += 2) if (isLabelOf(flat[i], name, hash)) return flat[i + 1]
  return undefined
}

/** From `partition:offset:digest`; a decision's id is the place of its event in the input. */
function firstOf(text: string, topic: string): First {
  const end = text.indexOf(':', text.indexOf(':') + 1)
  return { decisionId: `${topic}:${text.slice(0, end)}`, digest: text.slice(end + 1) }
}
