const ARRAY_32 = 0xdd
const STRING_8 = 0xd9
const STRING_16 = 0xda
const STRING_32 = 0xdb
const FLOAT_64 = 0xcb
const UNSIGNED_8 = 0xcc
const UNSIGNED_32 = 0xce

/** Text of at most this many UTF-16 units is looked at for being ASCII before it is written byte by byte. */
const SHORT = 64

/**
 * Writes the part of MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md) that the function library
 * reads: arrays, numbers and text. One argument of this kind costs Redis and Node less than thousands of small ones.
 */
export class MessagePack {
  #bytes = Buffer.allocUnsafe(64 * 1024)
  #at = 0

  /** Begins an array whose length is given to `endArray` with the answered position. */
  beginArray(): number {
    this.#need(5)
    this.#bytes[this.#at] = ARRAY_32
    this.#at += 5
    return this.#at - 4
  }

  endArray(position: number, length: number): void {
    this.#bytes.writeUInt32BE(length, position)
  }

  number(value: number): void {
    this.#need(9)
    const isWhole = Number.isInteger(value) && value >= 0 && value <= 0xffffffff
    if (!isWhole) return this.#float(value)
    if (value < 0x80) this.#byte(value)
    else if (value <= 0xff) {
      this.#byte(UNSIGNED_8)
      this.#byte(value)
    } else {
      this.#byte(UNSIGNED_32)
      this.#at = this.#bytes.writeUInt32BE(value, this.#at)
    }
  }

  text(value: string): void {
    this.#need(value.length * 3 + 5)
    const { length } = value
    if (length > SHORT) return this.#longText(value)
    const start = this.#at
    const header = length < 32 ? 1 : 2
    const body = start + header
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) return this.#longText(value)
      this.#bytes[body + i] = code
    }
    if (header === 1) this.#bytes[start] = 0xa0 | length
    else {
      this.#bytes[start] = STRING_8
      this.#bytes[start + 1] = length
    }
    this.#at = body + length
  }

  /** A copy of what was written; the writer is empty again. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#at))
    this.#at = 0
    return taken
  }

  #float(value: number): void {
    this.#byte(FLOAT_64)
    this.#at = this.#bytes.writeDoubleBE(value, this.#at)
  }

  #longText(value: string): void {
    const length = Buffer.byteLength(value)
    if (length <= 0xffff) {
      this.#byte(STRING_16)
      this.#at = this.#bytes.writeUInt16BE(length, this.#at)
    } else {
      this.#byte(STRING_32)
      this.#at = this.#bytes.writeUInt32BE(length, this.#at)
    }
    this.#at += this.#bytes.write(value, this.#at)
  }

  #byte(value: number): void {
    this.#bytes[this.#at++] = value
  }

  #need(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes))
    this.#bytes.copy(larger, 0, 0, this.#at)
    this.#bytes = larger
  }
}
