import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/**
 * One address that stays while what is behind it changes, as a managed Redis or a proxy gives it. A process of its own, so
 * that what the harness computes does not delay it.
 */
export type Forwarder = {
  readonly port: number
  /** Cuts all connections; new ones go to this port of the loopback. */
  readonly switchTo: (port: number) => Promise<void>
  readonly close: () => Promise<void>
}

export async function openForwarder(target: number): Promise<Forwarder> {
  const child = fork(import.meta.filename, [FORWARD], { execArgv: [] })
  const tell = async (port: number): Promise<number> => {
    const told = once(child, 'message')
    child.send(port)
    const [listening] = (await told) as [number]
    return listening
  }
  return {
    port: await tell(target),
    switchTo: async (port) => void (await tell(port)),
    close: async () => {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

const FORWARD = 'forward'

/** Is told ports to forward to, and answers each time with the one it listens on. */
function forward(): void {
  let target = 0
  const sockets = new Set<Socket>()
  const hold = (socket: Socket, other: Socket): void => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      sockets.delete(socket)
      other.destroy()
    })
  }
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    hold(client, upstream)
    hold(upstream, client)
    client.pipe(upstream).pipe(client)
  })
  const listening = once(server.listen(0, '127.0.0.1'), 'listening')
  process.on('message', async (port: number) => {
    target = port
    for (const socket of sockets) socket.destroy()
    await listening
    process.send?.((server.address() as AddressInfo).port)
  })
  process.on('disconnect', () => process.exit())
}

if (process.argv[2] === FORWARD) forward()
