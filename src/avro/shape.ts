import type { Type, types } from 'avsc'

export type Scalar = 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string'

/** How an Avro type's bytes are laid out, whatever it is called and however it is documented. */
export type Shape =
  | { readonly kind: Scalar }
  | { readonly kind: 'fixed'; readonly size: number }
  | { readonly kind: 'enum'; readonly symbols: number }
  | { readonly kind: 'array' | 'map'; readonly items: Type }
  | { readonly kind: 'union'; readonly branches: readonly Type[] }
  | { readonly kind: 'record'; readonly fields: readonly { readonly name: string; readonly type: Type }[] }

/** The shape of an avsc type. Throws on a type avsc itself does not make from a schema. */
export function shapeOf(type: Type): Shape {
  switch (type.typeName) {
    case 'null':
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'bytes':
    case 'string':
      return { kind: type.typeName }
    case 'fixed':
      return { kind: 'fixed', size: (type as types.FixedType).size }
    case 'enum':
      return { kind: 'enum', symbols: (type as types.EnumType).symbols.length }
    case 'array':
      return { kind: 'array', items: (type as types.ArrayType).itemsType }
    case 'map':
      return { kind: 'map', items: (type as types.MapType).valuesType as Type }
    case 'union:wrapped':
    case 'union:unwrapped':
      return { kind: 'union', branches: (type as types.UnwrappedUnionType).types }
    case 'record':
    case 'error':
      return { kind: 'record', fields: (type as types.RecordType).fields }
    default:
      throw new Error(`the Avro type ${type.typeName} is not known`)
  }
}

/** The types a type is made of. */
export function partsOf(shape: Shape): readonly Type[] {
  switch (shape.kind) {
    case 'array':
    case 'map':
      return [shape.items]
    case 'union':
      return shape.branches
    case 'record':
      return shape.fields.map((field) => field.type)
    default:
      return []
  }
}

/**
 * The least number of bytes a value of each type takes, by type. A type that contains itself counts as nothing inside
 * itself, so the figure is never too high.
 */
export function leastBytes(type: Type, known: Map<Type, number>): number {
  const found = known.get(type)
  if (found !== undefined) return found
  known.set(type, 0)
  const least = leastOf(shapeOf(type), (part) => leastBytes(part, known))
  known.set(type, least)
  return least
}

function leastOf(shape: Shape, least: (part: Type) => number): number {
  switch (shape.kind) {
    case 'null':
      return 0
    case 'float':
      return 4
    case 'double':
      return 8
    case 'fixed':
      return shape.size
    case 'record':
      return shape.fields.reduce((sum, field) => sum + least(field.type), 0)
    case 'union':
      return 1 + Math.min(...shape.branches.map(least))
    default:
      return 1
  }
}
