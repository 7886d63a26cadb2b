import { Redis } from 'ioredis'
import type { Fault } from '../processor/fault.ts'
import type { FunctionName, Library } from './library.ts'

export type ConnectionConfig = {
  /** `redis://` or `rediss://` (TLS), with user, password and database where needed. */
  readonly url: string
  /** Names the deployment's keys; no braces. */
  readonly deployment: string
  /** A later answer counts as none, milliseconds. */
  readonly deadlineMs: number
  /** After a call without an answer, how long until it is tried again whether there is one, milliseconds. */
  readonly probeMs: number
  readonly library: Library
  /** Makes the client; ioredis' unless given. */
  readonly createClient?: CreateClient
}

/** What is used of ioredis. */
export type RedisClient = Pick<Redis, 'connect' | 'disconnect'> & {
  readonly status: string
  readonly on: (event: 'error' | 'ready' | 'close', listener: (argument: unknown) => void) => unknown
  readonly fcall: (name: string, keys: number, key: string, ...args: (string | Buffer)[]) => Promise<unknown>
  readonly function: (command: 'LOAD', replace: 'REPLACE', code: string) => Promise<unknown>
  readonly info: () => Promise<string>
}

/** `commandTimeout` in milliseconds; `retryStrategy` gives the wait before the n-th attempt to connect again. */
export type ClientOptions = {
  readonly commandTimeout: number
  readonly retryStrategy: (times: number) => number
}

export type CreateClient = (url: string, options: ClientOptions) => RedisClient

export type Answer =
  | { readonly kind: 'answered'; readonly reply: unknown }
  | { readonly kind: 'unavailable'; readonly fault: Fault }

/** A connection that neither sends nor hears anything for so long is replaced, milliseconds. */
const STUCK_MS = 1_000
const RECONNECT_MAX_MS = 500
const REFUSE_MAX_MS = 800

/**
 * Calls the function library over one connection. Nothing is queued, repeated or sent again later, and nothing throws:
 * every failure is the answer `unavailable`. After one, calls are refused at once, without waiting, until a probe in
 * the background is answered, so that a dead or slow Redis does not slow decisions. Sentinel and Cluster are not
 * supported yet; a single Redis address (or a proxy, or a DNS name that follows the primary) is.
 */
export class Connection {
  readonly #config: ConnectionConfig
  readonly #redis: RedisClient
  readonly #stateKey: string
  readonly #address: string
  #state: 'serving' | 'refusing' | 'closed' = 'refusing'
  #lastError = new Error('not connected yet')
  #probe: NodeJS.Timeout | undefined
  #probing: Promise<void> | undefined
  /** Calls in a row that failed although probes were answered. */
  #failures = 0
  #lastProgress = Date.now()
  #roundTrips = 0
  #session = 0

