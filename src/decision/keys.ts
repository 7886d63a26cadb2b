import { hash } from 'node:crypto'
import type { ModelOutput, SourcePosition } from './event.ts'
import type { Limit } from './policy.ts'

/** Each part behind its length in UTF-16 units, so that no two lists of parts read the same; null differs from ''. */
const frame = (part: string | null): string => (part === null ? '-' : `${part.length}:${part}`)

/** SHA-256, first 16 bytes in hex. */
const digestOf = (framed: string): string => hash('sha256', framed, 'hex').slice(0, 32)

/** Where the record lies, readable, so that a replay gives the same id and `explain` finds it without an index. */
export const decisionIdOf = ({ topic, partition, offset }: SourcePosition): string => `${topic}:${partition}:${offset}`

/** What makes a proposal the same proposal: tenant, source and id. An executor deduplicates on it. */
export const actionKeyOf = (event: ModelOutput): string =>
  digestOf(frame(event.tenant) + frame(event.source) + frame(event.id))

/** One counter of a limit: its id and the values it counts per. */
export function counterKeyOf(limit: Limit, event: ModelOutput): string {
  let framed = `limit${frame(limit.id)}`
  for (const dimension of limit.per) framed += frame(dimension.read(event))
  return digestOf(framed)
}

/** What an event is counted per, told apart from all others of the same limit. */
export function valuesOf({ per }: Limit, event: ModelOutput): string | null {
  const [only] = per
  if (only !== undefined && per.length === 1) return only.read(event)
  let framed = ''
  for (const dimension of per) framed += frame(dimension.read(event))
  return framed
}

/** One entity of a context: the context's name in policies, and which one. */
export const contextHashOf = (name: string, key: string): string => digestOf(`context${frame(name)}${frame(key)}`)
