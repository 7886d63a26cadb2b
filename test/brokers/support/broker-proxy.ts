import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

/** The requests a test names, by their key in Kafka's protocol. */
export const API = {
  Produce: 0,
  Fetch: 1,
  ListOffsets: 2,
  Metadata: 3,
  OffsetFetch: 9,
  FindCoordinator: 10,
  JoinGroup: 11,
  Heartbeat: 12,
  LeaveGroup: 13,
  SyncGroup: 14,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
  EndTxn: 26,
  TxnOffsetCommit: 28,
  ListTransactions: 66,
} as const

export type ApiName = keyof typeof API

/**
 * What happens to a request. `before`: it never reaches the broker and the connection is cut. `after`: it has its effect
 * and the connection is cut instead of an answer. `swallow`: it has its effect and no answer ever comes.
 */
export type Fault = 'before' | 'after' | 'swallow'

/** A request that waits at the proxy. */
export type Stopped = { readonly arrived: Promise<void>; readonly release: () => void }

type Rule = {
  readonly api: number
  readonly kind: Fault | 'hold' | { readonly answer: Buffer }
  readonly hit: () => void
  readonly released: Promise<void>
}

export type BrokerProxy = {
  /** What clients are given instead of the brokers' addresses. */
  readonly brokers: readonly string[]
  /** Names of the requests that came, in order. */
  readonly seen: ApiName[]
  /** The last request of each kind, as it came. */
  readonly last: ReadonlyMap<ApiName, Buffer>
  /** The next request of this kind meets the fault; resolves when it has. */
  readonly fail: (api: ApiName, fault: Fault) => Promise<void>
  /** The next request of this kind is answered with this body and does not reach the broker. */
  readonly answer: (api: ApiName, body: Buffer) => Promise<void>
  /** The next request of this kind waits until released. */
  readonly hold: (api: ApiName) => Stopped
  /** Cuts everything and takes no more connections: its clients are dead as far as the brokers can see. */
  readonly sever: () => void
  /** Forgets the faults that were not met. */
  readonly clear: () => void
  /** Cuts everything; clients may come again. */
  readonly cut: () => void
  readonly close: () => Promise<void>
}

/** Stands before each of the brokers, and puts its own addresses into their answers. */
export async function openProxy(brokers: readonly string[]): Promise<BrokerProxy> {
  const proxy = new Proxy(brokers.map((broker) => Number(broker.split(':')[1])))
  await proxy.listen()
  return proxy
}

class Proxy implements BrokerProxy {
  readonly seen: ApiName[] = []
  readonly last = new Map<ApiName, Buffer>()
  readonly #targets: readonly number[]
  readonly #servers: Server[] = []
  readonly #ports = new Map<number, number>()
  readonly #sockets = new Set<Socket>()
  #rules: Rule[] = []
  #severed = false

  constructor(targets: readonly number[]) {
    this.#targets = targets
  }

  get brokers(): readonly string[] {
    return this.#targets.map((target) => `127.0.0.1:${this.#ports.get(target)}`)
  }

  async listen(): Promise<void> {
    for (const target of this.#targets) {
      const server = createServer((client) => this.#join(client, target))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      this.#servers.push(server)
      this.#ports.set(target, (server.address() as AddressInfo).port)
    }
  }

  fail(api: ApiName, fault: Fault): Promise<void> {
    return this.#rule(api, fault).arrived
  }

  answer(api: ApiName, body: Buffer): Promise<void> {
    return this.#rule(api, { answer: body }).arrived
  }

  hold(api: ApiName): Stopped {
    return this.#rule(api, 'hold')
  }

  clear(): void {
    this.#rules = []
  }

  sever(): void {
    this.#severed = true
    this.cut()
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.cut()
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))))
  }

  #rule(api: ApiName, kind: Rule['kind']): Stopped {
    const hit = Promise.withResolvers<void>()
    const free = Promise.withResolvers<void>()
    this.#rules.push({ api: API[api], kind, hit: hit.resolve, released: free.promise })
    return { arrived: hit.promise, release: free.resolve }
  }

  #take(api: number): Rule | undefined {
    const index = this.#rules.findIndex((rule) => rule.api === api)
    return index < 0 ? undefined : this.#rules.splice(index, 1)[0]
  }

  #join(client: Socket, target: number): void {
    if (this.#severed) return void client.destroy()
    const broker = connect({ host: '127.0.0.1', port: target, noDelay: true })
    client.setNoDelay(true)
    const cut = (): void => {
      client.destroy()
      broker.destroy()
    }
    for (const socket of [client, broker]) {
      this.#sockets.add(socket)
      socket.on('error', cut)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        cut()
      })
    }
    const doomed = new Map<number, { readonly rule: Rule; readonly cut: boolean }>()
    let queue = Promise.resolve()
    onFrames(client, (frame) => {
      queue = queue.then(() => this.#request(frame, client, broker, doomed, cut))
    })
    onFrames(broker, (frame) => this.#response(frame, client, doomed, cut))
  }

  async #request(
    frame: Buffer,
    client: Socket,
    broker: Socket,
    doomed: Map<number, { readonly rule: Rule; readonly cut: boolean }>,
    cut: () => void,
  ): Promise<void> {
    const api = frame.readInt16BE(4)
    const correlation = frame.readInt32BE(8)
    const name = NAMES.get(api)
    if (name !== undefined) {
      this.seen.push(name)
      this.last.set(name, frame)
    }
    const rule = this.#take(api)
    if (rule === undefined) return void broker.write(frame)
    if (rule.kind === 'hold') {
      rule.hit()
      await rule.released
      return void broker.write(frame)
    }
    if (rule.kind === 'before') {
      cut()
      return rule.hit()
    }
    if (typeof rule.kind === 'object') {
      client.write(answerFrame(correlation, rule.kind.answer))
      return rule.hit()
    }
    doomed.set(correlation, { rule, cut: rule.kind === 'after' })
    broker.write(frame)
  }

  #response(
    frame: Buffer,
    client: Socket,
    doomed: Map<number, { readonly rule: Rule; readonly cut: boolean }>,
    cut: () => void,
  ): void {
    const fate = doomed.get(frame.readInt32BE(4))
    if (fate === undefined) return void client.write(this.#readdressed(frame))
    doomed.delete(frame.readInt32BE(4))
    if (fate.cut) cut()
    fate.rule.hit()
  }

  /** In answers of Metadata and FindCoordinator a host is followed by its port in four bytes. */
  #readdressed(frame: Buffer): Buffer {
    for (let at = frame.indexOf(HOST); at >= 0; at = frame.indexOf(HOST, at + HOST.length)) {
      const end = at + HOST.length
      const port = end + 4 <= frame.length ? this.#ports.get(frame.readInt32BE(end)) : undefined
      if (port !== undefined) frame.writeInt32BE(port, end)
    }
    return frame
  }
}

const HOST = Buffer.from('127.0.0.1')
const NAMES = new Map<number, ApiName>(Object.entries(API).map(([name, key]) => [key, name as ApiName]))

function answerFrame(correlation: number, body: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeInt32BE(4 + body.length, 0)
  head.writeInt32BE(correlation, 4)
  return Buffer.concat([head, body])
}

function onFrames(socket: Socket, each: (frame: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (data) => {
    rest = rest.length === 0 ? data : Buffer.concat([rest, data])
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const size = 4 + rest.readInt32BE(0)
      each(Buffer.from(rest.subarray(0, size)))
      rest = rest.subarray(size)
    }
  })
}
