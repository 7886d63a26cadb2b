import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT, surroundings } from '../scenarios/support/cli.ts'
import { START_ORDER } from './points.ts'
import type { Order, Point, Report } from './points.ts'

const CLI = join(ROOT, 'src', 'sluice.ts')
const FAIL_POINTS = new URL('fail-points.ts', import.meta.url).href

/** The fail points are loaded before the product can say so itself. */
const COMPILED = { NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') }

/** How one process ended. */
export type End = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

/** `sluice run` with the fail points loaded into it, its log appended to a file. It ends with this process at the latest. */
export class Process {
  readonly ended: Promise<End>
  readonly serving: Promise<void>
  readonly #child: ChildProcess
  #end: End | null = null

  constructor(env: Readonly<Record<string, string>>, logFile: string, dieAt: Point | null) {
    const log = openSync(logFile, 'a')
    writeSync(log, `{"process":"starts"}\n`)
    this.#child = spawn(process.execPath, ['--import', FAIL_POINTS, CLI, 'run'], {
      cwd: ROOT,
      env: { ...surroundings(), ...COMPILED, ...env, ...(dieAt === null ? {} : { [START_ORDER]: dieAt }) },
      stdio: ['ignore', log, log, 'ipc'],
    })
    closeSync(log)
    this.ended = once(this.#child, 'exit').then(([code, signal]): End => (this.#end = { code, signal }))
    this.serving = new Promise((resolve) => {
      this.#child.on('message', (message: Partial<Report>) => message.serving === true && resolve())
    })
    this.#child.on('error', () => undefined)
  }

  get hasEnded(): boolean {
    return this.#end !== null
  }

  /** Has it kill or stop itself at a point, which it may come to or not. */
  order(order: Order): void {
    if (this.#child.connected) this.#child.send(order, () => undefined)
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  async end(name: NodeJS.Signals): Promise<End> {
    this.signal(name)
    return await this.ended
  }
}

/** A place in the group, and the process that has it now; a supervisor that starts it again whenever it ends. */
export class Worker {
  readonly slot: string
  readonly #env: Readonly<Record<string, string>>
  readonly #logFile: string
  process: Process

  constructor(slot: string, env: Readonly<Record<string, string>>, folder: string) {
    this.slot = slot
    this.#env = { ...env, SLUICE_SLOT: slot }
    this.#logFile = join(folder, `worker-${slot}.log`)
    this.process = this.#spawn(null)
  }

  /** Starts the next process of this slot, whatever became of the last one. */
  start(dieAt: Point | null = null): void {
    this.process = this.#spawn(dieAt)
  }

  #spawn(dieAt: Point | null): Process {
    return new Process(this.#env, this.#logFile, dieAt)
  }
}
