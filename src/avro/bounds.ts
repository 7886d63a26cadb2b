import { isUtf8 } from 'node:buffer'
import type { Type } from 'avsc'
import { Cursor, type BoundsFault } from './cursor.ts'
import { leastBytes, shapeOf, type Scalar, type Shape } from './shape.ts'

/**
 * Walks the Avro value that starts at `start` and gives the position after its end, or why there is none. It never
 * throws, allocates nothing but map keys, and takes time proportional to the bytes, so that a decoder that trusts
 * lengths and counts may be let loose on what passed.
 */
export type Walk = (bytes: Buffer, start: number) => number | BoundsFault

/**
 * The walk for what was written with `writer`. A length or count that no value of `limitBytes` could hold is
 * `record.bounds`; one that only this value is too short for is `record.truncated`.
 *
 * Stricter than Avro asks for where readers differ: text must be UTF-8, a boolean is 0 or 1, a map names no key twice,
 * and none is named `__proto__`, which would vanish from a plain object.
 */
export function createWalk(writer: Type, limitBytes: number): Walk {
  const step = compile(writer, { steps: new Map(), least: new Map() })
  return (bytes, start) => {
    const cursor = new Cursor(bytes, start, limitBytes)
    return step(cursor) ? cursor.at : cursor.fault(start)
  }
}

/** Moves the cursor past one value; false when it cannot, with the reason left in the cursor. */
type Step = (cursor: Cursor) => boolean
type Compiled = { readonly steps: Map<Type, Step>; readonly least: Map<Type, number> }

function compile(type: Type, done: Compiled): Step {
  const found = done.steps.get(type)
  if (found !== undefined) return found
  // A type that contains itself finds this entry, which by the time it is called leads to the real step.
  done.steps.set(type, (cursor) => step(cursor))
  const step = compileShape(shapeOf(type), done)
  done.steps.set(type, step)
  return step
}

function compileShape(shape: Shape, done: Compiled): Step {
  switch (shape.kind) {
    case 'fixed':
      return (cursor) => cursor.skip(shape.size)
    case 'enum':
      return enumeration(shape.symbols)
    case 'union':
      return union(shape.branches.map((branch) => compile(branch, done)))
    case 'record':
      return record(
        shape.fields.map((field) => field.name),
        shape.fields.map((field) => compile(field.type, done)),
      )
    case 'array':
      return array(compile(shape.items, done), leastBytes(shape.items, done.least))
    case 'map':
      return map(compile(shape.items, done), 1 + leastBytes(shape.items, done.least))
    default:
      return SCALARS[shape.kind]
  }
}

function boolean(cursor: Cursor): boolean {
  const byte = cursor.bytes[cursor.at]
  if (byte === 0 || byte === 1) return cursor.skip(1)
  return byte === undefined ? cursor.skip(1) : cursor.fail('record.malformed', 'a boolean is neither 0 nor 1')
}

/**
 * What zigzag writes negative numbers below this as is odd and beyond 2^53, where a double drops the last bit and with it
 * the sign: avsc 5.7.9 reads −2^52 − 1 as 2^52, and what expired long ago would be good for ever.
 */
const LONG_MIN = -(2 ** 52)

function long(cursor: Cursor): boolean {
  const value = cursor.long()
  if (value > LONG_MIN) return true
  return !Number.isNaN(value) && cursor.fail('record.malformed', 'a number is too far below 0 to be read exactly')
}

function int(cursor: Cursor): boolean {
  const value = cursor.long()
  if (value >= -2147483648 && value <= 2147483647) return true
  return !Number.isNaN(value) && cursor.fail('record.malformed', 'a number is beyond 32 bits')
}

function bytes(cursor: Cursor): boolean {
  const size = cursor.length()
  return !Number.isNaN(size) && cursor.skip(size)
}

function text(cursor: Cursor): boolean {
  const size = cursor.length()
  if (Number.isNaN(size)) return false
  if (!isText(cursor.bytes, cursor.at, cursor.at + size)) return cursor.fail('record.malformed', 'text is not UTF-8')
  return cursor.skip(size)
}

/** Looking for a byte beyond ASCII is faster than asking for a view to check, up to about this many bytes. */
const SHORT_TEXT_BYTES = 128

function isText(bytes: Buffer, from: number, to: number): boolean {
  if (to - from > SHORT_TEXT_BYTES) return isUtf8(bytes.subarray(from, to))
  for (let i = from; i < to; i += 1) {
    if ((bytes[i] ?? 0) > 0x7f) return isUtf8(bytes.subarray(from, to))
  }
  return true
}

function enumeration(symbols: number): Step {
  return (cursor) => {
    const index = cursor.long()
    if (index >= 0 && index < symbols) return true
    return !Number.isNaN(index) && cursor.fail('record.malformed', `symbol ${index} of an enum of ${symbols}`)
  }
}

function union(branches: readonly Step[]): Step {
  return (cursor) => {
    const index = cursor.long()
    const branch = branches[index]
    if (branch !== undefined) return branch(cursor)
    return !Number.isNaN(index) && cursor.fail('record.malformed', `branch ${index} of a union of ${branches.length}`)
  }
}

function record(names: readonly string[], fields: readonly Step[]): Step {
  return (cursor) => {
    if (!cursor.enter()) return false
    for (let i = 0; i < fields.length; i += 1) {
      if (fields[i]?.(cursor) === true) continue
      cursor.path.push(names[i] ?? '')
      return false
    }
    return cursor.leave()
  }
}

function array(item: Step, least: number): Step {
  return (cursor) => {
    if (!cursor.enter()) return false
    for (let count = cursor.block(least); count !== 0; count = cursor.block(least)) {
      if (!block(cursor, count, item)) return false
    }
    return cursor.leave()
  }
}

function map(value: Step, least: number): Step {
  return (cursor) => {
    if (!cursor.enter()) return false
    const keys = new Set<string>()
    const entry: Step = (cursor) => key(cursor, keys) && value(cursor)
    for (let count = cursor.block(least); count !== 0; count = cursor.block(least)) {
      if (!block(cursor, count, entry)) return false
    }
    return cursor.leave()
  }
}

/** One block of an array or map; `count` is NaN where its head could not be read. */
function block(cursor: Cursor, count: number, item: Step): boolean {
  if (Number.isNaN(count)) return false
  const end = cursor.blockEnd
  for (let i = 0; i < count; i += 1) if (!item(cursor)) return false
  return cursor.closes(end)
}

function key(cursor: Cursor, seen: Set<string>): boolean {
  const size = cursor.length()
  if (Number.isNaN(size)) return false
  const { at } = cursor
  if (!isText(cursor.bytes, at, at + size)) return cursor.fail('record.malformed', 'a map’s key is not UTF-8')
  // Read byte by byte, so that different bytes are different keys; it is the fastest reading there is.
  const name = cursor.bytes.toString('latin1', at, at + size)
  if (name === '__proto__') return cursor.fail('record.malformed', 'a map has the key __proto__')
  if (seen.has(name)) return cursor.fail('record.malformed', 'a map names a key twice')
  seen.add(name)
  return cursor.skip(size)
}

const SCALARS: Readonly<Record<Scalar, Step>> = {
  null: () => true,
  boolean,
  int,
  long,
  float: (cursor) => cursor.skip(4),
  double: (cursor) => cursor.skip(8),
  bytes,
  string: text,
}
