import { AsyncLocalStorage } from 'node:async_hooks'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { seededRandom } from '../../src/commands/demo/random.ts'

/**
 * Replaces this process' clock and timers by a simulated one. Must be imported before anything of src, since modules
 * take hold of timers when they are loaded; and never in a process that does something else beside.
 */

/** The real ones, for the simulation itself. */
export const real = {
  setImmediate: globalThis.setImmediate,
  now: performance.now.bind(performance),
}

/** Something whose timers and messages can be held back or dropped: a simulated process. */
export type Owner = {
  readonly name: string
  /** How far its wall clock is from the simulated time, milliseconds. */
  clockOffsetMs: number
}

/** 2023-11-14T22:13:20Z, where every simulated world begins. */
export const EPOCH_MS = 1_700_000_000_000

/** What runs timers; one for each world. */
export type Ticker = {
  /** Milliseconds since the world began. */
  readonly now: () => number
  readonly after: (ms: number, owner: Owner | null, run: () => void) => { cancelled: boolean }
}

let ticker: Ticker | null = null
const owners = new AsyncLocalStorage<Owner>()

/** The world whose time runs from now on; timers of the one before are gone. */
export function useTicker(next: Ticker | null): void {
  ticker = next
}

/** Runs as part of a simulated process, and with it all that follows from it. */
export const runAs = <T>(owner: Owner, run: () => T): T => owners.run(owner, run)

export const currentOwner = (): Owner | null => owners.getStore() ?? null

const now = (): number => ticker?.now() ?? 0

class VirtualTimeout {
  entry: { cancelled: boolean } = { cancelled: false }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  hasRef(): boolean {
    return true
  }

  close(): this {
    this.entry.cancelled = true
    return this
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

type Callback = (...args: readonly unknown[]) => void

function begin(callback: Callback, ms: number, args: readonly unknown[], repeats: boolean): VirtualTimeout {
  const timeout = new VirtualTimeout()
  const owner = owners.getStore() ?? null
  // As Node has it: at least a millisecond, and whole ones.
  const delay = ms >= 1 ? Math.trunc(ms) : 1
  const arm = (): void => {
    if (ticker === null) return
    timeout.entry = ticker.after(delay, owner, () => {
      if (repeats) arm()
      callback(...args)
    })
  }
  arm()
  return timeout
}

function end(timeout: unknown): void {
  if (timeout instanceof VirtualTimeout) timeout.close()
}

const setTimeoutNow = (callback: Callback, ms = 1, ...args: readonly unknown[]): VirtualTimeout =>
  begin(callback, ms, args, false)

type PromiseOptions = { readonly signal?: AbortSignal }

/** setTimeout of node:timers/promises. */
async function delay<T>(ms = 1, value?: T, { signal }: PromiseOptions = {}): Promise<T | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<T | undefined>()
  const abort = (): void => {
    end(timeout)
    reject(Object.assign(new Error('The operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' }))
  }
  const timeout = setTimeoutNow(() => {
    signal?.removeEventListener('abort', abort)
    resolve(value)
  }, ms)
  if (signal?.aborted === true) abort()
  else signal?.addEventListener('abort', abort, { once: true })
  return await promise
}

function timeoutSignal(ms: number): AbortSignal {
  const controller = new AbortController()
  setTimeoutNow(() => controller.abort(new DOMException('The operation timed out.', 'TimeoutError')), ms)
  return controller.signal
}

/** Ids that mean nothing, the same in every run of a seed. */
let uuids = 0
const nextUuid = (): string => `00000000-0000-4000-8000-${String(uuids++).padStart(12, '0')}`

const nextBytes = (size: number): Buffer => {
  const bytes = Buffer.alloc(size)
  bytes.writeUIntBE(++uuids, Math.max(0, size - 4), Math.min(size, 4))
  return bytes
}

let chance = seededRandom(1)

/** Begins the ids and Math.random anew, so that a seed does not depend on the ones before it. */
export function resetChance(): void {
  uuids = 0
  chance = seededRandom(1)
}

function install(): void {
  const require = createRequire(import.meta.url)
  const timers = {
    setTimeout: setTimeoutNow,
    setInterval: (callback: Callback, ms = 1, ...args: readonly unknown[]) => begin(callback, ms, args, true),
    setImmediate: (callback: Callback, ...args: readonly unknown[]) => begin(callback, 0, args, false),
    clearTimeout: end,
    clearInterval: end,
    clearImmediate: end,
  }
  Object.assign(globalThis, timers)
  Object.assign(require('node:timers') as object, timers)
  Object.assign(require('node:timers/promises') as object, { setTimeout: delay })
  Object.assign(require('node:crypto') as object, { randomUUID: nextUuid, randomBytes: nextBytes })
  syncBuiltinESMExports()
  const wall = (): number => Math.floor(EPOCH_MS + now() + (owners.getStore()?.clockOffsetMs ?? 0))
  Object.defineProperty(globalThis, 'performance', { value: { now, timeOrigin: EPOCH_MS }, configurable: true })
  Date.now = wall
  Math.random = () => chance()
  AbortSignal.timeout = timeoutSignal
}

install()
