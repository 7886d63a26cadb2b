import type { Type } from 'avsc'
import type { Fault } from '../processor/fault.ts'

/**
 * The Confluent wire format: a zero byte, the schema id as a big-endian 32-bit number, the Avro body.
 * https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
 */
export const HEADER_BYTES = 5

/** The schema id a value names, or why it cannot be one of ours. `maxBytes`: of the whole value. */
export function schemaIdOf(value: Buffer, maxBytes: number): number | Fault {
  if (value.length > maxBytes) {
    return fault('record.oversized', `the value has ${value.length} bytes and ${maxBytes} are allowed`)
  }
  if (value.length > 0 && value[0] !== 0) return fault('record.magic', `the value starts with byte ${value[0]}, not 0`)
  if (value.length < HEADER_BYTES) return fault('record.too_short', `the value has ${value.length} bytes`)
  return value.readInt32BE(1)
}

/** A fault of one record, which stays wrong however often it is read. */
export const fault = (code: Fault['code'], detail: string): Fault => ({ code, detail, retry: false })

/** Encodes a value of one type behind a header, and appends `tail`, which is Avro already. */
export type Encode<T = unknown> = (schemaId: number, value: T, tail: Uint8Array | null) => Buffer

/** Shared by all, since encoding never waits. Most records fit; it grows for the first that does not. */
let scratch = Buffer.allocUnsafeSlow(64 * 1024)

/** Writes a value at a place of a buffer and gives its end, or −1 where avsc is to do it. */
export type Shortcut<T> = (value: T, into: Buffer, at: number) => number

/**
 * The encoder of a type. It throws InvalidRecord on a value that the type does not take; `what` names it there.
 * `shortcut` is tried first.
 */
export function createEncode<T = unknown>(type: Type, what: string, shortcut?: Shortcut<T>): Encode<T> {
  return (schemaId, value, tail) => {
    let end = shortcut?.(value, scratch, HEADER_BYTES) ?? -1
    if (end < 0) end = encodeInto(type, what, value, scratch)
    if (end < 0) {
      scratch = Buffer.allocUnsafeSlow(scratch.length * 2 - end)
      end = encodeInto(type, what, value, scratch)
    }
    scratch.writeUInt8(0, 0)
    scratch.writeInt32BE(schemaId, 1)
    const encoded = Buffer.allocUnsafe(end + (tail?.length ?? 0))
    scratch.copy(encoded, 0, 0, end)
    if (tail !== null) encoded.set(tail, end)
    return encoded
  }
}

function encodeInto(type: Type, what: string, value: unknown, into: Buffer): number {
  try {
    return type.encode(value, into, HEADER_BYTES)
  } catch (error) {
    throw new InvalidRecord(type, what, value, error)
  }
}

/** A value that its schema does not take; the message names every field that is wrong. */
export class InvalidRecord extends Error {
  constructor(type: Type, what: string, value: unknown, cause: unknown) {
    const wrong: string[] = []
    const errorHook = (path: readonly string[], _: unknown, expected: Type) => {
      wrong.push(`\`${path.join('.')}\` is not ${expected.branchName ?? expected.typeName}`)
    }
    type.isValid(value, { errorHook })
    const reasons = wrong.length > 0 ? wrong.join(', ') : String(cause)
    super(`this is no ${what}: ${reasons}; see schemas/`, { cause })
    this.name = 'InvalidRecord'
  }
}
