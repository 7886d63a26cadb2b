import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

/**
 * Loaded into a processor with `--import`, and nowhere mentioned in the product: decoding a record ends with the digest
 * of its bytes, and where they hold MINE the process dies there by SIGKILL, or gets an error, as DEED says.
 */
const { MINE = '', DEED = 'die' } = process.env
const { hash } = crypto

const mined = (...args: Parameters<typeof hash>): ReturnType<typeof hash> => {
  const [, data] = args
  if (data instanceof Uint8Array && Buffer.from(data.buffer, data.byteOffset, data.length).includes(MINE)) {
    if (DEED === 'die') process.kill(process.pid, 'SIGKILL')
    else throw new RangeError('the digest exploded')
    // Not one more step may be done until the signal has come.
    for (;;);
  }
  return hash(...args)
}

Object.assign(crypto, { hash: mined })
syncBuiltinESMExports()
