import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import type { Server } from 'node:http'
import { PROMETHEUS_TEXT } from './prometheus.ts'

/**
 * One thing the processor stands on. `missing`: no decision can be made, so not ready. `degraded`: decisions go on, those
 * that need this part go to review.
 */
export type Part = { readonly name: string; readonly state: 'ok' | 'degraded' | 'missing'; readonly detail: string }

export type HttpOptions = {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly parts: () => readonly Part[]
  /** Whether start-up is over, whatever has happened since. */
  readonly started: () => boolean
  /** Prometheus' text. */
  readonly metrics: () => Promise<string>
  /** What an audit says by now; there is no such page if not given. */
  readonly audit?: () => object
}

export type HttpServer = { readonly url: string; readonly close: () => Promise<void> }

const PATHS = `/livez     the process answers
/readyz    whether decisions are made, and which part is not fine
/startupz  whether start-up is over
/metrics   Prometheus text
`

const AUDIT_PATH = '/audit     up to where the audit is sure, and what it found\n'

/** Rejects with AddressRefused when the address cannot be bound. */
export async function openHttp(options: HttpOptions): Promise<HttpServer> {
  const app = pagesOf(options)
  const server = await listen(app, options)
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : options.port
  return { url: `http://${urlHost(options.host)}:${port}`, close: () => closeServer(server) }
}

function pagesOf({ parts, started, metrics, audit }: HttpOptions): Hono {
  const app = new Hono()
  app.get('/livez', (c) => c.text('ok\n'))
  app.get('/startupz', (c) => (started() ? c.text('ok\n') : c.text('starting\n', 503)))
  app.get('/readyz', (c) => {
    const all = parts()
    const ready = started() && all.every(({ state }) => state !== 'missing')
    const shown = Object.fromEntries(all.map(({ name, state, detail }) => [name, { state, detail }]))
    return c.json({ ready, parts: shown }, ready ? 200 : 503)
  })
  app.get('/metrics', async (c) => c.body(await metrics(), 200, { 'content-type': PROMETHEUS_TEXT }))
  if (audit !== undefined) app.get('/audit', (c) => c.json(audit()))
  app.notFound((c) => c.text(`nothing here; these answer:\n${PATHS}${audit === undefined ? '' : AUDIT_PATH}`, 404))
  app.onError((_error, c) => c.text('this page failed; the log of the process may say more\n', 500))
  return app
}

async function listen(app: Hono, { host, port }: HttpOptions): Promise<Server> {
  const { promise, resolve, reject } = Promise.withResolvers<Server>()
  const server = serve({ fetch: app.fetch, hostname: host, port }, () => resolve(server)) as Server
  server.once('error', (cause: NodeJS.ErrnoException) => reject(bindError(host, port, cause)))
  return promise
}

/** The address to serve on cannot be had; the message says what to do. */
class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

function bindError(host: string, port: number, cause: NodeJS.ErrnoException): AddressRefused {
  const where = `${host}:${port}`
  const why = BIND_ERRORS.get(cause.code ?? '') ?? cause.message
  return new AddressRefused(`cannot serve /readyz and /metrics on ${where}: ${why}`, { cause })
}

const BIND_ERRORS: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'the port is taken; set SLUICE_HTTP_PORT to another one, or to 0 for any free one'],
  ['EADDRNOTAVAIL', 'this machine has no such address; set SLUICE_HTTP_HOST to one it has, or to 0.0.0.0 for all'],
  ['EACCES', 'not permitted; ports below 1024 need a privilege, set SLUICE_HTTP_PORT to a higher one'],
  ['ENOTFOUND', 'the host name is not known; set SLUICE_HTTP_HOST to an address of this machine'],
])

/** Ends kept-alive connections too, or a scraper would hold up the exit. */
async function closeServer(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  server.closeAllConnections()
  await promise
}

const urlHost = (host: string): string => {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}
