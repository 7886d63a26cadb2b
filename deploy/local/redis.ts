import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { redisAnswers } from './answers.ts'
import { freePorts } from './free-ports.ts'
import { silent } from './log.ts'
import type { Log } from './log.ts'
import { lastLines, startProcess } from './local-process.ts'
import type { LocalProcess } from './local-process.ts'
import { redisBinary } from './redis-binary.ts'
import { StackError } from './stack-error.ts'

const START_TIMEOUT_MS = 20_000

export type RedisOptions = {
  /** 0, the default, takes a free one. */
  readonly port?: number
  /** Server settings over ours, without the dashes: `{ maxmemory: '64mb' }`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Shell words run in the process before it becomes Redis, such as those that set limits on it. */
  readonly before?: string
  readonly log?: Log
}

export type LocalRedis = {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Ends it like a power cut: nothing is kept. */
  readonly kill: () => Promise<void>
  /** Starts it on the same port after a kill, empty. */
  readonly restart: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** Starts Redis 7 or Valkey on loopback, keeping nothing on disk; it ends with this process at the latest. */
export async function startRedis(options: RedisOptions = {}): Promise<LocalRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-redis-'))
  const port = options.port === undefined || options.port === 0 ? ((await freePorts(1))[0] ?? 0) : options.port
  let server = await startServer(port, folder, options)
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return server.pid
    },
    kill: () => server.kill(),
    restart: async () => {
      if (server.ended() === null) throw new Error('Redis runs; kill it first')
      server = await startServer(port, folder, options)
    },
    stop: async () => {
      await server.kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function startServer(port: number, folder: string, options: RedisOptions): Promise<LocalProcess> {
  const binary = await redisBinary(options.log ?? silent)
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    dir: folder,
    save: '',
    appendonly: 'no',
    ...options.settings,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const shell = options.before === undefined ? null : ['-c', `${options.before}; exec "$0" "$@"`, binary.command]
  const [command, words] = shell === null ? [binary.command, args] : ['sh', [...shell, ...args]]
  const server = await startProcess(command, words, {
    logFile: join(folder, 'redis.log'),
    temporary: folder,
    env: binary.env,
  })
  const until = Date.now() + START_TIMEOUT_MS
  while (!(await redisAnswers(port))) {
    const ended = server.ended()
    if (ended === null && Date.now() < until) await sleep(20)
    else {
      const log = lastLines(server.logFile)
      await server.kill()
      await rm(folder, { recursive: true, force: true })
      throw new StackError(`${binary.command} did not start on port ${port}: ${ended ?? 'no answer'}\n${log}`)
    }
  }
  return server
}
