import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect as connectPlain, isIP } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { BrokerConnection, KafkaConnection } from './connection.ts'
import { KafkaRefusal, messageOf, NoAnswer, refuse } from './errors.ts'
import { Reader } from './wire/reader.ts'
import type { Request } from './wire/request.ts'
import { Writer } from './wire/writer.ts'

/**
 * The only file that touches kafkajs' inner modules: one connection to one broker, with its framing, TLS and SASL.
 * Everything above it (metadata, coordinators, groups, transactions, fetching) is ours.
 */

const require = createRequire(import.meta.url)

const VERSION = '2.2.4'

/** SHA-256, first 16 hex digits, of the files whose inner behaviour is relied upon. */
const FILES: ReadonlyMap<string, string> = new Map([
  ['network/connection.js', '2a993b2e74421ca6'],
  ['network/connectionStatus.js', 'a0464f790cd64840'],
  ['network/requestQueue/index.js', 'b55986089c14f8f7'],
  ['network/requestQueue/socketRequest.js', 'dde28f8e26c6d17f'],
  ['network/socket.js', '9922c37e8a4d9e6b'],
  ['protocol/request.js', '2270900ca6474026'],
  ['protocol/encoder.js', '9977889e184a9e91'],
  ['protocol/decoder.js', '83c43fac8d6b8ef2'],
  ['protocol/requests/index.js', 'fd26a30565d7f0c1'],
  ['utils/sharedPromiseTo.js', '064400319bdfecea'],
  ['broker/saslAuthenticator/index.js', '535765470e117239'],
  ['broker/saslAuthenticator/plain.js', '291dac5bdde12c4c'],
  ['broker/saslAuthenticator/scram.js', 'f85d2cfe3c99d14a'],
  ['broker/saslAuthenticator/scram256.js', 'cdbc147ee965aefd'],
  ['broker/saslAuthenticator/scram512.js', '7a7ce87c7b68ffb8'],
])

type InnerResponse = { decode: (payload: Buffer) => Promise<Buffer>; parse: (payload: Buffer) => Promise<Buffer> }

type Versions = Record<number, { readonly minVersion: number; readonly maxVersion: number }>

/** What is used of kafkajs/src/network/connection.js. */
type InnerConnection = {
  readonly requestQueue: {
    pending: readonly unknown[]
    throttledUntil: number
    scheduleCheckPendingRequests: () => void
  }
  readonly connect: () => Promise<boolean>
  readonly disconnect: () => Promise<boolean>
  readonly authenticate: () => Promise<void>
  readonly isConnected: () => boolean
  readonly setVersions: (versions: Versions) => void
  readonly setSupportAuthenticationProtocol: (supported: boolean) => void
  readonly rejectRequests: (error: Error) => void
  readonly send: (exchange: {
    readonly request: {
      readonly apiKey: number
      readonly apiVersion: number
      readonly apiName: string
      readonly encode: () => Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
    }
    readonly response: InnerResponse
    readonly logResponseError: false
  }) => Promise<Buffer>
}

type InnerConnectionOptions = {
  readonly host: string
  readonly port: number
  readonly clientId: string
  readonly logger: unknown
  readonly ssl: null
  readonly sasl: Record<string, unknown> | null
  readonly connectionTimeout: number
  readonly requestTimeout: number
  readonly enforceRequestTimeout: false
  readonly socketFactory: (options: { readonly onConnect: () => void }) => Socket
}

const nothing = (): void => undefined
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing, namespace: () => silent }
const asIs: InnerResponse = { decode: async (payload) => payload, parse: async (payload) => payload }

let verified = false

/**
 * Compares the installed kafkajs with the one this file was written against.
 * @throws Error that names the file and what to do, when they differ.
 */
export function verifyKafkajs(): void {
  if (verified) return
  const found: unknown = require('kafkajs/package.json').version
  const advice = `run "npm ci" to install kafkajs ${VERSION} as the lockfile pins it`
  if (found !== VERSION) throw new Error(`kafkajs ${VERSION} is needed and ${String(found)} is installed; ${advice}`)
  for (const [file, expected] of FILES) {
    const digest = createHash('sha256')
      .update(readFileSync(require.resolve(`kafkajs/src/${file}`)))
      .digest('hex')
    if (!digest.startsWith(expected)) throw new Error(`kafkajs/src/${file} was changed after ${VERSION}; ${advice}`)
  }
  verified = true
}

/** Connects, reads the broker's versions and logs in. Rejects with NoAnswer of kind `connect`, `login` or `timeout`. */
export async function openConnection(
  address: string,
  settings: KafkaConnection,
  connectTimeoutMs: number,
): Promise<BrokerConnection> {
  const connection = new Connection(address, settings, connectTimeoutMs)
  try {
    await connection.open(connectTimeoutMs)
  } catch (error) {
    connection.close()
    throw asConnectFailure(address, error)
  }
  return connection
}

class Connection implements BrokerConnection {
  readonly address: string
  readonly closed: AbortSignal
  readonly #ended = new AbortController()
  readonly #inner: InnerConnection
  #versions: Versions = {}
  #socket: Socket | null = null

