import { Buffer } from 'node:buffer'
import { WireError } from './reader.ts'

/** Output of a decompressor: grows as needed up to `max` bytes, and copies from itself as LZ77 codecs do. */
export class Unpacked {
  readonly #max: number
  #bytes: Buffer
  #end = 0

  constructor(sizeHint: number, max: number) {
    this.#max = max
    this.#bytes = Buffer.allocUnsafe(Math.min(Math.max(sizeHint, 64), max))
  }

  written(): Buffer {
    return this.#bytes.subarray(0, this.#end)
  }

  literal(source: Uint8Array, at: number, length: number): void {
    if (!(at + length <= source.length)) throw new WireError('compressed data ends early')
    this.#reserve(length)
    this.#bytes.set(source.subarray(at, at + length), this.#end)
    this.#end += length
  }

  /** `length` bytes from `distance` back; they may overlap what is being written. */
  repeat(distance: number, length: number): void {
    if (!(distance > 0 && distance <= this.#end)) throw new WireError('compressed data refers to before its start')
    this.#reserve(length)
    const from = this.#end - distance
    if (distance >= length) this.#bytes.copyWithin(this.#end, from, from + length)
    else for (let index = 0; index < length; index++) this.#bytes[this.#end + index] = this.#bytes[from + index] ?? 0
    this.#end += length
  }

  #reserve(more: number): void {
    const needed = this.#end + more
    if (needed <= this.#bytes.length) return
    if (needed > this.#max) throw new WireError(`a record batch unpacks to more than ${this.#max} bytes`)
    const larger = Buffer.allocUnsafe(Math.min(Math.max(this.#bytes.length * 2, needed), this.#max))
    this.#bytes.copy(larger, 0, 0, this.#end)
    this.#bytes = larger
  }
}
