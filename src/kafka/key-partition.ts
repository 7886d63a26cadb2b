const SEED = 0x9747b28c
const MIX = 0x5bd1e995

/**
 * The partition that Kafka's Java client, and most others with their murmur2 setting, give a keyed record; so that
 * producers in any language agree. Formula: org.apache.kafka.common.utils.Utils.murmur2, sign bit cleared, modulo.
 */
export const keyPartition = (key: Buffer, partitions: number): number => (murmur2(key) & 0x7fffffff) % partitions

/** Utils.murmur2 of the Java client, as a signed 32-bit number. */
export function murmur2(bytes: Buffer): number {
  const whole = bytes.length - (bytes.length % 4)
  let hash = SEED ^ bytes.length
  for (let at = 0; at < whole; at += 4) {
    const word = Math.imul(bytes.readInt32LE(at), MIX)
    hash = Math.imul(hash, MIX) ^ Math.imul(word ^ (word >>> 24), MIX)
  }
  if (bytes.length > whole) hash = Math.imul(hash ^ bytes.readUIntLE(whole, bytes.length - whole), MIX)
  hash = Math.imul(hash ^ (hash >>> 13), MIX)
  return hash ^ (hash >>> 15)
}
