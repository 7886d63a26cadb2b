import type { ContextValue, First } from '../decision/facts.ts'
import type { Grant, Observation } from '../processor/ports.ts'

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
export function readObservations(text: string, topic: string): readonly (Observation | null)[] {
  const records = JSON.parse(`[${text}]`) as readonly (ObservationRecord | null)[]
  return records.map((it) => it && observationOf(it, topic))
}

function observationOf([, now, lost, first, counters, contexts]: ObservationRecord, topic: string): Observation {
  return {
    now,
    lost: lost === 1,
    first: first === null ? null : firstOf(first, topic),
    counters: pairs<number>(counters),
    context: contextsOf(contexts),
  }
}

/** One range's grants in the order of its claims; null for what is below the committed offset. */
export function readGrants(text: string): readonly (Grant | null)[] {
  const records = JSON.parse(`[${text}]`) as readonly (GrantRecord | null)[]
  return records.map((it) => it && { granted: it[1] === 1, counters: pairs<number>(it[2]) })
}

function contextsOf(named: readonly (string | ContextValue | null)[]): Map<string, ContextValue> {
  const contexts = new Map<string, ContextValue>()
  for (let i = 0; i + 1 < named.length; i += 2) {
    const value = named[i + 1]
    if (value !== null) contexts.set(named[i] as string, value as ContextValue)
  }
  return contexts
}

function pairs<T>(flat: readonly unknown[]): Map<string, T> {
  const map = new Map<string, T>()
  for (let i = 0; i + 1 < flat.length; i += 2) map.set(flat[i] as string, flat[i + 1] as T)
  return map
}

/** From `partition:offset:digest`; a decision's id is the place of its event in the input. */
function firstOf(text: string, topic: string): First {
  const end = text.indexOf(':', text.indexOf(':') + 1)
  return { decisionId: `${topic}:${text.slice(0, end)}`, digest: text.slice(end + 1) }
}
