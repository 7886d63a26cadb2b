import type { Buffer } from 'node:buffer'
import { WireError } from './reader.ts'
import { Unpacked } from './unpacked.ts'

const FRAME_MAGIC = 0x184d2204
const FLAG = { dictionary: 0x01, contentSize: 0x08, blockChecksum: 0x10 } as const
const UNCOMPRESSED = 0x8000_0000

/**
 * One LZ4 frame: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. Its checksums are not looked at, since
 * the record batch has one of its own.
 */
export function unpackLz4(packed: Buffer, max: number): Buffer {
  if (packed.readUInt32LE(0) !== FRAME_MAGIC) throw new WireError('not an LZ4 frame')
  const flags = packed.readUInt8(4)
  let at = 7 + ((flags & FLAG.contentSize) === 0 ? 0 : 8) + ((flags & FLAG.dictionary) === 0 ? 0 : 4)
  const output = new Unpacked(packed.length * 3, max)
  for (;;) {
    const size = packed.readUInt32LE(at)
    at += 4
    if (size === 0) return output.written()
    const length = size & ~UNCOMPRESSED
    if (!(at + length <= packed.length)) throw new WireError('an LZ4 block ends early')
    if (size >= UNCOMPRESSED) output.literal(packed, at, length)
    else unpackBlock(packed.subarray(at, at + length), output)
    at += length + ((flags & FLAG.blockChecksum) === 0 ? 0 : 4)
  }
}

const LONG = 15
const SHORTEST_MATCH = 4

/** https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md */
function unpackBlock(block: Buffer, output: Unpacked): void {
  let at = 0
  const length = (nibble: number): number => {
    let sum = nibble
    for (let more = nibble === LONG ? 255 : 0; more === 255;) {
      more = block.readUInt8(at++)
      sum += more
    }
    return sum
  }
  while (at < block.length) {
    const token = block.readUInt8(at++)
    const literals = length(token >>> 4)
    output.literal(block, at, literals)
    at += literals
    if (at >= block.length) return
    const distance = block.readUInt16LE(at)
    at += 2
    output.repeat(distance, length(token & LONG) + SHORTEST_MATCH)
  }
}
