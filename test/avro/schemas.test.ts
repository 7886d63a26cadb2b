import assert from 'node:assert/strict'
import type { Type } from 'avsc'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KINDS } from '../../src/avro/record-types.ts'
import { bundled, subjectOf, VERDICT_HEAD } from '../../src/avro/schemas.ts'
import { shapeOf } from '../../src/avro/shape.ts'
import { LONG_MAX, valueOf } from './arbitrary.ts'
import { SAMPLES, verdict } from './samples.ts'

/** Every path to a field, through nullable records, arrays and maps alike. */
function fieldPaths(type: Type, path = ''): string[] {
  const shape = shapeOf(type)
  if (shape.kind === 'record')
    return shape.fields.flatMap((it) => [`${path}.${it.name}`, ...fieldPaths(it.type, `${path}.${it.name}`)])
  if (shape.kind === 'union') return shape.branches.flatMap((it) => fieldPaths(it, path))
  if (shape.kind === 'array') return fieldPaths(shape.items, path)
  return []
}

function valuePaths(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((it) => valuePaths(it, path))
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value) || path.endsWith('attributes')) return []
  return Object.entries(value).flatMap(([name, it]) => [`${path}.${name}`, ...valuePaths(it, `${path}.${name}`)])
}

describe.each(KINDS)('%s', (kind) => {
  const { type, text } = bundled(kind)

  test('has exactly the fields of its TypeScript type', () => {
    expect(valuePaths(SAMPLES[kind]).sort()).toEqual(fieldPaths(type).sort())
  })

  test('decodes to what was encoded, and encodes to what was decoded', () => {
    fc.assert(
      fc.property(valueOf(type), (value) => {
        const bytes = type.toBuffer(value)
        const decoded: unknown = type.fromBuffer(bytes)
        // Not by toStrictEqual, for which two maps with a key `constructor` whose value is NaN differ.
        assert.deepStrictEqual(decoded, value)
        expect(type.toBuffer(decoded).equals(bytes)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  test('decodes to plain objects without wrappers around union values', () => {
    const decoded: unknown = type.fromBuffer(type.toBuffer(SAMPLES[kind]))
    expect(decoded).toStrictEqual(SAMPLES[kind])
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype)
  })

  test('is registered as a text that stands alone and says the same', () => {
    expect(JSON.parse(text)).toMatchObject({ name: kind, namespace: 'sluice' })
    expect(text).not.toContain('"type":"ModelOutput"')
  })
})

test('a verdict is its head followed by its event', () => {
  const whole = bundled('Verdict').type.toBuffer(verdict)
  const parts = [VERDICT_HEAD.toBuffer(verdict), bundled('ModelOutput').type.toBuffer(verdict.event)]
  expect(Buffer.concat(parts).equals(whole)).toBe(true)
})

test('a number beyond what a double counts exactly is refused in both directions', () => {
  const { type } = bundled('Context')
  expect(() => type.toBuffer({ ...SAMPLES.Context, version: 2 ** 53 })).toThrow('long')
  const bytes = type.toBuffer({ ...SAMPLES.Context, version: LONG_MAX })
  const at = bytes.indexOf(Buffer.from([0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f]))
  expect(at).toBeGreaterThan(0)
  bytes[at + 7] = 0x3f
  expect(() => type.fromBuffer(bytes) as unknown).toThrow('precision')
})

test('a topic’s values are registered under its name and -value', () => {
  expect(subjectOf('model.outputs')).toBe('model.outputs-value')
})