  constructor(address: string, settings: KafkaConnection, connectTimeoutMs: number) {
    verifyKafkajs()
    this.address = address
    this.closed = this.#ended.signal
    const { host, port } = parseAddress(address)
    const Inner = require('kafkajs/src/network/connection') as new (options: InnerConnectionOptions) => InnerConnection
    this.#inner = new Inner({
      host,
      port,
      clientId: settings.clientId,
      logger: silent,
      ssl: null,
      sasl: settings.sasl === null ? null : { ...settings.sasl },
      connectionTimeout: connectTimeoutMs,
      requestTimeout: connectTimeoutMs,
      enforceRequestTimeout: false,
      socketFactory: ({ onConnect }) => this.#openSocket(host, port, settings, onConnect),
    })
    guardIdleTimer(this.#inner)
  }

  async open(timeoutMs: number): Promise<void> {
    await this.#inner.connect()
    this.#versions = await this.#answer(apiVersions(), timeoutMs)
    this.#inner.setVersions(this.#versions)
    this.#inner.setSupportAuthenticationProtocol(this.#versions[API_SASL_AUTHENTICATE] !== undefined)
    const late = setTimeout(
      () => this.#end(new NoAnswer('timeout', `${this.address}: no answer to the login`)),
      timeoutMs,
    )
    try {
      await this.#inner.authenticate()
    } finally {
      clearTimeout(late)
    }
  }

  async send<Response>(request: Request<Response>, timeoutMs: number): Promise<Response> {
    const spoken = this.#versions[request.apiKey]
    const known =
      spoken !== undefined && request.apiVersion >= spoken.minVersion && request.apiVersion <= spoken.maxVersion
    if (!known) throw new KafkaRefusal(`${request.apiName} version ${request.apiVersion}`, UNSUPPORTED_VERSION)
    return await this.#answer(request, timeoutMs)
  }

  close(): void {
    this.#end(new NoAnswer('lost', `${this.address}: the connection was closed`))
  }

  async #answer<Response>(request: Request<Response>, timeoutMs: number): Promise<Response> {
    const what = `${request.apiName} to ${this.address}`
    const late = setTimeout(
      () => this.#end(new NoAnswer('timeout', `${what}: no answer in ${timeoutMs} ms`)),
      timeoutMs,
    )
    const payload = await this.#exchange(request, what).finally(() => clearTimeout(late))
    try {
      const reader = new Reader(payload)
      if (request.flexible) reader.tags()
      return request.read(reader)
    } catch (error) {
      if (error instanceof KafkaRefusal) throw error
      const broken = new NoAnswer('lost', `${what}: the answer cannot be read: ${messageOf(error)}`, error)
      this.#end(broken)
      throw broken
    }
  }

  async #exchange<Response>(request: Request<Response>, what: string): Promise<Buffer> {
    const { apiKey, apiVersion, apiName } = request
    if (this.closed.aborted || !this.#inner.isConnected()) throw new NoAnswer('connect', `${what}: not connected`)
    const body = encodeBody(request)
    try {
      return await this.#inner.send({
        request: { apiKey, apiVersion, apiName, encode: async () => ({ buf: body, buffer: body }) },
        response: asIs,
        logResponseError: false,
      })
    } catch (error) {
      if (error instanceof NoAnswer) throw error
      const lost = new NoAnswer('lost', `${what}: ${messageOf(error)}`, error)
      this.#end(lost)
      throw lost
    }
  }

  #openSocket(host: string, port: number, settings: KafkaConnection, onConnect: () => void): Socket {
    const target = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }
    const socket =
      settings.ssl === null
        ? connectPlain(target, onConnect)
        : connectTls({ ...target, ...(isIP(host) === 0 ? { servername: host } : {}), ...settings.ssl }, onConnect)
    socket.setNoDelay(true)
    socket.on('close', () => this.#end(new NoAnswer('lost', `${this.address}: the connection was closed`)))
    this.#socket = socket
    return socket
  }

  /** kafkajs waits for open requests before it disconnects, so they are rejected first. */
  #end(reason: NoAnswer): void {
    if (this.closed.aborted) return
    this.#ended.abort(reason)
    this.#inner.rejectRequests(reason)
    this.#inner.disconnect().catch(nothing)
    this.#socket?.destroy()
  }
}

/** kafkajs re-arms a timer of 0 ms for ever on every connection that was ever used; it is needed only when throttled. */
function guardIdleTimer(connection: InnerConnection): void {
  const queue = connection.requestQueue
  const schedule = queue.scheduleCheckPendingRequests.bind(queue)
  queue.scheduleCheckPendingRequests = () => {
    if (queue.pending.length > 0 || queue.throttledUntil > Date.now()) schedule()
  }
}

/** Request header v2 is v1, which kafkajs writes, and an empty tag section. */
function encodeBody<Response>(request: Request<Response>): Buffer {
  const writer = new Writer(request.sizeHint)
  if (request.flexible) writer.tags()
  request.write(writer)
  return writer.written()
}

function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '')
  const port = Number(address.slice(colon + 1))
  if (colon < 1 || !Number.isInteger(port) || !(port > 0 && port < 65_536)) {
    throw new NoAnswer('connect', `"${address}" is not a broker address; write host:port`)
  }
  return { host, port }
}

function asConnectFailure(address: string, error: unknown): NoAnswer {
  if (error instanceof NoAnswer) return error
  const name = error instanceof Error ? error.name : ''
  const refused = name === 'KafkaJSSASLAuthenticationError' || name === 'KafkaJSProtocolError'
  return new NoAnswer(refused ? 'login' : 'connect', `${address}: ${messageOf(error)}`, error)
}

const API_SASL_AUTHENTICATE = 36
const UNSUPPORTED_VERSION = 35

/** ApiVersionsRequest.json, ApiVersionsResponse.json version 0, the one every broker answers. */
const apiVersions = (): Request<Versions> => ({
  apiKey: 18,
  apiVersion: 0,
  apiName: 'ApiVersions',
  flexible: false,
  write: nothing,
  read: (reader) => {
    refuse('ApiVersions', reader.int16())
    const versions = reader.array(() => {
      const apiKey = reader.int16()
      return [apiKey, { minVersion: reader.int16(), maxVersion: reader.int16() }] as const
    })
    return Object.fromEntries(versions)
  },
})
