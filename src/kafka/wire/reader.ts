import type { Buffer } from 'node:buffer'

const TWO_32 = 0x1_0000_0000

/** The bytes are not what the protocol says they should be. */
export class WireError extends Error {
  override readonly name = 'WireError'
}

/**
 * Reads Kafka's primitive types; throws WireError where the bytes end early, an array claims more elements than there
 * are bytes, or an int64 is beyond JavaScript's safe integers.
 */
export class Reader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  get at(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  int8(): number {
    return this.#bytes.readInt8(this.#advance(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#advance(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#advance(4))
  }

  int64(): number {
    const at = this.#advance(8)
    const value = this.#bytes.readInt32BE(at) * TWO_32 + this.#bytes.readUInt32BE(at + 4)
    if (!Number.isSafeInteger(value)) throw new WireError(`int64 at byte ${at} is beyond safe integers`)
    return value
  }

  unsigned(): number {
    let value = 0
    let factor = 1
    for (let byte = 0; byte < 5; byte++) {
      const next = this.#bytes.readUInt8(this.#advance(1))
      value += (next & 0x7f) * factor
      if (next < 0x80) return value
      factor *= 128
    }
    throw new WireError(`varint at byte ${this.#at} is too long`)
  }

  /** A zigzag varint or varlong within safe integers. */
  varint(): number {
    let value = 0
    let factor = 1
    for (let byte = 0; byte < 8; byte++) {
      const next = this.#bytes.readUInt8(this.#advance(1))
      value += (next & 0x7f) * factor
      if (next < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      factor *= 128
    }
    throw new WireError(`varlong at byte ${this.#at} is beyond safe integers`)
  }

  string(): string {
    return this.#text(this.int16())
  }

  nullableString(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.#text(length)
  }

  bytes(): Buffer {
    return this.raw(this.int32())
  }

  nullableBytes(): Buffer | null {
    const length = this.int32()
    return length < 0 ? null : this.raw(length)
  }

  /** A null array reads as an empty one. */
  array<T>(read: () => T): T[] {
    return this.#elements(this.int32(), read)
  }

  compactString(): string {
    return this.#text(this.unsigned() - 1)
  }

  compactNullableString(): string | null {
    const length = this.unsigned() - 1
    return length < 0 ? null : this.#text(length)
  }

  compactBytes(): Buffer {
    return this.raw(this.unsigned() - 1)
  }

  /** A null array reads as an empty one. */
  compactArray<T>(read: () => T): T[] {
    return this.#elements(this.unsigned() - 1, read)
  }

  /** Skips a tagged-field section. */
  tags(): void {
    for (let left = this.unsigned(); left > 0; left--) {
      this.unsigned()
      this.skip(this.unsigned())
    }
  }

  skip(length: number): void {
    this.#advance(length)
  }

  /** A view, not a copy. */
  raw(length: number): Buffer {
    const at = this.#advance(length)
    return this.#bytes.subarray(at, at + length)
  }

  #text(length: number): string {
    const at = this.#advance(length)
    return this.#bytes.toString('utf8', at, at + length)
  }

  #elements<T>(count: number, read: () => T): T[] {
    if (count > this.remaining) throw new WireError(`array at byte ${this.#at} claims ${count} elements`)
    const elements: T[] = []
    for (let index = 0; index < count; index++) elements.push(read())
    return elements
  }

  #advance(length: number): number {
    if (!(length >= 0 && length <= this.remaining)) {
      throw new WireError(`${length} bytes wanted at byte ${this.#at}, ${this.remaining} left`)
    }
    const at = this.#at
    this.#at += length
    return at
  }
}
