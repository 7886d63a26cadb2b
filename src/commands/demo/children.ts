import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'

export type Child = {
  readonly name: string
  /** Asks it to finish, and ends it when it takes longer than `ms`. */
  readonly stop: (ms: number) => Promise<void>
  /** Resolves with the exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>
  /** Aborts when it has ended. */
  readonly over: AbortSignal
}

const CLI = join(import.meta.dirname, '..', '..', 'sluice.ts')

/** Runs one of our own commands as a process of its own; what it prints goes to a file, what it tells us to `onMessage`. */
export function startChild(
  name: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  logFile: string,
  onMessage: (message: unknown) => void,
): Child {
  const log = createWriteStream(logFile)
  // A group of its own, so that Ctrl-C in a terminal reaches us alone and we end our parts in order.
  const child = spawn(process.execPath, [CLI, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  })
  child.stdout?.pipe(log, { end: false })
  child.stderr?.pipe(log, { end: false })
  child.on('message', onMessage)
  const over = new AbortController()
  const onExit = (): void => void child.kill('SIGKILL')
  process.on('exit', onExit)
  // Not `exit`: what it printed last may come later than that.
  const ended = once(child, 'close').then(async ([code]: unknown[]) => {
    process.off('exit', onExit)
    await new Promise<void>((resolve) => log.end(resolve))
    over.abort()
    return typeof code === 'number' ? code : null
  })
  return { name, ended, over: over.signal, stop: (ms) => stop(child, ended, ms) }
}

async function stop(child: ChildProcess, ended: Promise<unknown>, ms: number): Promise<void> {
  child.kill('SIGTERM')
  const killing = setTimeout(() => child.kill('SIGKILL'), ms)
  await ended
  clearTimeout(killing)
}
