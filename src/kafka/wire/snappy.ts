import { Buffer } from 'node:buffer'
import { WireError } from './reader.ts'
import { Unpacked } from './unpacked.ts'

/** The Java client frames snappy as xerial's SnappyOutputStream does; librdkafka writes it bare. */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER = 16

/** https://github.com/google/snappy/blob/main/format_description.txt */
export function unpackSnappy(packed: Buffer, max: number): Buffer {
  const output = new Unpacked(packed.length * 3, max)
  if (!packed.subarray(0, XERIAL.length).equals(XERIAL)) unpackBlock(packed, output)
  else {
    for (let at = XERIAL_HEADER; at < packed.length;) {
      const length = packed.readInt32BE(at)
      if (!(length >= 0 && at + 4 + length <= packed.length)) throw new WireError('a snappy block ends early')
      unpackBlock(packed.subarray(at + 4, at + 4 + length), output)
      at += 4 + length
    }
  }
  return output.written()
}

function unpackBlock(block: Buffer, output: Unpacked): void {
  let at = 0
  while ((block[at++] ?? 0) > 0x7f);
  while (at < block.length) {
    const tag = block.readUInt8(at++)
    at = (tag & 3) === 0 ? literal(block, at, tag, output) : copy(block, at, tag, output)
  }
}

function literal(block: Buffer, at: number, tag: number, output: Unpacked): number {
  const short = tag >>> 2
  const bytes = short < 60 ? 0 : short - 59
  const length = (bytes === 0 ? short : block.readUIntLE(at, bytes)) + 1
  output.literal(block, at + bytes, length)
  return at + bytes + length
}

function copy(block: Buffer, at: number, tag: number, output: Unpacked): number {
  switch (tag & 3) {
    case 1:
      output.repeat(((tag >>> 5) << 8) | block.readUInt8(at), ((tag >>> 2) & 7) + 4)
      return at + 1
    case 2:
      output.repeat(block.readUInt16LE(at), (tag >>> 2) + 1)
      return at + 2
    default:
      output.repeat(block.readUInt32LE(at), (tag >>> 2) + 1)
      return at + 4
  }
}
