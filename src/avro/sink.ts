import type { AttributeValue, Attributes } from '../decision/event.ts'

/** Beyond this avsc has bounds of its own, which are left to it. */
const LONG_MAX = 2 ** 52 - 1
/** The most bytes of a number. */
const VARINT_BYTES = 10
const UTF8_PER_UNIT = 3
/** Longer text is given to the runtime, which is faster from about there on. */
const SHORT_TEXT = 24

/** The value written last in one place, and how. */
export type Memo<T> = { value: T | null; bytes: Uint8Array | null }

export const newMemo = <T>(): Memo<T> => ({ value: null, bytes: null })

/**
 * Writes Avro's primitive types into a buffer, as https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
 * has them. What does not fit, or is not surely writable, leaves the mark `failed`, and nothing written counts. A value is
 * looked at whatever its type says, since contexts come from outside.
 */
export class Sink {
  at = 0
  failed = false
  #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Begins anew at a place of a buffer. */
  begin(bytes: Buffer, at: number): void {
    this.#bytes = bytes
    this.at = at
    this.failed = false
  }

  boolean(value: boolean): void {
    if (typeof value !== 'boolean') this.failed = true
    else if (this.#has(1)) this.#bytes[this.at++] = value ? 1 : 0
  }

  /** An int or long. */
  long(value: number): void {
    if (!(Number.isInteger(value) && value >= -LONG_MAX && value <= LONG_MAX)) this.failed = true
    else if (this.#has(VARINT_BYTES)) this.#varint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  double(value: number): void {
    if (typeof value !== 'number') this.failed = true
    else if (this.#has(8)) this.at = this.#bytes.writeDoubleLE(value, this.at)
  }

  text(value: string): void {
    if (typeof value !== 'string') {
      this.failed = true
      return
    }
    const { length } = value
    if (!this.#has(length * UTF8_PER_UNIT + VARINT_BYTES)) return
    if (length > SHORT_TEXT || !this.#ascii(value, length)) this.#utf8(value)
  }

  /** The bytes as they are: Avro already. */
  piece(bytes: Uint8Array): void {
    if (!this.#has(bytes.length)) return
    this.#bytes.set(bytes, this.at)
    this.at += bytes.length
  }

  /** What is written of the same value again and again is copied from the last time; a value does not change. */
  again<T>(memo: Memo<T>, value: T, write: (value: T) => void): void {
    if (memo.bytes !== null && memo.value === value) return this.piece(memo.bytes)
    const start = this.at
    write(value)
    if (this.failed) return
    memo.value = value
    memo.bytes = Uint8Array.from(this.#bytes.subarray(start, this.at))
  }

  /** A branch of a union by its index, before its value. */
  branch(index: number): void {
    this.long(index)
  }

  nullableText(value: string | null): void {
    this.branch(value === null ? 0 : 1)
    if (value !== null) this.text(value)
  }

  nullableLong(value: number | null): void {
    this.branch(value === null ? 0 : 1)
    if (value !== null) this.long(value)
  }

  nullableDouble(value: number | null): void {
    this.branch(value === null ? 0 : 1)
    if (value !== null) this.double(value)
  }

  nullableBoolean(value: boolean | null): void {
    this.branch(value === null ? 0 : 1)
    if (value !== null) this.boolean(value)
  }

  /** The symbol's place among all. */
  symbol<T extends string>(value: T, symbols: readonly T[]): void {
    const index = symbols.indexOf(value)
    if (index < 0) this.failed = true
    else this.long(index)
  }

  /** One block, and the empty one that ends an array. */
  array<T>(values: readonly T[], write: (value: T) => void): void {
    if (values.length > 0) {
      this.long(values.length)
      for (const value of values) write(value)
    }
    this.long(0)
  }

  /** A map of union values: null, boolean, double, string. */
  attributes(values: Attributes): void {
    if (typeof values !== 'object' || values === null || Array.isArray(values)) {
      this.failed = true
      return
    }
    const names = Object.keys(values)
    if (names.length > 0) {
      this.long(names.length)
      for (const name of names) {
        this.text(name)
        this.#attribute(values[name])
      }
    }
    this.long(0)
  }

  #attribute(value: AttributeValue | undefined): void {
    if (value === null) this.branch(0)
    else if (typeof value === 'boolean') {
      this.branch(1)
      this.boolean(value)
    } else if (typeof value === 'number') {
      this.branch(2)
      this.double(value)
    } else if (typeof value === 'string') {
      this.branch(3)
      this.text(value)
    } else this.failed = true
  }

  #has(bytes: number): boolean {
    if (!this.failed && this.at + bytes <= this.#bytes.length) return true
    this.failed = true
    return false
  }

  #varint(zigzag: number): void {
    const bytes = this.#bytes
    let rest = zigzag
    while (rest > 0x7f) {
      bytes[this.at++] = (rest & 0x7f) | 0x80
      rest = rest < 0x8000_0000 ? rest >>> 7 : Math.floor(rest / 128)
    }
    bytes[this.at++] = rest
  }

  /** False, with nothing written, when a character is beyond ASCII. */
  #ascii(value: string, length: number): boolean {
    const bytes = this.#bytes
    const start = this.at
    this.#varint(length * 2)
    const from = this.at
    for (let index = 0; index < length; index++) {
      const unit = value.charCodeAt(index)
      if (unit > 0x7f) {
        this.at = start
        return false
      }
      bytes[from + index] = unit
    }
    this.at = from + length
    return true
  }

  /**
   * Written as if it were ASCII, which it was if it took as many bytes as it has units. Text that no UTF-8 can hold is
   * left to avsc.
   */
  #utf8(value: string): void {
    const start = this.at
    this.#varint(value.length * 2)
    const written = this.#bytes.write(value, this.at)
    if (written === value.length) {
      this.at += written
      return
    }
    this.at = start
    this.#wide(value)
  }

  #wide(value: string): void {
    if (!value.isWellFormed()) {
      this.failed = true
      return
    }
    const length = Buffer.byteLength(value)
    this.#varint(length * 2)
    this.at += this.#bytes.write(value, this.at, length)
  }
}
