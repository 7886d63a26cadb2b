import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { decodeTraces } from '../../deploy/local/traces/otlp-protobuf.ts'

/** Takes traces by OTLP over HTTP and throws them away, but counts the spans once asked. */
export type Sink = { readonly url: string; readonly spans: () => number; readonly close: () => Promise<void> }

export async function openSink(): Promise<Sink> {
  const bodies: Buffer[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      bodies.push(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body)
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    // Counted late, so that counting does not run beside what is measured.
    spans: () => bodies.reduce((sum, body) => sum + spansIn(decodeTraces(body)), 0),
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

type Request = {
  readonly resourceSpans?: readonly { readonly scopeSpans?: readonly { readonly spans?: readonly unknown[] }[] }[]
}

function spansIn(request: unknown): number {
  const scopes = ((request as Request).resourceSpans ?? []).flatMap(({ scopeSpans = [] }) => scopeSpans)
  return scopes.reduce((sum, { spans = [] }) => sum + spans.length, 0)
}
