import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runExecutor } from '../../src/sdk/index.ts'
import { surroundings } from '../scenarios/support/cli.ts'
import type { Deployment } from '../scenarios/support/deployment.ts'

type Job = {
  readonly brokers: readonly string[]
  readonly registry: string
  readonly group: string
  readonly topic: string
  readonly ledger: string
}

/**
 * The action keys whose effect took place, each time it did; those that came too late; and those that one process was
 * handed although it had done them.
 */
export type Ledger = { readonly executed: readonly string[]; readonly late: readonly string[]; readonly again: number }

/** A team's executor on our SDK, in a process of its own. */
export class Executor {
  readonly #job: Job
  readonly #logFile: string
  readonly ledgerFile: string
  #child: ChildProcess

  constructor({ connection, name, topics }: Deployment, registry: string, folder: string) {
    this.ledgerFile = join(folder, 'ledger.txt')
    this.#logFile = join(folder, 'executor.log')
    const { brokers } = connection
    this.#job = { brokers, registry, group: `${name}-executor`, topic: topics.execute, ledger: this.ledgerFile }
    this.#child = this.#spawn()
  }

  async killAndRestart(): Promise<void> {
    await this.stop('SIGKILL')
    this.#child = this.#spawn()
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill(signal)
    await ended
  }

  read(): Ledger {
    const lines = existsSync(this.ledgerFile) ? readFileSync(this.ledgerFile, 'utf8').split('\n').slice(0, -1) : []
    const those = (kind: string) => lines.filter((it) => it.startsWith(kind)).map((it) => it.slice(kind.length))
    return { executed: those('did '), late: those('late '), again: those('again ').length }
  }

  #spawn(): ChildProcess {
    const log = openSync(this.#logFile, 'a')
    const child = spawn(process.execPath, [import.meta.filename, JSON.stringify(this.#job)], {
      env: surroundings(),
      stdio: ['ignore', log, log, 'ipc'],
    })
    closeSync(log)
    child.on('error', () => undefined)
    return child
  }
}

/**
 * The ledger is where the action has its effect, so that is where its key is looked up, as executors are told to: what
 * was done before a kill and not committed comes again.
 */
async function execute({ brokers, registry, group, topic, ledger }: Job): Promise<void> {
  const stop = new AbortController()
  process.on('SIGTERM', () => stop.abort())
  process.on('disconnect', () => stop.abort())
  const known = existsSync(ledger) ? readFileSync(ledger, 'utf8').split('\n') : []
  const before = new Set(known.map((line) => line.replace(/^did /, '')))
  const own = new Set<string>()
  await runExecutor(
    {
      kafka: { brokers },
      registry: { url: registry },
      group,
      topics: { execute: topic },
      signal: stop.signal,
      onTrouble: (error) => console.error(String(error)),
      onLate: ({ actionKey }) => appendFileSync(ledger, `late ${actionKey}\n`),
    },
    (_, { actionKey }) => {
      if (before.has(actionKey)) return
      appendFileSync(ledger, `${own.has(actionKey) ? 'again' : 'did'} ${actionKey}\n`)
      own.add(actionKey)
    },
  )
}

const [, main, job] = process.argv
if (main === import.meta.filename && job !== undefined) {
  await execute(JSON.parse(job) as Job)
  // Listening for the channel's end keeps it open.
  process.disconnect()
}
