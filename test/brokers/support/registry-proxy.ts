import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** How the proxy treats a request: hands it on, never answers, answers 500, or refuses the connection. */
type ProxyMode = 'pass' | 'hang' | 'fail' | 'drop'

/** A registry as its clients see it, with every request counted and the faults a network has. */
export type RegistryProxy = {
  readonly url: string
  mode: ProxyMode
  /** Every request so far, as `GET /schemas/ids/1`. */
  readonly requests: string[]
  /** The last request's headers. */
  headers: Readonly<Record<string, unknown>>
  readonly close: () => Promise<void>
}

export async function openRegistryProxy(target: string): Promise<RegistryProxy> {
  const { pathname } = new URL(target)
  const server = createServer((incoming, outgoing) => {
    proxy.requests.push(`${incoming.method} ${(incoming.url ?? '').slice(pathname.length)}`)
    proxy.headers = incoming.headers
    if (proxy.mode === 'hang') return
    if (proxy.mode === 'drop') return drop(incoming)
    if (proxy.mode === 'fail') return fail(outgoing)
    const url = new URL(incoming.url ?? '/', target)
    const { authorization: _, ...headers } = incoming.headers
    const onward = request(
      url,
      { method: incoming.method ?? 'GET', headers: { ...headers, host: url.host } },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      },
    )
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  const proxy: RegistryProxy = {
    url: `http://127.0.0.1:${port}${pathname}`,
    mode: 'pass',
    requests: [],
    headers: {},
    close: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
  return proxy
}

function drop(incoming: IncomingMessage): void {
  incoming.socket.destroy()
}

function fail(outgoing: ServerResponse): void {
  outgoing.writeHead(500).end('{"error_code":50001,"message":"broken"}')
}
