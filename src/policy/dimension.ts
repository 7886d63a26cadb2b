import type { AttributeValue, ModelOutput } from '../decision/event.ts'
import type { Dimension } from '../decision/policy.ts'
import { parseDuration, formatDuration } from './duration.ts'
import { text, type Reader } from './fields.ts'
import { sentence, suggestion } from './nearest.ts'

const READERS: ReadonlyMap<string, Dimension['read']> = new Map<string, Dimension['read']>([
  ['tenant', (event) => event.tenant],
  ['source', (event) => event.source],
  ['action', (event) => event.action],
  ['actor', (event) => event.actor],
  ['model.name', (event) => event.model.name],
  ['model.version', (event) => event.model.version],
  ['subject.type', (event) => event.subject.type],
  ['subject.id', (event) => event.subject.id],
  ['subject.owner', (event) => event.subject.owner],
])

const ATTRIBUTE = /^attributes\.([A-Za-z_][A-Za-z0-9_.-]*)$/u

/** The dimension of that name, with or without `event.` in front; null if there is none. */
export function dimensionOf(path: string): Dimension | null {
  const name = path.startsWith('event.') ? path.slice('event.'.length) : path
  const read = READERS.get(name)
  if (read !== undefined) return { name, read }
  const attribute = ATTRIBUTE.exec(name)?.[1]
  return attribute === undefined ? null : { name, read: (event) => attributeOf(event, attribute) }
}

function attributeOf({ attributes }: ModelOutput, name: string): string | null {
  const value: AttributeValue = Object.hasOwn(attributes, name) ? (attributes[name] ?? null) : null
  return value === null ? null : String(value)
}

const words = text({ max: 160, hint: 'Write a name such as `subject.owner` or `attributes.seller`.' })

export const dimension: Reader<Dimension> = (source, value) => {
  const path = words(source, value)
  if (path === undefined) return undefined
  const found = dimensionOf(path)
  if (found !== null) return found
  const hint = `${sentence(suggestion(path, READERS.keys()))} What producers attach is \`attributes.NAME\`.`
  return source.report(value.offset, `\`${path}\` is not a value of the event`, hint)
}

const span = text({ max: 20, hint: 'Write a duration such as `500ms`, `30s`, `5m`, `1h` or `7d`.' })

/** A duration in milliseconds, between two bounds. */
export const duration =
  (min: string, max: string): Reader<number> =>
  (source, value) => {
    const written = span(source, value)
    if (written === undefined) return undefined
    const ms = parseDuration(written)
    if (ms === null)
      return source.report(
        value.offset,
        `\`${written}\` is not a duration`,
        'Write a whole number with its unit: `500ms`, `30s`, `5m`, `1h` or `7d`.',
      )
    if (ms >= (parseDuration(min) ?? 0) && ms <= (parseDuration(max) ?? 0)) return ms
    return source.report(
      value.offset,
      `${value.name} cannot be ${formatDuration(ms)}`,
      `Stay between ${min} and ${max}.`,
    )
  }
