import { once } from 'node:events'
import { connect } from 'node:net'

const METADATA = 3
const TIMEOUT_MS = 2_000

/**
 * The ids of the brokers that the one at 127.0.0.1:`port` knows to be alive; empty when it does not answer. One Metadata
 * v1 request for no topic, by hand, so that a start needs no client (layout: MetadataRequest.json of Apache Kafka).
 */
export async function aliveBrokers(port: number): Promise<readonly number[]> {
  const socket = connect({ host: '127.0.0.1', port, timeout: TIMEOUT_MS })
  socket.once('timeout', () => socket.destroy(new Error('no answer in time')))
  try {
    await once(socket, 'connect')
    socket.write(metadataRequest())
    return brokerIds(await readFrame(socket))
  } catch {
    // Not there yet; whoever waits asks again.
    return []
  } finally {
    socket.destroy()
  }
}

function metadataRequest(): Buffer {
  const request = Buffer.alloc(4 + 2 + 2 + 4 + 2 + 4)
  request.writeInt32BE(request.length - 4, 0)
  request.writeInt16BE(METADATA, 4)
  request.writeInt16BE(1, 6)
  request.writeInt32BE(1, 8)
  request.writeInt16BE(-1, 12)
  request.writeInt32BE(0, 14)
  return request
}

async function readFrame(socket: AsyncIterable<Buffer>): Promise<Buffer> {
  let read = Buffer.alloc(0)
  for await (const chunk of socket) {
    read = Buffer.concat([read, chunk])
    if (read.length >= 4 && read.length >= 4 + read.readInt32BE(0)) return read.subarray(4)
  }
  throw new Error('the connection ended before the answer did')
}

/** correlation id, [node id, host, port, rack] */
function brokerIds(body: Buffer): readonly number[] {
  const ids: number[] = []
  let at = 8
  for (let left = body.readInt32BE(4); left > 0; left--) {
    ids.push(body.readInt32BE(at))
    at += 4
    at += 2 + body.readInt16BE(at) + 4
    at += 2 + Math.max(0, body.readInt16BE(at))
  }
  return ids
}
