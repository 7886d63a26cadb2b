import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** A wire to a server that can be cut, or cut as soon as an answer comes back over it. */
export type Wire = {
  readonly port: number
  readonly cut: () => void
  /** The next request reaches the server; its answer ends the connection instead of arriving, and the wire stays cut. */
  readonly cutBeforeReply: () => void
  /** The connections there are fall silent without an end, as when a firewall forgets them; new ones work. */
  readonly hush: () => void
  readonly mend: () => void
  readonly close: () => Promise<void>
}

export async function wireTo(port: number): Promise<Wire> {
  const ends = new Set<Socket>()
  const hushed = new Set<Socket>()
  let state: 'whole' | 'cut' | 'cut before reply' = 'whole'
  const cut = (): void => {
    state = 'cut'
    for (const end of ends) end.destroy()
    ends.clear()
  }
  const server = createServer((near) => {
    if (state === 'cut') {
      near.destroy()
      return
    }
    const far = connect(port, '127.0.0.1')
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(end)
      end.on('error', () => undefined)
      end.on('close', () => other.destroy())
    }
    near.on('data', (bytes) => hushed.has(near) || far.write(bytes))
    far.on('data', (bytes) => (state === 'cut before reply' ? cut() : hushed.has(far) || near.write(bytes)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    cutBeforeReply: () => void (state = 'cut before reply'),
    hush: () => {
      for (const end of ends) hushed.add(end)
    },
    mend: () => void (state = 'whole'),
    close: async () => {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
