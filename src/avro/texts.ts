import { isUtf8 } from 'node:buffer'

const SLOTS = 1024
/** Longer text seldom comes again. */
const KEPT_BYTES_MAX = 40
/** Looking for a byte beyond ASCII is faster than asking the runtime, up to about this many bytes. */
const SHORT_TEXT_BYTES = 128

/**
 * Reads UTF-8, and remembers short ASCII texts: names of models, actions and attributes come with every event, and to
 * compare some bytes is cheaper than to make a string of them. One text a slot, so it is bounded.
 */
export class Texts {
  readonly #kept: (string | undefined)[] = Array.from({ length: SLOTS })

  /** Of the bytes from `from` to before `to`; null where they are not UTF-8. */
  read(bytes: Buffer, from: number, to: number): string | null {
    const size = to - from
    if (size > KEPT_BYTES_MAX || size === 0) return fresh(bytes, from, to)
    const slot = slotOf(bytes, from, to)
    const known = this.#kept[slot]
    if (known !== undefined && known.length === size && isSame(known, bytes, from)) return known
    const text = fresh(bytes, from, to)
    if (text !== null && text.length === size) this.#kept[slot] = text
    return text
  }
}

/** Text that is not looked for among the known: ids, which never come again. */
export function fresh(bytes: Buffer, from: number, to: number): string | null {
  if (isAscii(bytes, from, to)) return bytes.toString('latin1', from, to)
  return isUtf8(bytes.subarray(from, to)) ? bytes.toString('utf8', from, to) : null
}

function isAscii(bytes: Buffer, from: number, to: number): boolean {
  if (to - from > SHORT_TEXT_BYTES) return false
  for (let i = from; i < to; i += 1) if ((bytes[i] ?? 0) > 0x7f) return false
  return true
}

/** What is kept is as many UTF-16 units as it was bytes, so it is ASCII. */
function isSame(text: string, bytes: Buffer, from: number): boolean {
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) !== bytes[from + i]) return false
  return true
}

function slotOf(bytes: Buffer, from: number, to: number): number {
  const middle = bytes[(from + to) >>> 1] ?? 0
  const mixed = ((bytes[from] ?? 0) * 31 + middle) * 31 + (bytes[to - 1] ?? 0)
  return (mixed * 31 + to - from) % SLOTS
}
