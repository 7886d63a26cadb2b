import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import avsc from 'avsc'
import type { Schema, Type } from 'avsc'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KINDS, type Kind } from '../../src/avro/record-types.ts'
import { bundled } from '../../src/avro/schemas.ts'
import { valueOf } from '../avro/arbitrary.ts'

/**
 * Every version of every schema ever released, each able to read what any other wrote (FULL_TRANSITIVE), without asking
 * a registry. Before a schema is released its newest version may be overwritten; afterwards only added to:
 * SCHEMA_HISTORY=replace or SCHEMA_HISTORY=add before this test does either.
 */
const folder = new URL('../../schemas/history/', import.meta.url)
const name = (kind: Kind) => kind.replace(/(?<=.)[A-Z]/g, '-$&').toLowerCase()

function history(kind: Kind): string[] {
  const files = readdirSync(folder).filter((it) => new RegExp(`^${name(kind)}\\.\\d+\\.avsc$`).test(it))
  return files.map((_, i) => readFileSync(new URL(`${name(kind)}.${i + 1}.avsc`, folder), 'utf8'))
}

function update(kind: Kind): void {
  const wish = process.env['SCHEMA_HISTORY']
  const versions = history(kind)
  const { text } = bundled(kind)
  if (wish === undefined || isDeepStrictEqual(JSON.parse(text), JSON.parse(versions.at(-1) ?? '{}'))) return
  const version = versions.length + (wish === 'add' || versions.length === 0 ? 1 : 0)
  writeFileSync(new URL(`${name(kind)}.${version}.avsc`, folder), `${JSON.stringify(JSON.parse(text), null, 2)}\n`)
}

const parse = (text: string): Type => avsc.Type.forSchema(JSON.parse(text) as Schema)
const withoutDocs = (text: string): unknown =>
  JSON.parse(text, (key, value: unknown) => (key === 'doc' ? undefined : value))

/** Why `reader` cannot read what `writer` wrote; null when it can. */
function objection(reader: Type, writer: Type): string | null {
  try {
    reader.createResolver(writer)
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

describe.each(KINDS)('%s', (kind) => {
  update(kind)
  const versions = history(kind)

  test('the newest version in schemas/history is the schema as it is (after a change: SCHEMA_HISTORY=add)', () => {
    expect(versions.length).toBeGreaterThan(0)
    expect(withoutDocs(bundled(kind).text)).toEqual(withoutDocs(versions.at(-1) ?? '{}'))
  })

  const pairs = versions.flatMap((a, i) => versions.map((b, j) => [i + 1, j + 1, parse(a), parse(b)] as const))
  test.each(pairs)('version %i reads what version %i wrote', (_, __, reader, writer) => {
    const resolver = reader.createResolver(writer)
    fc.assert(
      fc.property(valueOf(writer), (value) => {
        const read: unknown = reader.fromBuffer(writer.toBuffer(value), resolver)
        expect(reader.isValid(read)).toBe(true)
      }),
      { numRuns: 50 },
    )
  })
})

describe('what this test would let through', () => {
  type Field = { readonly name: string; readonly type: unknown; readonly default?: unknown }
  const now = JSON.parse(bundled('ModelOutput').text) as { readonly fields: readonly Field[] }
  const edit = (change: (fields: readonly Field[]) => readonly Field[]) => ({ ...now, fields: change(now.fields) })
  const change = (field: string, to: object) =>
    edit((all) => all.map((it) => (it.name === field ? { ...it, ...to } : it)))

  const edits: readonly (readonly [what: string, schema: unknown, oldReadsNew: boolean, newReadsOld: boolean])[] = [
    [
      'a field with a default added',
      edit((all) => [...all, { name: 'hint', type: 'string', default: '' }]),
      true,
      true,
    ],
    ['a field without a default added', edit((all) => [...all, { name: 'hint', type: 'string' }]), true, false],
    ['a field with a default removed', edit((all) => all.filter((it) => it.name !== 'payload')), true, true],
    ['a field without a default removed', edit((all) => all.filter((it) => it.name !== 'action')), false, true],
    ['a field renamed', change('action', { name: 'act' }), false, false],
    ['a type widened', change('time', { type: 'double' }), false, true],
    ['a type narrowed', change('confidence', { type: 'double', default: 0 }), true, false],
    [
      'an attribute type added',
      change('attributes', {
        type: { type: 'map', values: ['null', 'boolean', 'double', 'string', { type: 'array', items: 'string' }] },
      }),
      false,
      true,
    ],
    ['a doc changed', change('action', { doc: 'other words' }), true, true],
  ]
  test.each(edits)('%s', (_, schema, oldReadsNew, newReadsOld) => {
    const edited = parse(JSON.stringify(schema))
    const { type } = bundled('ModelOutput')
    expect([objection(type, edited) === null, objection(edited, type) === null]).toEqual([oldReadsNew, newReadsOld])
  })
})
