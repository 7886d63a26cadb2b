/** Reads the part of MessagePack that the product writes for the function library: arrays, whole numbers, doubles, text. */
export function unpack(bytes: Buffer): unknown {
  let at = 0

  const text = (length: number): string => bytes.toString('latin1', at, (at += length))
  const utf8 = (length: number): string => bytes.toString('utf8', at, (at += length))
  const array = (length: number): unknown[] => {
    const items: unknown[] = []
    for (let n = 0; n < length; n++) items.push(value())
    return items
  }

  const value = (): unknown => {
    const head = bytes[at++] ?? 0
    if (head < 0x80) return head
    if (head >= 0xa0 && head < 0xc0) return short(head & 31)
    switch (head) {
      case 0xcb:
        return bytes.readDoubleBE((at += 8) - 8)
      case 0xcc:
        return bytes[at++]
      case 0xce:
        return bytes.readUInt32BE((at += 4) - 4)
      case 0xd9:
        return utf8(bytes[at++] ?? 0)
      case 0xda:
        return utf8(bytes.readUInt16BE((at += 2) - 2))
      case 0xdb:
        return utf8(bytes.readUInt32BE((at += 4) - 4))
      case 0xdd:
        return array(bytes.readUInt32BE((at += 4) - 4))
      default:
        throw new Error(`MessagePack byte ${head} at ${at - 1} is not one the product writes`)
    }
  }

  /** Decoding UTF-8 costs more than looking whether it is needed. */
  const short = (length: number): string => {
    for (let i = at; i < at + length; i++) if ((bytes[i] ?? 0) > 0x7f) return utf8(length)
    return text(length)
  }

  return value()
}
