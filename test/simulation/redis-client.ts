import type { ClientOptions, RedisClient } from '../../src/redis/connection.ts'
import { Link } from './link.ts'
import type { Odds } from './link.ts'
import type { RedisServer } from './redis-server.ts'
import type { Owner } from './virtual-time.ts'
import type { World } from './world.ts'

type Settle = { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }

class ReplyError extends Error {
  override readonly name = 'ReplyError'
}

/**
 * What src/redis/connection.ts uses of ioredis, with the options it sets: one connection, nothing queued or sent again,
 * a command time-out, and reconnects by its strategy. `resends`: what ioredis does by default, for a planted bug.
 */
export class SimulatedRedis implements RedisClient {
  status = 'wait'
  readonly #world: World
  readonly #server: RedisServer
  readonly #owner: Owner
  readonly #odds: () => Odds
  readonly #options: ClientOptions
  readonly #resends: boolean
  readonly #listeners = new Map<string, ((argument: unknown) => void)[]>()
  readonly #pending = new Map<Settle, { readonly label: string; readonly run: () => unknown }>()
  #unsent: { readonly label: string; readonly run: () => unknown; readonly settle: Settle }[] = []
  #link: Link | null = null
  #forget: (() => void) | null = null
  #attempts = 0

  constructor(
    world: World,
    server: RedisServer,
    owner: Owner,
    odds: () => Odds,
    options: ClientOptions,
    resends: boolean,
  ) {
    this.#world = world
    this.#server = server
    this.#owner = owner
    this.#odds = odds
    this.#options = options
    this.#resends = resends
  }

  on(event: 'error' | 'ready' | 'close', listener: (argument: unknown) => void): this {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener])
    return this
  }

  connect(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#connect(resolve, reject)
    return promise
  }

  disconnect(reconnect = false): void {
    if (this.status === 'end') return
    if (!reconnect) this.status = 'end'
    this.#link?.close()
    this.#closed()
  }

  fcall(name: string, _keys: number, _key: string, ...args: (string | Buffer)[]): Promise<unknown> {
    const short = name.slice(name.indexOf('_', name.indexOf('_') + 1) + 1)
    return this.#send(`redis ${short}`, () => this.#server.call(short, args))
  }

  function(..._args: readonly string[]): Promise<unknown> {
    return this.#send('redis load', () => this.#server.load())
  }

  info(): Promise<string> {
    return this.#send('redis info', () => 'redis_version:7.4.0\r\naof_enabled:1') as Promise<string>
  }

  #connect(resolve?: () => void, reject?: (error: Error) => void): void {
    this.status = 'connecting'
    this.#world.happen(1, this.#owner, 'redis connects', () => {
      if (this.status !== 'connecting') return
      if (this.#server.mood === 'away') {
        const refused = new Error('connect ECONNREFUSED')
        this.#emit('error', refused)
        reject?.(new Error('Connection is closed.'))
        return this.#closed()
      }
      const link = new Link(this.#world, this.#owner, `${this.#owner.name}→redis`, this.#odds, () => {
        if (this.#link === link) this.#closed()
      })
      this.#link = link
      this.#forget = this.#server.connected(() => link.cut())
      this.#attempts = 0
      this.status = 'ready'
      this.#emit('ready', undefined)
      const unsent = this.#unsent
      this.#unsent = []
      for (const { label, run, settle } of unsent) this.#exchange(`${label} resent`, run, settle)
      resolve?.()
    })
  }

  #send(label: string, run: () => unknown): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const link = this.#link
    if (this.status !== 'ready' || link === null) {
      reject(new Error("Stream isn't writeable and enableOfflineQueue options is false"))
      return promise
    }
    const late = setTimeout(() => reject(new Error('Command timed out')), this.#options.commandTimeout)
    const done = (): void => clearTimeout(late)
    promise.finally(done).catch(() => undefined)
    this.#exchange(label, run, { resolve, reject })
    return promise
  }

  #exchange(label: string, run: () => unknown, settle: Settle): void {
    this.#pending.set(settle, { label, run })
    const server = this.#server.run
    this.#link?.request(label, (reply) => {
      if (this.#server.mood === 'away' || this.#server.run !== server) return
      const answer = this.#execute(run)
      reply(() => {
        this.#pending.delete(settle)
        if (answer.error !== null) settle.reject(answer.error)
        else settle.resolve(answer.value)
      })
    })
  }

  #execute(run: () => unknown): { readonly value: unknown; readonly error: Error | null } {
    try {
      return { value: run(), error: null }
    } catch (error) {
      return { value: null, error: new ReplyError(error instanceof Error ? error.message : String(error)) }
    }
  }

  #closed(): void {
    this.#link = null
    this.#forget?.()
    const pending = [...this.#pending]
    this.#pending.clear()
    for (const [settle, { label, run }] of pending) {
      if (this.#resends) this.#unsent.push({ label, run, settle })
      else settle.reject(new Error('Connection is closed.'))
    }
    if (this.status !== 'end') this.status = 'reconnecting'
    this.#emit('close', undefined)
    if (this.status === 'end') return
    setTimeout(
      () => {
        if (this.status === 'reconnecting') this.#connect()
      },
      this.#options.retryStrategy(++this.#attempts),
    )
  }

  #emit(event: string, argument: unknown): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(argument)
  }
}
