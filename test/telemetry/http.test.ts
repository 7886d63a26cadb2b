import { createServer } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { openHttp } from '../../src/telemetry/http.ts'
import type { HttpOptions, Part } from '../../src/telemetry/http.ts'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function start(parts: readonly Part[], started = true): Promise<string> {
  const options: HttpOptions = {
    host: '127.0.0.1',
    port: 0,
    parts: () => parts,
    started: () => started,
    metrics: async () => 'decision_count_total 1\n',
  }
  const server = await openHttp(options)
  open.push(server.close)
  return server.url
}

const ok: Part = { name: 'kafka', state: 'ok', detail: '3 partitions' }
const degraded: Part = { name: 'redis', state: 'degraded', detail: 'no answer for 12 s' }
const missing: Part = { name: 'kafka', state: 'missing', detail: 'no partition assigned' }

describe('readyz', () => {
  test.each([
    ['all fine', [ok], true, 200],
    ['redis away: decisions go on', [ok, degraded], true, 200],
    ['kafka not assigned', [missing, degraded], true, 503],
    ['not started yet', [ok], false, 503],
  ] as const)('%s', async (_what, parts, started, status) => {
    const answer = await fetch(`${await start(parts, started)}/readyz`)
    expect(answer.status).toBe(status)
    const shown = Object.fromEntries(parts.map(({ name, state, detail }) => [name, { state, detail }]))
    expect(await answer.json()).toEqual({ ready: status === 200, parts: shown })
  })
})

test('livez answers whatever is missing; startupz only once started', async () => {
  const url = await start([missing], false)
  expect((await fetch(`${url}/livez`)).status).toBe(200)
  expect((await fetch(`${url}/startupz`)).status).toBe(503)
  expect((await fetch(`${await start([missing])}/startupz`)).status).toBe(200)
})

test('metrics have the content type scrapers ask for', async () => {
  const answer = await fetch(`${await start([ok])}/metrics`)
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(await answer.text()).toContain('decision_count_total 1')
})

test('any other path lists what there is', async () => {
  const answer = await fetch(`${await start([ok])}/`)
  expect(answer.status).toBe(404)
  expect(await answer.text()).toMatch(/\/livez[^]*\/readyz[^]*\/startupz[^]*\/metrics/)
})

test('a taken port is named, with what to do', async () => {
  const blocker = createServer()
  const listening = Promise.withResolvers<void>()
  blocker.listen(0, '127.0.0.1', () => listening.resolve())
  await listening.promise
  open.push(async () => void blocker.close())
  const address = blocker.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const options = { host: '127.0.0.1', port, parts: () => [], started: () => true, metrics: async () => '' }
  await expect(openHttp(options)).rejects.toThrow(
    `cannot serve /readyz and /metrics on 127.0.0.1:${port}: the port is taken; set SLUICE_HTTP_PORT`,
  )
})
