import type { AttributeValue, Attributes, ModelOutput } from '../decision/event.ts'
import { fresh, Texts } from './texts.ts'

/** Within it every number is read exactly; beyond, `Cursor` and avsc decide. */
const LONG_MAX = 2 ** 52 - 1
/** Bytes of a number that is surely within `LONG_MAX`, or found not to be. */
const VARINT_BYTES = 8

/**
 * Reads the model output that `bytes` hold from `start` to their end, written with a schema laid out as ours is, in one
 * pass. Null for whatever is not plainly right: the walk and avsc then say what it is. What it gives is what they would
 * give, but that the payload is a view.
 */
export function readModelOutput(bytes: Buffer, start: number): ModelOutput | null {
  place.begin(bytes, start)
  const event = {
    id: place.id(),
    source: place.text(),
    tenant: place.text(),
    time: place.long(),
    expiresAt: place.isThere() ? place.long() : null,
    model: { name: place.text(), version: place.text() },
    action: place.text(),
    subject: { type: place.text(), id: place.id(), owner: place.isThere() ? place.text() : null },
    actor: place.isThere() ? place.text() : null,
    confidence: place.isThere() ? place.double() : null,
    scoreKind: place.text(),
    attributes: place.attributes(),
    payload: place.isThere() ? place.bytes() : null,
  }
  return place.isAtEnd() ? event : null
}

/** A place in the bytes. What cannot be read, or is not read here, leaves the mark `failed`; what is read then is void. */
class Place {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #failed = false
  readonly #texts = new Texts()

  begin(bytes: Buffer, start: number): void {
    this.#bytes = bytes
    this.#at = start
    this.#failed = false
  }

  isAtEnd(): boolean {
    const isRead = !this.#failed && this.#at === this.#bytes.length
    // A batch is in memory until it is committed, this place for ever.
    this.#bytes = NOTHING
    return isRead
  }

  /** An int or long, and every length, count and index. */
  long(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined || byte > 0x7f) return this.#longOfMany()
    this.#at += 1
    return (byte >>> 1) ^ -(byte & 1)
  }

  /** Of a union of null and something. */
  isThere(): boolean {
    const branch = this.long()
    if (branch !== 0 && branch !== 1) this.#failed = true
    return branch === 1
  }

  double(): number {
    const from = this.#skip(8)
    return this.#failed ? 0 : this.#bytes.readDoubleLE(from)
  }

  text(): string {
    const size = this.long()
    const from = this.#skip(size)
    return this.#failed ? '' : this.#orFail(this.#texts.read(this.#bytes, from, this.#at))
  }

  id(): string {
    const size = this.long()
    const from = this.#skip(size)
    return this.#failed ? '' : this.#orFail(fresh(this.#bytes, from, this.#at))
  }

  bytes(): Buffer {
    const size = this.long()
    const from = this.#skip(size)
    return this.#failed ? NOTHING : this.#bytes.subarray(from, this.#at)
  }

  /** One block, as most writers have it, then the empty one. */
  attributes(): Attributes {
    const values: Record<string, AttributeValue> = {}
    const count = this.long()
    if (count === 0) return values
    if (count < 0) this.#failed = true
    for (let left = count; left > 0 && !this.#failed; left -= 1) {
      const name = this.text()
      if (name === '__proto__' || Object.hasOwn(values, name)) this.#failed = true
      else values[name] = this.#attribute()
    }
    if (this.long() !== 0) this.#failed = true
    return values
  }

  #attribute(): AttributeValue {
    switch (this.long()) {
      case 0:
        return null
      case 1:
        return this.#boolean()
      case 2:
        return this.double()
      case 3:
        return this.text()
      default:
        this.#failed = true
        return null
    }
  }

  #boolean(): boolean {
    const byte = this.#bytes[this.#skip(1)]
    if (byte !== 0 && byte !== 1) this.#failed = true
    return byte === 1
  }

  #orFail(text: string | null): string {
    if (text === null) this.#failed = true
    return text ?? ''
  }

  /** Where what is skipped begins. */
  #skip(size: number): number {
    const from = this.#at
    if (size >= 0 && size <= this.#bytes.length - from) this.#at = from + size
    else this.#failed = true
    return from
  }

  #longOfMany(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < VARINT_BYTES; i += 1) {
      const byte = this.#bytes[this.#at + i]
      if (byte === undefined) break
      value += (byte & 0x7f) * scale
      scale *= 128
      if (byte > 0x7f) continue
      if (value > LONG_MAX) break
      this.#at += i + 1
      return value % 2 === 1 ? -(value + 1) / 2 : value / 2
    }
    this.#failed = true
    return 0
  }
}

const NOTHING = Buffer.alloc(0)
/** Shared by all, since reading never waits. */
const place = new Place()
