import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'

/** A Redis server of a test's own, which it may flush, stop and kill. */
export type RedisServer = {
  readonly port: number
  readonly url: string
  /** A client to look and meddle with. */
  readonly admin: Redis
  /** Halts the process (SIGSTOP) and lets it go on (SIGCONT); its connections stay open. */
  readonly freeze: () => void
  readonly thaw: () => void
  /** Kills it, without saving. */
  readonly kill: () => Promise<void>
  /** Starts it again on the same port and folder. */
  readonly start: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

export async function startRedis(...options: readonly string[]): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-redis-'))
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  const admin = new Redis(url, { lazyConnect: true, retryStrategy: () => 50, maxRetriesPerRequest: null })
  admin.on('error', () => undefined)
  const fixed = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--save',
    '',
    '--enable-debug-command',
    'yes',
  ]
  const run = (): ReturnType<typeof spawn> =>
    spawn(process.env['REDIS_SERVER'] ?? 'redis-server', [...fixed, ...options], { stdio: 'ignore' })
  let server = run()
  const kill = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    await ended
  }
  await answers(url)
  await admin.connect()
  return {
    port,
    url,
    admin,
    freeze: () => void server.kill('SIGSTOP'),
    thaw: () => void server.kill('SIGCONT'),
    kill,
    start: async () => {
      server = run()
      await answers(url)
    },
    [Symbol.asyncDispose]: async () => {
      admin.disconnect()
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function answers(url: string): Promise<void> {
  const deadline = Date.now() + 10_000
  while (Date.now() < deadline) {
    const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.ping()
      return
    } catch {
      await sleep(20)
    } finally {
      client.disconnect()
    }
  }
  throw new Error(`no Redis at ${url} after 10 s: is redis-server 7 installed?`)
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
