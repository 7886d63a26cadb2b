import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import type { Done, Order } from './worker.ts'

/** Processes that do orders, each one after the other. */
export class Pool implements AsyncDisposable {
  readonly #idle: ChildProcess[] = []
  readonly #all: ChildProcess[] = []
  readonly #waiting: ((child: ChildProcess) => void)[] = []

  constructor(size: number) {
    const path = new URL('./worker.ts', import.meta.url)
    // JSON would make null of a plan's Infinity.
    for (let n = 0; n < size; n++) this.#all.push(fork(path, { serialization: 'advanced' }))
    this.#idle.push(...this.#all)
  }

  get size(): number {
    return this.#all.length
  }

  /** Rejects when the process ends meanwhile. */
  async run<K extends Order['kind']>(order: Order & { readonly kind: K }): Promise<Done & { readonly kind: K }> {
    const child = this.#idle.pop() ?? (await new Promise<ChildProcess>((resolve) => this.#waiting.push(resolve)))
    const { promise, resolve, reject } = Promise.withResolvers<Done>()
    const ended = (code: number | null): void => reject(new Error(`a simulating process ended with code ${code}`))
    child.once('message', resolve as (done: unknown) => void)
    child.once('exit', ended)
    child.send(order)
    const done = await promise
    child.off('exit', ended)
    const next = this.#waiting.shift()
    if (next === undefined) this.#idle.push(child)
    else next(child)
    return done as Done & { readonly kind: K }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.#all.map((child) => new Promise((resolve) => child.once('exit', resolve)))
    for (const child of this.#all) child.kill()
    await Promise.all(ended)
  }
}
