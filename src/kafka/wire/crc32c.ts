/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), eight bytes at a time (Intel's slicing-by-8). */
const POLYNOMIAL = 0x82f63b78

function firstTable(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1
    return remainder
  })
}

/** Every index below is a byte and every read is within bounds, which the checker cannot see. */
type Numbers = { readonly [index: number]: number }

const T0: Numbers & Int32Array = firstTable()

/** The table one byte further on: what a byte does to the remainder after one more zero byte. */
const further = (table: Int32Array): Numbers & Int32Array =>
  table.map((remainder) => (remainder >>> 8) ^ byteOf(T0, remainder))

const byteOf = (table: Numbers, remainder: number): number => table[remainder & 255] as number

const T1 = further(T0)
const T2 = further(T1)
const T3 = further(T2)
const T4 = further(T3)
const T5 = further(T4)
const T6 = further(T5)
const T7 = further(T6)

/** Over `bytes` from `start` to before `end`, as an unsigned number. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let crc = -1
  let at = start
  for (; end - at >= 8; at += 8) {
    const low = crc ^ view.getInt32(at, true)
    const high = view.getInt32(at + 4, true)
    crc =
      byteOf(T7, low) ^
      byteOf(T6, low >>> 8) ^
      byteOf(T5, low >>> 16) ^
      byteOf(T4, low >>> 24) ^
      byteOf(T3, high) ^
      byteOf(T2, high >>> 8) ^
      byteOf(T1, high >>> 16) ^
      byteOf(T0, high >>> 24)
  }
  for (; at < end; at++) crc = byteOf(T0, crc ^ view.getUint8(at)) ^ (crc >>> 8)
  return ~crc >>> 0
}
