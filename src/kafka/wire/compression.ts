import type { Buffer } from 'node:buffer'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { messageOf } from '../errors.ts'
import { unpackLz4 } from './lz4.ts'
import { WireError } from './reader.ts'
import { unpackSnappy } from './snappy.ts'

/** What one batch may grow to, in bytes; a hostile one is refused before it has taken the process' memory. */
export const UNPACKED_MAX = 64 * 1024 * 1024

/** By the codec's number in a batch's attributes (KIP-110 for zstd). */
const CODECS: ReadonlyMap<number, (packed: Buffer) => Buffer> = new Map([
  [1, (packed) => gunzipSync(packed, { maxOutputLength: UNPACKED_MAX })],
  [2, (packed) => unpackSnappy(packed, UNPACKED_MAX)],
  [3, (packed) => unpackLz4(packed, UNPACKED_MAX)],
  [4, (packed) => zstdDecompressSync(packed, { maxOutputLength: UNPACKED_MAX })],
])

/** @throws WireError for an unknown codec, broken data, or more than UNPACKED_MAX bytes. */
export function decompress(codec: number, packed: Buffer): Buffer {
  const unpack = CODECS.get(codec)
  if (unpack === undefined) throw new WireError(`compression codec ${codec} is not known`)
  try {
    return unpack(packed)
  } catch (error) {
    if (error instanceof WireError) throw error
    throw new WireError(`a compressed record batch cannot be unpacked: ${messageOf(error)}`)
  }
}
