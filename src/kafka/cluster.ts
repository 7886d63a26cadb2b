import type { BrokerConnection, KafkaConnection } from './connection.ts'
import { KafkaRefusal, NoAnswer, refuse } from './errors.ts'
import { openConnection } from './inner.ts'
import { findCoordinator, metadata } from './wire/messages/cluster.ts'
import type { CoordinatorKind, TopicMetadata } from './wire/messages/cluster.ts'
import type { Request } from './wire/request.ts'

/**
 * Which connection a request takes. A broker serves one request of a connection at a time, so a JoinGroup or Fetch that
 * waits must never stand before a Produce or EndTxn.
 */
export type Lane = 'transaction' | 'group' | 'fetch' | 'produce' | 'query'

export type ClusterTimes = { readonly connectTimeoutMs: number; readonly requestTimeoutMs: number }

/** How often each request was sent, by its name. */
export type RequestCounts = ReadonlyMap<string, number>

/**
 * Brokers, leaders and coordinators, and one connection per broker and lane. Nothing is retried here: a request is sent
 * once, and rejects with NoAnswer or, where an error code says all, KafkaRefusal.
 */
export class Cluster {
  readonly #settings: KafkaConnection
  readonly #times: ClusterTimes
  readonly #connections = new Map<string, Promise<BrokerConnection>>()
  readonly #addresses = new Map<number, string>()
  readonly #topics = new Map<string, TopicMetadata>()
  readonly #coordinators = new Map<string, number>()
  readonly #counts = new Map<string, number>()
  #refreshing: Promise<void> | null = null
  #closed = false

  constructor(settings: KafkaConnection, times: ClusterTimes) {
    this.#settings = settings
    this.#times = times
  }

  get requestCounts(): RequestCounts {
    return this.#counts
  }

  /** Brokers known from the last metadata. */
  get nodes(): readonly number[] {
    return [...this.#addresses.keys()]
  }

  /** One attempt. Without a `timeoutMs` the cluster's; a request that waits at the broker needs a longer one. */
  async send<Response>(
    node: number,
    lane: Lane,
    request: Request<Response>,
    timeoutMs: number = this.#times.requestTimeoutMs,
  ): Promise<Response> {
    const address = this.#addresses.get(node)
    if (address === undefined) throw new NoAnswer('connect', `${request.apiName}: broker ${node} is not known`)
    return await this.#sendTo(address, lane, request, timeoutMs)
  }

  /** To any broker that can be reached, one after the other. */
  async sendAny<Response>(request: Request<Response>): Promise<Response> {
    let last: unknown = new NoAnswer('connect', 'no broker address is configured')
    for (const address of this.#candidates()) {
      try {
        return await this.#sendTo(address, 'query', request, this.#times.requestTimeoutMs)
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error
        last = error
      }
    }
    throw last
  }

  /** Reads brokers, and leaders of the topics named and of all named before. */
  async refresh(topics: readonly string[] = []): Promise<void> {
    const news = topics.filter((topic) => !this.#topics.has(topic))
    for (const topic of news) this.#topics.set(topic, { code: 3, topic, partitions: [] })
    if (news.length > 0) await this.#refreshing?.catch(() => undefined)
    this.#refreshing ??= this.#readMetadata().finally(() => (this.#refreshing = null))
    await this.#refreshing
  }

  /** @throws KafkaRefusal UNKNOWN_TOPIC_OR_PARTITION, TOPIC_AUTHORIZATION_FAILED and the like, as of the last refresh. */
  partitions(topic: string): readonly number[] {
    const known = this.#topics.get(topic)
    refuse(`topic ${topic}`, known?.code ?? 3)
    return known?.partitions.map(({ partition }) => partition).sort((a, b) => a - b) ?? []
  }

  /** Whether the last refresh said that there is no such topic. */
  lacks(topic: string): boolean {
    return this.#topics.get(topic)?.code === 3
  }

  /** The broker that leads the partition as of the last refresh, or null. */
  leader(topic: string, partition: number): number | null {
    const known = this.#topics.get(topic)?.partitions
    const at = known?.[partition]
    const found = at?.partition === partition ? at : known?.find((each) => each.partition === partition)
    return found === undefined || found.leader < 0 ? null : found.leader
  }

  /** The broker that coordinates the group or transactional id; remembered until forgotten. */
  async coordinator(kind: CoordinatorKind, key: string): Promise<number> {
    const name = `${kind} ${key}`
    const known = this.#coordinators.get(name)
    if (known !== undefined) return known
    const found = await this.sendAny(findCoordinator(kind, key))
    refuse(`FindCoordinator of ${name}`, found.code)
    this.#addresses.set(found.node, found.address)
    this.#coordinators.set(name, found.node)
    return found.node
  }

  forgetCoordinators(): void {
    this.#coordinators.clear()
  }

  /** Ends the connections of one lane; requests under way reject with NoAnswer, and the next ones connect anew. */
  hangUp(lane: Lane): void {
    for (const [key, opening] of this.#connections) {
      if (!key.endsWith(` ${lane}`)) continue
      this.#connections.delete(key)
      opening.then((connection) => connection.close()).catch(() => undefined)
    }
  }

  /** Ends all connections; requests under way reject with NoAnswer. */
  close(): void {
    this.#closed = true
    for (const opening of this.#connections.values()) {
      opening.then((connection) => connection.close()).catch(() => undefined)
    }
    this.#connections.clear()
  }

  async #sendTo<Response>(
    address: string,
    lane: Lane,
    request: Request<Response>,
    timeoutMs: number,
  ): Promise<Response> {
    const connection = await this.#connection(address, lane)
    this.#counts.set(request.apiName, (this.#counts.get(request.apiName) ?? 0) + 1)
    return await connection.send(request, timeoutMs)
  }

  #connection(address: string, lane: Lane): Promise<BrokerConnection> {
    if (this.#closed) throw new NoAnswer('connect', `${address}: the client was closed`)
    const key = `${address} ${lane}`
    const open = this.#connections.get(key)
    if (open !== undefined) return open
    const { connect = openConnection } = this.#settings
    const opening = connect(address, this.#settings, this.#times.connectTimeoutMs)
    this.#connections.set(key, opening)
    void this.#forgetWhenClosed(key, opening)
    return opening
  }

  async #forgetWhenClosed(key: string, opening: Promise<BrokerConnection>): Promise<void> {
    const forget = (): void => {
      if (this.#connections.get(key) === opening) this.#connections.delete(key)
    }
    try {
      const { closed } = await opening
      if (closed.aborted) forget()
      else closed.addEventListener('abort', forget, { once: true })
    } catch {
      forget()
    }
  }

  /** Connected ones first, then known ones, then those to start from. */
  #candidates(): readonly string[] {
    const connected = [...this.#connections.keys()].map((key) => key.slice(0, key.indexOf(' ')))
    return [...new Set([...connected, ...this.#addresses.values(), ...this.#settings.brokers])]
  }

  async #readMetadata(): Promise<void> {
    const found = await this.sendAny(metadata([...this.#topics.keys()]))
    if (found.brokers.length === 0) throw new KafkaRefusal('Metadata', 8)
    this.#addresses.clear()
    for (const { node, address } of found.brokers) this.#addresses.set(node, address)
    for (const topic of found.topics) this.#topics.set(topic.topic, topic)
  }
}
