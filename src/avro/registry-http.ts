import { Breaker, type BreakerOptions } from './breaker.ts'

/** Where a schema registry speaks Confluent's REST protocol. */
export type RegistryAddress = {
  /** May carry `user:password@`. Its path is kept, e.g. /apis/ccompat/v7. */
  readonly url: string
  /** Takes precedence over what the URL carries. */
  readonly credentials: { readonly username: string; readonly password: string } | null
}

export type HttpLimits = {
  /** For one request, up to the last byte of the answer, milliseconds. */
  readonly timeoutMs: number
  readonly concurrentMax: number
  readonly breaker: BreakerOptions
}

/**
 * `absent`: the registry says it does not have it, with its error code. `refused`: it understood and says no.
 * `failed`: no such answer; another attempt may succeed.
 */
export type Answer =
  | { readonly kind: 'ok'; readonly body: unknown }
  | { readonly kind: 'absent'; readonly code: number }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }
  | { readonly kind: 'failed'; readonly reason: string }

type Method = 'GET' | 'POST' | 'PUT'

/** A schema is rarely over 100 KB; nothing above this is read into memory. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024
const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json'

/** The part of an address that may be shown: without user and password. */
export function publicUrl(address: RegistryAddress): string {
  const url = new URL(address.url)
  url.username = ''
  url.password = ''
  return url.href.replace(/\/+$/, '')
}

/** The credentials of an address, its URL's included. */
export function credentialsOf(address: RegistryAddress): RegistryAddress['credentials'] {
  const url = new URL(address.url)
  if (address.credentials !== null || url.username === '') return address.credentials
  return { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
}

/**
 * Requests to one registry, each answered within its time, few at once, and none while the breaker is open. TLS trusts
 * what Node trusts, so NODE_EXTRA_CA_CERTS adds an authority. Never throws.
 */
export class RegistryHttp {
  readonly url: string
  private readonly limits: HttpLimits
  private readonly headers: Record<string, string>
  private readonly breaker: Breaker
  /** Why the last request failed; null when it did not, or none was made. */
  trouble: string | null = null
  private running = 0
  private readonly waiting: (() => void)[] = []

  constructor(address: RegistryAddress, limits: HttpLimits, now: () => number) {
    this.url = publicUrl(address)
    this.limits = limits
    this.breaker = new Breaker(limits.breaker, now)
    const credentials = credentialsOf(address)
    const basic = credentials && Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')
    this.headers = { accept: `${MEDIA_TYPE}, application/json`, 'content-type': MEDIA_TYPE }
    if (basic !== null) this.headers['authorization'] = `Basic ${basic}`
  }

  get isOpen(): boolean {
    return this.breaker.isOpen
  }

  async send(method: Method, path: string, body: unknown = null): Promise<Answer> {
    if (this.running >= this.limits.concurrentMax) await new Promise<void>((go) => this.waiting.push(go))
    this.running += 1
    try {
      if (!this.breaker.allows()) return { kind: 'failed', reason: 'it failed before and is left alone for a while' }
      const answer = await this.request(method, path, body)
      this.note(answer)
      return answer
    } finally {
      this.running -= 1
      this.waiting.shift()?.()
    }
  }

  private note(answer: Answer): void {
    this.trouble = answer.kind === 'failed' ? answer.reason : null
    if (answer.kind === 'failed') this.breaker.failed()
    else this.breaker.succeeded()
  }

  private async request(method: Method, path: string, body: unknown): Promise<Answer> {
    const { headers } = this
    const signal = AbortSignal.timeout(this.limits.timeoutMs)
    try {
      const content = body === null ? {} : { body: JSON.stringify(body) }
      const response = await fetch(`${this.url}${path}`, { method, headers, signal, redirect: 'error', ...content })
      return interpret(response.status, await readBounded(response))
    } catch (error) {
      return { kind: 'failed', reason: this.explain(error) }
    }
  }

  private explain(error: unknown): string {
    if (!(error instanceof Error)) return 'it cannot be reached'
    if (error.name === 'TimeoutError') return `no answer within ${this.limits.timeoutMs} ms`
    const cause = error.cause instanceof Error ? error.cause : error
    return 'code' in cause && typeof cause.code === 'string' ? `${cause.code}: ${cause.message}` : cause.message
  }
}

async function readBounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of response.body ?? []) {
    size += part.length
    if (size > ANSWER_BYTES_MAX) throw new Error(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

function interpret(status: number, text: string): Answer {
  const body = parse(text)
  if (status === 401 || status === 403) return { kind: 'failed', reason: `it refuses the credentials (HTTP ${status})` }
  if (status === 404) return interpretAbsence(body)
  if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
    return { kind: 'refused', status, message: messageOf(body) ?? text.slice(0, 500) }
  }
  if (status >= 200 && status < 300 && body !== undefined) return { kind: 'ok', body }
  return { kind: 'failed', reason: `HTTP ${status}` }
}

/** Only a registry's own "not found" says that something does not exist; a proxy's or a wrong path's does not. */
function interpretAbsence(body: unknown): Answer {
  const code = isObject(body) ? body['error_code'] : undefined
  if (typeof code === 'number' && code >= 40400 && code < 40500) return { kind: 'absent', code }
  return { kind: 'failed', reason: 'HTTP 404 without a registry’s error code: is the path in its URL right?' }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const messageOf = (body: unknown): string | undefined =>
  isObject(body) && typeof body['message'] === 'string' ? body['message'] : undefined

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
