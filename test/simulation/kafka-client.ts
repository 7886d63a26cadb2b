import type { BrokerConnection, Connect } from '../../src/kafka/connection.ts'
import { NoAnswer } from '../../src/kafka/errors.ts'
import { Reader } from '../../src/kafka/wire/reader.ts'
import type { Request } from '../../src/kafka/wire/request.ts'
import { Writer } from '../../src/kafka/wire/writer.ts'
import type { TwinRequest } from '../twins/kafka/kafka-twin.ts'
import { nodeOf } from '../twins/kafka/placement.ts'
import { Link } from './link.ts'
import type { Odds } from './link.ts'
import type { Owner } from './virtual-time.ts'
import type { World } from './world.ts'

/** The brokers as the network has them. */
export type Brokers = {
  readonly isAlive: (node: number) => boolean
  /** `isStray`: whoever sent the request has closed the connection, or had it served before. */
  readonly handle: (node: number, request: TwinRequest, reply: (body: Buffer) => void, isStray: boolean) => void
  /** A connection was made; `cut` ends it. Returns what forgets it. */
  readonly connected: (node: number, cut: () => void) => () => void
}

/** What a planted bug does to what a process sends: answers itself, or changes the body. */
export type Meddler = {
  readonly ask: (
    owner: Owner,
    request: TwinRequest & { readonly apiName: string },
  ) => { readonly answer: Buffer } | { readonly body: Buffer } | null
  readonly hear: (owner: Owner, apiName: string, body: Buffer, answer: Buffer) => void
}

const CONNECT_MS = 1

/** Takes the network's place for one process: src/kafka/inner.ts, without sockets. */
export function simulatedConnect(
  world: World,
  brokers: Brokers,
  owner: Owner,
  odds: () => Odds,
  meddler: Meddler | null,
): Connect {
  return async (address, { clientId }, timeoutMs) => {
    const node = nodeOf(address)
    const { promise, resolve, reject } = Promise.withResolvers<BrokerConnection>()
    const name = `${owner.name}→b${node ?? '?'}`
    const hangs = odds().silence > 0 && world.chance.network() < 10 * odds().silence
    world.happen(hangs ? timeoutMs : CONNECT_MS, owner, `connects to b${node ?? '?'}`, () => {
      if (hangs) reject(new NoAnswer('timeout', `${address}: no connection in ${timeoutMs} ms`))
      else if (node === null || !brokers.isAlive(node)) reject(new NoAnswer('connect', `${address}: refused`))
      else resolve(new SimulatedConnection(world, brokers, owner, { address, node, name, clientId }, odds, meddler))
    })
    return await promise
  }
}

type Where = { readonly address: string; readonly node: number; readonly name: string; readonly clientId: string }

class SimulatedConnection implements BrokerConnection {
  readonly address: string
  readonly closed: AbortSignal
  readonly #world: World
  readonly #brokers: Brokers
  readonly #owner: Owner
  readonly #where: Where
  readonly #meddler: Meddler | null
  readonly #ended = new AbortController()
  readonly #link: Link
  readonly #forget: () => void
  readonly #pending = new Set<(reason: NoAnswer) => void>()

  constructor(world: World, brokers: Brokers, owner: Owner, where: Where, odds: () => Odds, meddler: Meddler | null) {
    this.address = where.address
    this.closed = this.#ended.signal
    this.#world = world
    this.#brokers = brokers
    this.#owner = owner
    this.#where = where
    this.#meddler = meddler
    this.#link = new Link(world, owner, where.name, odds, () =>
      this.#end(new NoAnswer('lost', `${where.address}: the connection was closed`)),
    )
    this.#forget = brokers.connected(where.node, () => this.#link.cut())
  }

  async send<Response>(request: Request<Response>, timeoutMs: number): Promise<Response> {
    const what = `${request.apiName} to ${this.address}`
    if (this.closed.aborted) throw new NoAnswer('connect', `${what}: not connected`)
    const late = setTimeout(
      () => this.#end(new NoAnswer('timeout', `${what}: no answer in ${timeoutMs} ms`)),
      timeoutMs,
    )
    const body = await this.#exchange(request).finally(() => clearTimeout(late))
    return request.read(new Reader(body))
  }

  close(): void {
    this.#end(new NoAnswer('lost', `${this.address}: the connection was closed`))
  }

  #exchange<Response>(request: Request<Response>): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const { apiKey, apiVersion, apiName } = request
    const { node, clientId } = this.#where
    const writer = new Writer(request.sizeHint)
    request.write(writer)
    let body = Buffer.from(writer.written())
    const meddled = this.#meddler?.ask(this.#owner, { apiKey, apiVersion, apiName, body, clientId }) ?? null
    if (meddled !== null && 'answer' in meddled) return Promise.resolve(meddled.answer)
    if (meddled !== null) body = Buffer.from(meddled.body)
    this.#pending.add(reject)
    let isServed = false
    this.#link.request(apiName, (reply) => {
      const respond = (answer: Buffer): void =>
        reply(() => {
          this.#pending.delete(reject)
          this.#meddler?.hear(this.#owner, apiName, body, answer)
          resolve(answer)
        })
      const isStray = isServed || !this.#link.open
      isServed = true
      this.#brokers.handle(node, { apiKey, apiVersion, body, clientId }, respond, isStray)
    })
    return promise
  }

  #end(reason: NoAnswer): void {
    if (this.closed.aborted) return
    this.#link.close()
    this.#forget()
    const pending = [...this.#pending]
    this.#pending.clear()
    this.#ended.abort(reason)
    for (const reject of pending) reject(reason)
    this.#world.note(`  ${this.#where.name} over: ${reason.message}`)
  }
}
