import type { FaultCode } from '../processor/fault.ts'

/** Why bytes are not one value of a schema. `detail` names the field and the position in the record. */
export type BoundsFault = {
  readonly code: Extract<FaultCode, 'record.bounds' | 'record.truncated' | 'record.malformed'>
  readonly detail: string
}

/** Deeper than any schema of use; only a schema that contains itself gets here. */
const DEPTH_MAX = 64
/** A 64-bit number in groups of 7 bits: https://avro.apache.org/docs/1.12.0/specification/#primitive-types-1 */
const VARINT_BYTES_MAX = 10

/**
 * A place in the bytes of one Avro value. What cannot be read leaves its reason here and answers false, or NaN where a
 * number was asked for. `limit` is the size no value may exceed, bytes.
 */
export class Cursor {
  readonly bytes: Buffer
  readonly end: number
  readonly limit: number
  readonly path: string[] = []
  at: number
  /** Where the block entered last must end; NaN when it did not say. */
  blockEnd = Number.NaN
  private depth = 0
  /** How many more items that take no bytes there may be: as many as the value has bytes. */
  private free: number
  private code: BoundsFault['code'] = 'record.malformed'
  private reason = ''

  constructor(bytes: Buffer, start: number, limit: number) {
    this.bytes = bytes
    this.end = bytes.length
    this.at = start
    this.limit = limit
    this.free = bytes.length - start
  }

  fail(code: BoundsFault['code'], reason: string): false {
    this.code = code
    this.reason = reason
    return false
  }

  fault(start: number): BoundsFault {
    const where = this.path.length === 0 ? '' : `${this.path.toReversed().join('.')}: `
    return { code: this.code, detail: `${where}${this.reason} (byte ${this.at - start} of the Avro body)` }
  }

  /** The next number; NaN when there is none. */
  long(): number {
    const byte = this.bytes[this.at]
    if (byte === undefined || byte > 0x7f) return this.longOfMany()
    this.at += 1
    return (byte >>> 1) ^ -(byte & 1)
  }

  private longOfMany(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < VARINT_BYTES_MAX; i += 1) {
      const byte = this.bytes[this.at + i]
      if (byte === undefined) return this.nan('record.truncated', 'ends inside a number')
      value += (byte & 0x7f) * scale
      scale *= 128
      if (byte > 0x7f) continue
      if (i === VARINT_BYTES_MAX - 1 && byte > 1) break
      const odd = ((this.bytes[this.at] ?? 0) & 1) === 1
      this.at += i + 1
      return odd ? -(value + 1) / 2 : value / 2
    }
    return this.nan('record.bounds', 'a number is longer than 64 bits')
  }

  private nan(code: BoundsFault['code'], reason: string): number {
    this.fail(code, reason)
    return Number.NaN
  }

  skip(size: number): boolean {
    if (size > this.end - this.at) return this.short(size)
    this.at += size
    return true
  }

  enter(): boolean {
    this.depth += 1
    return this.depth <= DEPTH_MAX || this.fail('record.bounds', `is nested deeper than ${DEPTH_MAX}`)
  }

  leave(): true {
    this.depth -= 1
    return true
  }

  /** A length of something to follow, checked to be there; NaN when it is not. */
  length(): number {
    const size = this.long()
    if (size < 0) return this.nan('record.bounds', 'a length is negative')
    if (size > this.end - this.at) {
      this.short(size)
      return Number.NaN
    }
    return size
  }

  private short(size: number): false {
    if (size > this.limit) return this.fail('record.bounds', `a length of ${size} bytes is beyond any record’s size`)
    return this.fail('record.truncated', `${size} bytes are announced and ${this.end - this.at} follow`)
  }

  /** The number of items in the next block of an array or map, each of at least `least` bytes; 0 after the last. */
  block(least: number): number {
    const count = this.long()
    this.blockEnd = Number.NaN
    if (!(count < 0)) return this.holds(count, least) ? count : Number.NaN
    if (!this.holds(-count, least)) return Number.NaN
    // A negative count is followed by the block's size, so that a reader may skip it.
    const size = this.length()
    this.blockEnd = this.at + size
    return Number.isNaN(size) ? size : -count
  }

  /** Whether the block that was to end at `end` does. */
  closes(end: number): boolean {
    return Number.isNaN(end) || this.at === end || this.fail('record.malformed', 'a block is not of the size it says')
  }

  private holds(count: number, least: number): boolean {
    if (Number.isNaN(count)) return false
    if (least === 0) {
      this.free -= count
      return this.free >= 0 || this.fail('record.bounds', `${count} items that take no bytes are announced`)
    }
    if (count <= (this.end - this.at) / least) return true
    if (count > this.limit / least) return this.fail('record.bounds', `${count} items are beyond any record’s size`)
    return this.fail('record.truncated', `${count} items are announced and ${this.end - this.at} bytes follow`)
  }
}
