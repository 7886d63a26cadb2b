import type { ContextNeed } from '../decision/policy.ts'
import { ROUTES } from '../decision/route.ts'
import { FIELD_TYPES, type FieldType } from './cel-environment.ts'
import { dimension, duration } from './dimension.ts'
import { choice, entriesOf, Fields, isWhole, type Reader, type Value } from './fields.ts'
import { actionFilter, isIdentifier, type Placed } from './names.ts'
import type { Source } from './source.ts'

const CONTEXT_FIELDS = ['key', 'maxAge', 'missing', 'stale', 'actions', 'fields']

/** A need with the fields its facts are declared to have; null: none declared. */
export type DeclaredNeed = { readonly need: ContextNeed; readonly fields: ReadonlyMap<string, FieldType> | null }

export function readContext(
  source: Source,
  root: Fields,
  actions: ReadonlySet<string>,
): readonly Placed<DeclaredNeed>[] {
  const written = root.optional('context', entriesOf, new Map<string, Value>())
  const needs: Placed<DeclaredNeed>[] = []
  for (const [name, value] of written ?? []) {
    if (!isIdentifier(source, name, value.keyOffset)) continue
    const fields = Fields.of(source, value, CONTEXT_FIELDS)
    const declared = fields === undefined ? undefined : contextNeed(name, fields, actions)
    if (declared !== undefined) needs.push({ value: declared, offset: value.keyOffset })
  }
  if (needs.length > 16)
    source.report(needs[16]?.offset ?? 0, '`context` has more than 16 entries', 'Join facts of one entity.')
  return needs
}

function contextNeed(name: string, fields: Fields, actions: ReadonlySet<string>): DeclaredNeed | undefined {
  const missing = fields.required(
    'missing',
    choice(ROUTES),
    'Where events go when it is not known: `review`, for example.',
  )
  const parts = {
    name,
    key: fields.required('key', dimension, 'Where the event names the entity, such as `event.attributes.seller`.'),
    maxAgeMs: fields.required('maxAge', duration('1s', '366d'), 'From when on it is too old, such as `1h`.'),
    missing,
    stale: fields.optional('stale', choice(ROUTES), missing),
    actions: fields.optional<ReadonlySet<string> | null>('actions', actionFilter(actions), null),
  }
  const declared = fields.optional<ReadonlyMap<string, FieldType> | null>('fields', factFields, null)
  return isWhole(parts) && declared !== undefined ? { need: parts, fields: declared } : undefined
}

const factFields: Reader<ReadonlyMap<string, FieldType>> = (source, value) => {
  const types = new Map<string, FieldType>()
  for (const [name, field] of entriesOf(source, value) ?? []) {
    const type = choice(FIELD_TYPES)(source, field)
    if (isIdentifier(source, name, field.keyOffset) && type !== undefined) types.set(name, type)
  }
  return types
}
