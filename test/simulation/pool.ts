import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import type { Done, Order } from './worker.ts'

/**
 * A process is replaced after so many orders: what a simulated process waits for when it is killed never comes, and Node
 * keeps what waits for a signal for ever (half a megabyte a seed).
 */
const ORDERS_MAX = 20

/** Processes that do orders, each one after the other. */
export class Pool implements AsyncDisposable {
  readonly #idle: ChildProcess[] = []
  readonly #all = new Map<ChildProcess, { orders: number }>()
  readonly #waiting: ((child: ChildProcess) => void)[] = []

  constructor(size: number) {
    for (let n = 0; n < size; n++) this.#idle.push(this.#fork())
  }

  get size(): number {
    return this.#all.size
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
    const free = this.#isWornOut(child) ? this.#replace(child) : child
    const next = this.#waiting.shift()
    if (next === undefined) this.#idle.push(free)
    else next(free)
    return done as Done & { readonly kind: K }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = [...this.#all.keys()].map((child) => new Promise((resolve) => child.once('exit', resolve)))
    for (const child of this.#all.keys()) child.kill()
    await Promise.all(ended)
  }

  #fork(): ChildProcess {
    // JSON would make null of a plan's Infinity.
    const child = fork(new URL('./worker.ts', import.meta.url), { serialization: 'advanced' })
    this.#all.set(child, { orders: 0 })
    return child
  }

  #isWornOut(child: ChildProcess): boolean {
    const held = this.#all.get(child)
    if (held === undefined) return true
    held.orders++
    return held.orders >= ORDERS_MAX
  }

  #replace(child: ChildProcess): ChildProcess {
    this.#all.delete(child)
    child.kill()
    return this.#fork()
  }
}
