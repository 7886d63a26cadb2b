import type { BrokerConnection, Connect } from '../../../src/kafka/connection.ts'
import { NoAnswer } from '../../../src/kafka/errors.ts'
import { Reader } from '../../../src/kafka/wire/reader.ts'
import type { Request } from '../../../src/kafka/wire/request.ts'
import { Writer } from '../../../src/kafka/wire/writer.ts'
import type { KafkaTwin, TwinRequest } from './kafka-twin.ts'
import { nodeOf } from './placement.ts'

/** Runs what is due now, and sees to it that the rest is when it is due. */
export type Pump = () => void

/** Connections to a twin without a network between. As at a broker, one connection's requests are served one by one. */
export const connectTwin =
  (twin: KafkaTwin, pump: Pump): Connect =>
  async (address, { clientId }) => {
    const node = nodeOf(address)
    if (node === null) throw new NoAnswer('connect', `${address} is no broker of the twin`)
    return new TwinConnection(twin, pump, node, address, clientId)
  }

class TwinConnection implements BrokerConnection {
  readonly address: string
  readonly closed: AbortSignal
  readonly #ended = new AbortController()
  readonly #twin: KafkaTwin
  readonly #pump: Pump
  readonly #node: number
  readonly #clientId: string
  #last: Promise<unknown> = Promise.resolve()

  constructor(twin: KafkaTwin, pump: Pump, node: number, address: string, clientId: string) {
    this.#twin = twin
    this.#pump = pump
    this.#node = node
    this.#clientId = clientId
    this.address = address
    this.closed = this.#ended.signal
  }

  async send<Response>(request: Request<Response>, timeoutMs: number): Promise<Response> {
    if (this.closed.aborted) throw new NoAnswer('connect', `${request.apiName} to ${this.address}: not connected`)
    const late = setTimeout(() => {
      this.#end(new NoAnswer('timeout', `${request.apiName} to ${this.address}: no answer in ${timeoutMs} ms`))
    }, timeoutMs)
    try {
      return request.read(new Reader(await this.#exchange(request)))
    } finally {
      clearTimeout(late)
    }
  }

  close(): void {
    this.#end(new NoAnswer('lost', `${this.address}: the connection was closed`))
  }

  #exchange<Response>({ apiKey, apiVersion, sizeHint, write }: Request<Response>): Promise<Buffer> {
    const writer = new Writer(sizeHint)
    write(writer)
    const request = { apiKey, apiVersion, body: writer.written(), clientId: this.#clientId }
    const before = this.#last
    const answered = Promise.withResolvers<Buffer>()
    const stop = (): void => answered.reject(this.closed.reason)
    this.closed.addEventListener('abort', stop, { once: true })
    const done = answered.promise.finally(() => this.closed.removeEventListener('abort', stop))
    this.#last = done.catch(() => undefined)
    void this.#hand(before, request, answered.resolve)
    return done
  }

  async #hand(before: Promise<unknown>, request: TwinRequest, reply: (body: Buffer) => void): Promise<void> {
    await before
    if (this.closed.aborted) return
    this.#twin.handle(this.#node, request, reply)
    this.#pump()
  }

  #end(reason: NoAnswer): void {
    this.#ended.abort(reason)
  }
}
