import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import type { Context } from 'hono'
import type { Server } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { readTraces } from './otlp-json.ts'
import type { Read } from './otlp-json.ts'
import { decodeTraces } from './otlp-protobuf.ts'
import { listPage, missingPage, tracePage } from './pages.ts'
import type { Html } from './pages.ts'
import { createTraceStore } from './trace-store.ts'
import type { Filter, TraceStore } from './trace-store.ts'

export type TraceServerOptions = {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  /** So many are kept; older ones are forgotten. */
  readonly maxTraces: number
}

/** `url` is the page's address and the OTLP endpoint at once. */
export type TraceServer = { readonly url: string; readonly close: () => Promise<void> }

const BODY_BYTES = 16 * 1024 * 1024
const PROTOBUF = 'application/x-protobuf'
const LISTED = 200

/**
 * Receives OTLP over HTTP, protobuf or JSON, plain or gzip, and shows the last traces. For one developer's machine where
 * there is no Jaeger: everything is in memory and nobody is asked who he is. Rejects when the address cannot be bound.
 */
export async function openTraceServer({ host, port, maxTraces }: TraceServerOptions): Promise<TraceServer> {
  const app = routes(createTraceStore(maxTraces))
  const listening = Promise.withResolvers<number>()
  const server = serve({ fetch: app.fetch, hostname: host, port }, (info) => listening.resolve(info.port)) as Server
  server.once('error', listening.reject)
  const bound = await listening.promise
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    close: async () => {
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      server.closeAllConnections()
      await closed.promise
    },
  }
}

function routes(store: TraceStore): Hono {
  const app = new Hono()
  app.post('/v1/traces', (c) => receive(c, store))
  app.post('/v1/metrics', async (c) => accepted(c))
  app.post('/v1/logs', async (c) => accepted(c))
  app.get('/api/traces', (c) => c.json({ traces: store.traces(filterOf(c), limitOf(c)) }))
  app.get('/api/traces/:id', (c) => {
    const trace = store.trace(c.req.param('id'))
    return trace === null ? c.json({ error: 'no such trace is kept' }, 404) : c.json(trace)
  })
  app.get('/', (c) => page(c, listPage(store.rows(filterOf(c), LISTED), filterOf(c), store.size()), 200))
  app.get('/trace/:id', (c) => {
    const trace = store.trace(c.req.param('id'))
    return trace === null
      ? page(c, missingPage(), 404)
      : page(
          c,
          tracePage(trace, (id) => store.trace(id) !== null),
          200,
        )
  })
  app.notFound((c) => page(c, missingPage(), 404))
  return app
}

/** Nothing is loaded from anywhere, so nothing may be. */
const page = (c: Context, body: Html, status: 200 | 404): Response | Promise<Response> =>
  c.html(body, status, {
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
  })

function filterOf(c: Context): Filter {
  const given = (name: string): string | null => {
    const value = c.req.query(name)?.trim()
    return value === undefined || value === '' ? null : value
  }
  return { decisionId: given('decisionId'), route: given('route') }
}

const limitOf = (c: Context): number => {
  const limit = Number(c.req.query('limit') ?? LISTED)
  return limit >= 1 ? Math.min(Math.floor(limit), 1000) : LISTED
}

async function receive(c: Context, store: TraceStore): Promise<Response> {
  const type = (c.req.header('content-type') ?? '').split(';')[0]?.trim() ?? ''
  if (type !== PROTOBUF && type !== 'application/json')
    return c.json({ message: `send ${PROTOBUF} or application/json, not ${type === '' ? 'nothing' : type}` }, 415)
  const read = readBody(Buffer.from(await c.req.arrayBuffer()), type, c.req.header('content-encoding'))
  if (read.kind === 'invalid') return c.json({ message: read.why }, 400)
  store.add(read.spans)
  return accepted(c)
}

function readBody(body: Buffer, type: string, encoding: string | undefined): Read {
  if (body.length > BODY_BYTES) return { kind: 'invalid', why: `more than ${BODY_BYTES} bytes` }
  try {
    const plain = encoding === 'gzip' ? gunzipSync(body, { maxOutputLength: BODY_BYTES }) : body
    return readTraces(type === PROTOBUF ? decodeTraces(plain) : JSON.parse(plain.toString('utf8')))
  } catch (error) {
    return { kind: 'invalid', why: error instanceof Error ? error.message : 'unreadable' }
  }
}

/** The empty answer is the protocol's "all taken", in the form it was sent in. */
function accepted(c: Context): Response {
  const type = c.req.header('content-type') ?? ''
  return type.startsWith(PROTOBUF) ? c.body(null, 200, { 'content-type': PROTOBUF }) : c.json({})
}
