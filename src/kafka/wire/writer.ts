import { Buffer } from 'node:buffer'
import assert from 'node:assert'

const TWO_32 = 0x1_0000_0000

/**
 * Writes Kafka's primitive types. The `compact` ones and `tags` belong to flexible versions (KIP-482), the plain ones
 * to those before. Layouts: https://kafka.apache.org/protocol.html#protocol_types
 */
export class Writer {
  #bytes: Buffer
  #end = 0

  constructor(sizeHint = 256) {
    this.#bytes = Buffer.allocUnsafe(sizeHint)
  }

  /** What was written so far. */
  written(): Buffer {
    return this.#bytes.subarray(0, this.#end)
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  int8(value: number): this {
    this.#reserve(1)
    this.#end = this.#bytes.writeInt8(value, this.#end)
    return this
  }

  int16(value: number): this {
    this.#reserve(2)
    this.#end = this.#bytes.writeInt16BE(value, this.#end)
    return this
  }

  int32(value: number): this {
    this.#reserve(4)
    this.#end = this.#bytes.writeInt32BE(value, this.#end)
    return this
  }

  int64(value: number): this {
    assert(Number.isSafeInteger(value), `${value} is not a safe integer`)
    this.#reserve(8)
    this.#bytes.writeInt32BE(Math.floor(value / TWO_32), this.#end)
    this.#bytes.writeUInt32BE(value >>> 0, this.#end + 4)
    this.#end += 8
    return this
  }

  /** An unsigned varint; `value` below 2^31. */
  unsigned(value: number): this {
    this.#reserve(5)
    let rest = value
    while (rest > 0x7f) {
      this.#bytes[this.#end++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#bytes[this.#end++] = rest
    return this
  }

  string(value: string): this {
    const length = Buffer.byteLength(value)
    return this.int16(length).#text(value, length)
  }

  nullableString(value: string | null): this {
    return value === null ? this.int16(-1) : this.string(value)
  }

  bytes(value: Uint8Array): this {
    return this.int32(value.length).raw(value)
  }

  nullableBytes(value: Uint8Array | null): this {
    return value === null ? this.int32(-1) : this.bytes(value)
  }

  array<T>(values: readonly T[], write: (value: T) => void): this {
    this.int32(values.length)
    for (const value of values) write(value)
    return this
  }

  compactString(value: string): this {
    const length = Buffer.byteLength(value)
    return this.unsigned(length + 1).#text(value, length)
  }

  compactNullableString(value: string | null): this {
    return value === null ? this.unsigned(0) : this.compactString(value)
  }

  compactBytes(value: Uint8Array): this {
    return this.unsigned(value.length + 1).raw(value)
  }

  compactArray<T>(values: readonly T[], write: (value: T) => void): this {
    this.unsigned(values.length + 1)
    for (const value of values) write(value)
    return this
  }

  /** An empty tagged-field section. */
  tags(): this {
    return this.unsigned(0)
  }

  raw(value: Uint8Array): this {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#end)
    this.#end += value.length
    return this
  }

  #text(value: string, length: number): this {
    this.#reserve(length)
    this.#end += this.#bytes.write(value, this.#end, length)
    return this
  }

  #reserve(more: number): void {
    if (this.#end + more <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + more))
    this.#bytes.copy(larger, 0, 0, this.#end)
    this.#bytes = larger
  }
}
