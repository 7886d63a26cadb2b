import type { Type, types } from 'avsc'
import * as fc from 'fast-check'
import { shapeOf } from '../../src/avro/shape.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 12 })
const key = fc
  .oneof(text, fc.constantFrom('constructor', 'toString', 'hasOwnProperty', ''))
  .filter((it) => it !== '__proto__')
/** What avsc writes and reads exactly: it stops one short of 2^53, and below -2^52 it loses the last bit. */
export const LONG_MAX = Number.MAX_SAFE_INTEGER - 1
const LONG_MIN = -(2 ** 52) + 1
const safeLong = fc.oneof(
  fc.integer(),
  fc.integer({ min: LONG_MIN, max: LONG_MAX }),
  fc.constantFrom(LONG_MAX, LONG_MIN),
)

/** Any value an avsc type takes. */
export function valueOf(type: Type): fc.Arbitrary<unknown> {
  const shape = shapeOf(type)
  switch (shape.kind) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'int':
      return fc.integer()
    case 'long':
      return safeLong
    case 'float':
      return fc.float()
    case 'double':
      return fc.double()
    case 'string':
      return text
    case 'bytes':
      return fc.uint8Array({ maxLength: 20 }).map((it) => Buffer.from(it))
    case 'fixed':
      return fc.uint8Array({ minLength: shape.size, maxLength: shape.size }).map((it) => Buffer.from(it))
    case 'enum':
      return fc.constantFrom(...(type as types.EnumType).symbols)
    case 'array':
      return fc.array(valueOf(shape.items), { maxLength: 3 })
    case 'map':
      return fc
        .uniqueArray(fc.tuple(key, valueOf(shape.items)), { selector: ([name]) => name, maxLength: 5 })
        .map((entries) => Object.fromEntries(entries))
    case 'union':
      return fc.oneof(...shape.branches.map(valueOf))
    default:
      return fc.record(Object.fromEntries(shape.fields.map((field) => [field.name, valueOf(field.type)])), {
        noNullPrototype: true,
      })
  }
}