  constructor(config: ConnectionConfig) {
    this.#config = config
    this.#stateKey = `{${config.deployment}}:state`
    this.#address = new URL(config.url).host
    const create = config.createClient ?? ioredis
    this.#redis = create(config.url, {
      commandTimeout: config.deadlineMs,
      retryStrategy: (times) => Math.min(25 * 2 ** Math.min(times, 5), RECONNECT_MAX_MS),
    })
    this.#redis.on('error', (error: unknown) => (this.#lastError = bare(error)))
    this.#redis.on('ready', () => {
      this.#session++
      this.#lastProgress = Date.now()
      this.#probeIn(0)
    })
    this.#redis.on('close', () => {
      // Why an attempt to connect failed was told before.
      if (this.isServing) this.#lastError = new Error('the connection was closed')
      this.#refuse(this.#config.probeMs)
    })
  }

  /** Starts connecting, and waits for the first answer of Redis for as long as the deadline at the most. */
  async open(): Promise<void> {
    // Why connecting failed is told by the event `error`; the rejection says only that it did.
    const firstProbe = this.#redis.connect().then(
      () => this.#tryProbe(),
      () => undefined,
    )
    await within(firstProbe, this.#config.deadlineMs).catch(() => undefined)
  }

  /** Whether the next call will be sent. */
  get isServing(): boolean {
    return this.#state === 'serving'
  }

  /** Changes with every connection made: behind the next one may be a server that lacks the last one's last writes. */
  get session(): number {
    return this.#session
  }

  /** Function calls sent so far; probes and loading the library are not counted. */
  get roundTrips(): number {
    return this.#roundTrips
  }

  /** One call, answered within `withinMs` milliseconds or not at all. */
  async call(name: FunctionName, args: readonly (string | Buffer)[], withinMs: number): Promise<Answer> {
    if (!this.isServing) return this.#unavailable()
    try {
      const reply = await within(this.#callFunction(name, args), withinMs)
      this.#lastProgress = Date.now()
      this.#failures = 0
      return { kind: 'answered', reply }
    } catch (error) {
      this.#lastError = bare(error)
      this.#refuse(Math.min(this.#config.probeMs * 2 ** this.#failures++, REFUSE_MAX_MS))
      return this.#unavailable()
    }
  }

  /** The text of INFO, or null when there is no answer in time. */
  async info(): Promise<string | null> {
    try {
      return await within(this.#redis.info(), this.#config.deadlineMs)
    } catch (error) {
      this.#lastError = bare(error)
      return null
    }
  }

  /** What went wrong last, as a fault. */
  fault(): Fault {
    const cause = this.#lastError
    return { code: 'state.unavailable', detail: `Redis at ${this.#address}: ${cause.message}`, retry: true, cause }
  }

  close(): void {
    this.#state = 'closed'
    clearTimeout(this.#probe)
    this.#redis.disconnect()
  }

  /** Sent a second time only when Redis had no such function, so the first changed nothing. */
  async #callFunction(name: FunctionName, args: readonly (string | Buffer)[]): Promise<unknown> {
    const { library } = this.#config
    const send = (): Promise<unknown> => {
      if (name !== 'probe') this.#roundTrips++
      return this.#redis.fcall(`sluice_${library.version}_${name}`, 1, this.#stateKey, ...args)
    }
    try {
      return await send()
    } catch (error) {
      if (!isFunctionMissing(error)) throw error
      await this.#redis.function('LOAD', 'REPLACE', library.code)
      return send()
    }
  }

  #refuse(ms: number): void {
    if (this.#state === 'closed') return
    this.#state = 'refusing'
    if (this.#probe === undefined) this.#probeIn(ms)
  }

  #probeIn(ms: number): void {
    if (this.#state === 'closed') return
    clearTimeout(this.#probe)
    this.#probe = setTimeout(() => {
      this.#probe = undefined
      void this.#tryProbe()
    }, ms)
    this.#probe.unref()
  }

  #tryProbe(): Promise<void> {
    this.#probing ??= this.#probeOnce().finally(() => (this.#probing = undefined))
    return this.#probing
  }

  async #probeOnce(): Promise<void> {
    if (this.#state !== 'refusing') return
    if (this.#redis.status !== 'ready') return this.#probeAgain()
    try {
      await within(this.#callFunction('probe', []), this.#config.deadlineMs)
      this.#lastProgress = Date.now()
      this.#serve()
    } catch (error) {
      this.#lastError = bare(error)
      if (isRefusal(error)) this.#lastProgress = Date.now()
      this.#probeAgain()
    }
  }

  #serve(): void {
    if (this.#state === 'closed') return
    if (this.#redis.status === 'ready') this.#state = 'serving'
    else this.#probeAgain()
  }

  /** A connection whose other end fell silent would otherwise stay until the system gives up, a quarter of an hour. */
  #probeAgain(): void {
    const isStuck = Date.now() - this.#lastProgress > STUCK_MS && this.#redis.status === 'ready'
    if (isStuck) {
      this.#lastProgress = Date.now()
      this.#redis.disconnect(true)
    }
    this.#probeIn(this.#config.probeMs)
  }

  #unavailable(): Answer {
    return { kind: 'unavailable', fault: this.fault() }
  }
}

const ioredis: CreateClient = (url, options) =>
  new Redis(url, {
    ...options,
    lazyConnect: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: STUCK_MS,
    disconnectTimeout: 100,
    disableClientInfo: true,
    connectionName: 'sluice',
  })

/** The error without the command it holds, since its arguments are passwords and people's data. */
function bare(error: unknown): Error {
  const clean = new Error(error instanceof Error ? error.message : String(error))
  if (error instanceof Error) clean.name = error.name
  return clean
}

const isFunctionMissing = (error: unknown): boolean =>
  error instanceof Error && /Function not found/i.test(error.message)

/** Redis answered, though with an error. */
const isRefusal = (error: unknown): boolean => error instanceof Error && error.name === 'ReplyError'

/** The promise's value, or a rejection after `ms` milliseconds; what comes later is dropped. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${Math.round(ms)} ms`)), Math.max(0, ms))
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
    promise.catch(() => undefined)
  }
}
