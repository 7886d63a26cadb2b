import { execFile, spawn } from 'node:child_process'
import type { ChildProcess, ExecFileOptions } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'

/** A server of the local stack; its output goes to `logFile`. */
export type LocalProcess = {
  readonly pid: number
  readonly logFile: string
  /** Null while it runs. */
  readonly ended: () => string | null
  /** Asks it to end (`SIGTERM` unless said otherwise), kills it after `graceMs`, and resolves when it is gone. */
  readonly stop: (graceMs?: number) => Promise<void>
  readonly kill: () => Promise<void>
}

const execute = promisify(execFile)

const running = new Set<{ readonly pid: number }>()
process.on('exit', () => {
  for (const { pid } of running) signal(pid, 'SIGKILL')
})

export type ProcessOptions = {
  readonly logFile: string
  /** A folder that is removed when we end before the server was stopped. */
  readonly temporary?: string | null
  readonly env?: NodeJS.ProcessEnv
}

/**
 * Starts a server that cannot outlive this process. It gets its own process group, so that a Ctrl-C in the terminal
 * reaches us only and the servers end last; a guard process kills it if we are killed ourselves.
 */
export async function startProcess(
  command: string,
  args: readonly string[],
  { logFile, temporary = null, env = process.env }: ProcessOptions,
): Promise<LocalProcess> {
  const log = openSync(logFile, 'a')
  const child = spawn(command, args, { stdio: ['ignore', log, log], env, detached: true })
  closeSync(log)
  await once(child, 'spawn')
  const pid = child.pid
  if (pid === undefined) throw new Error(`${command} has started without a process id`)
  const dismissGuard = guard(pid, temporary)
  const exited = once(child, 'exit')
  const started: LocalProcess = {
    pid,
    logFile,
    ended: () => endOf(child),
    stop: (graceMs = 10_000) => end(child, 'SIGTERM', graceMs, exited),
    kill: () => end(child, 'SIGKILL', 10_000, exited),
  }
  running.add(started)
  child.once('exit', () => {
    running.delete(started)
    dismissGuard()
  })
  child.unref()
  return started
}

/** Runs a program to its end and gives its output; rejects like execFile. It does not outlive an exit of ours. */
export async function runTool(
  command: string,
  args: readonly string[],
  options: ExecFileOptions = {},
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const done = execute(command, [...args], { ...options, encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 })
  const { pid } = done.child
  if (pid === undefined) return done
  const tool = { pid }
  running.add(tool)
  try {
    return await done
  } finally {
    running.delete(tool)
  }
}

/** The last lines of a log, for an error message. */
export function lastLines(logFile: string, count = 15): string {
  return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-count).join('\n')
}

function endOf({ exitCode, signalCode }: ChildProcess): string | null {
  if (signalCode !== null) return `it was ended by ${signalCode}`
  return exitCode === null ? null : `it ended with exit code ${exitCode}`
}

async function end(
  child: ChildProcess,
  first: NodeJS.Signals,
  graceMs: number,
  exited: Promise<unknown>,
): Promise<void> {
  if (endOf(child) !== null) return
  child.kill(first)
  // The timer also keeps the event loop alive, which the unreferenced child does not.
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
  await exited
  clearTimeout(timer)
}

/** `read` fails when the pipe closes, which the kernel does however we end; a line dismisses the guard. */
const GUARD = 'read -r line || { kill -9 "$1" 2>/dev/null; [ -z "$2" ] || rm -rf -- "$2"; }'

function guard(pid: number, temporary: string | null): () => void {
  const shell = spawn('sh', ['-c', GUARD, 'guard', String(pid), temporary ?? ''], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  shell.unref()
  // A guard that has gone already cannot be told so.
  shell.stdin.on('error', () => undefined)
  const { stdin } = shell
  if ('unref' in stdin && typeof stdin.unref === 'function') stdin.unref()
  return () => void stdin.end('done\n')
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has gone by itself.
  }
}
