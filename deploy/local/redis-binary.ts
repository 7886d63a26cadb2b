import { existsSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { runTool } from './local-process.ts'
import type { Log } from './log.ts'
import { StackError } from './stack-error.ts'

const INSTALL = 'install Redis 7 or newer or Valkey (Debian, Ubuntu: redis-server; macOS: brew install redis)'

export type RedisBinary = { readonly command: string; readonly env: NodeJS.ProcessEnv }

let found: Promise<RedisBinary> | undefined

/** Redis or Valkey from PATH if new enough for functions, else unpacked from Debian's packages, without root. */
export function redisBinary(log: Log): Promise<RedisBinary> {
  found ??= findBinary(log)
  return found
}

async function findBinary(log: Log): Promise<RedisBinary> {
  const refused: string[] = []
  for (const command of ['redis-server', 'valkey-server']) {
    const refusal = await refusalOf(command)
    if (refusal === null) return { command, env: process.env }
    refused.push(refusal)
  }
  return unpacked(refused.join('; '), log)
}

/** Why it cannot be used; null when it can. Functions came with Redis 7; every Valkey has them. */
async function refusalOf(command: string, env = process.env): Promise<string | null> {
  const version = await runTool(command, ['--version'], { env }).then(
    ({ stdout }) => /\bv=(\d+)\.(\d+)/.exec(stdout),
    () => null,
  )
  if (version === null) return `no ${command} in PATH runs`
  const major = Number(version[1])
  return major >= 7 ? null : `${command} in PATH is ${version[1]}.${version[2]}, which has no functions`
}

async function unpacked(refused: string, log: Log): Promise<RedisBinary> {
  if (!(await runs('apt-get')) || !(await runs('dpkg'))) throw new StackError(`${refused}: ${INSTALL}`)
  const folder = await cached('redis-debian', (temporary) => {
    log('fetching Redis from this system’s packages (about 2 MB, once)')
    return unpack(temporary)
  }).catch((error: unknown) => {
    throw new StackError(
      `${refused}, and it could not be fetched from this system’s packages (${reasonOf(error)}): ${INSTALL}`,
    )
  })
  const lib = join(folder, 'root', 'usr', 'lib')
  const folders = existsSync(lib) ? (await readdir(lib)).filter((it) => it.endsWith('-linux-gnu')) : []
  const path = [...folders.map((it) => join(lib, it)), process.env['LD_LIBRARY_PATH'] ?? ''].filter((it) => it !== '')
  const command = join(folder, 'root', 'usr', 'bin', 'redis-server')
  const env = { ...process.env, LD_LIBRARY_PATH: path.join(':') }
  const refusal = await refusalOf(command, env)
  if (refusal !== null) throw new StackError(`${refused}; ${refusal}: ${INSTALL}`)
  return { command, env }
}

/** Downloads the server and what it needs that is not installed. Nothing is installed. */
async function unpack(folder: string): Promise<void> {
  const simulated = await runTool('apt-get', ['install', '--simulate', '--no-install-recommends', 'redis-server'])
  const needed = [...simulated.stdout.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name ?? '')
  const names = [...new Set(['redis-server', 'redis-tools', ...needed])]
  const packages = join(folder, 'packages')
  await mkdir(packages)
  await runTool('apt-get', ['download', ...names], { cwd: packages })
  for (const file of await readdir(packages)) await runTool('dpkg', ['-x', join(packages, file), join(folder, 'root')])
}

const runs = (command: string): Promise<boolean> =>
  runTool(command, ['--version']).then(
    () => true,
    () => false,
  )

const reasonOf = (error: unknown): string =>
  error instanceof Error && 'stderr' in error ? (String(error.stderr).trim().split('\n')[0] ?? '') : String(error)
