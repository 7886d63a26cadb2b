import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect } from 'vitest'
import { until } from './until.ts'

export const ROOT = join(import.meta.dirname, '..', '..', '..')
/** What is of no concern to the process under test, or would change what it does. */
const OURS = /^(VITEST|TEST$|NODE_ENV$|KAFKA_|REDIS_|SCHEMA_|SLUICE_|OTEL_|TOPIC_)/

export const surroundings = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !OURS.test(name)))

export type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly ms: number }

/** One of our commands as a process of its own, with nothing of this one's settings. */
export type CliProcess = {
  readonly pid: number
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Promise<Ended>
  readonly hasEnded: () => boolean
  /** Where its pages are; rejects when it has none to tell of in time or ends before. */
  readonly http: () => Promise<string>
  /** Resolves once it has gone; `signal` is SIGTERM unless said otherwise. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<Ended>
  readonly kill: (signal: NodeJS.Signals) => void
}

const running = new Set<CliProcess>()

/** For an afterAll: what a failed test has left. */
export async function endProcesses(): Promise<void> {
  await Promise.all([...running].map((it) => it.stop('SIGKILL')))
}

/** `root` is the checkout whose command it is. */
export function startCli(args: readonly string[], env: Readonly<Record<string, string>> = {}, root = ROOT): CliProcess {
  const child = spawn(process.execPath, [join(root, 'src', 'sluice.ts'), ...args], {
    cwd: root,
    env: { ...surroundings(), NO_COLOR: '1', ...env },
    // With the channel it ends when we do, however we end.
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const began = performance.now()
  const output = { stdout: '', stderr: '' }
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  let http: string | null = null
  child.on('message', (message: { http?: string }) => (http = message.http ?? http))
  let end: Ended | null = null
  const ended = once(child, 'close').then(([code, signal]): Ended => {
    running.delete(started)
    return (end = { code, signal, ms: performance.now() - began })
  })
  const started: CliProcess = {
    pid: child.pid ?? 0,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    ended,
    hasEnded: () => end !== null,
    http: () =>
      until('the process tells where its pages are', () => {
        if (end !== null) throw new Error(`it has ended with ${end.code}:\n${output.stderr}${output.stdout}`)
        return http
      }),
    stop: async (signal = 'SIGTERM') => {
      const asked = performance.now()
      if (end === null) child.kill(signal)
      return { ...(await ended), ms: performance.now() - asked }
    },
    kill: (signal) => void child.kill(signal),
  }
  running.add(started)
  return started
}

/** SIGTERM, upon which it must end in order: with 0 and no word on stderr. */
export async function endInOrder(it: CliProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
  const ended = await it.stop(signal)
  expect({ code: ended.code, stderr: it.stderr() }).toEqual({ code: 0, stderr: '' })
  return ended
}

/** Runs a command to its end. */
export async function runCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  root = ROOT,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string; readonly ms: number }> {
  const started = startCli(args, env, root)
  const { code, ms } = await started.ended
  return { code, ms, stdout: started.stdout(), stderr: started.stderr() }
}
