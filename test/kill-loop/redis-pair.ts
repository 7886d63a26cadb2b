import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { startRedis } from '../../deploy/local/redis.ts'
import type { LocalRedis } from '../../deploy/local/redis.ts'
import { until } from '../scenarios/support/until.ts'
import { openForwarder } from './forwarder.ts'
import type { Forwarder } from './forwarder.ts'

/** Every write lies in the file before it is answered, so that kill -9 loses nothing. */
const SETTINGS = { appendonly: 'yes', appendfsync: 'everysec', 'repl-diskless-sync-delay': '0' }

/** A master with its append-only file and a replica, behind one address. */
export class RedisPair {
  readonly url: string
  readonly #forwarder: Forwarder
  #master: LocalRedis
  #replica: LocalRedis

  private constructor(forwarder: Forwarder, master: LocalRedis, replica: LocalRedis) {
    this.url = `redis://127.0.0.1:${forwarder.port}`
    this.#forwarder = forwarder
    this.#master = master
    this.#replica = replica
  }

  static async start(): Promise<RedisPair> {
    const [master, replica] = await Promise.all([
      startRedis({ settings: SETTINGS }),
      startRedis({ settings: SETTINGS }),
    ])
    const pair = new RedisPair(await openForwarder(master.port), master, replica)
    await pair.#attachReplica()
    return pair
  }

  /** The master dies at once; what it had answered is in its file. */
  async kill(): Promise<void> {
    await this.#master.kill()
  }

  async restart(): Promise<void> {
    await this.#master.restart()
    await until('Redis has read its file', () => ask(this.#master, (it) => it.ping()), 60_000)
    await this.#inSync()
  }

  /** The master stands still with its connections open until `thaw`. */
  freeze(): void {
    process.kill(this.#master.pid, 'SIGSTOP')
  }

  thaw(): void {
    process.kill(this.#master.pid, 'SIGCONT')
  }

  /** The master dies, and the replica takes over once it has applied all that it was sent. */
  async failOver(): Promise<void> {
    await this.#master.kill()
    await until('the replica has noticed', async () => (await this.#info(this.#replica)).includes('link_status:down'))
    await this.#promote()
  }

  /** The replica is cut off `lagMs` before the master dies, so that it has not got the last writes. */
  async failOverWithLoss(lagMs: number): Promise<void> {
    await ask(this.#replica, (it) => it.replicaof('NO', 'ONE'))
    await sleep(lagMs)
    await this.#master.kill()
    await this.#promote()
  }

  /** The old master comes back as the new one's replica. */
  async mend(): Promise<void> {
    await this.#replica.restart()
    await this.#attachReplica()
  }

  /** Asks the master; null while it does not answer. */
  ask<T>(question: (client: Redis) => Promise<T>): Promise<T | null> {
    return ask(this.#master, question)
  }

  /** A client of the master's own. */
  connect(): Redis {
    return clientOf(this.#master)
  }

  async stop(): Promise<void> {
    await this.#forwarder.close()
    await Promise.all([this.#master.stop(), this.#replica.stop()])
  }

  async #promote(): Promise<void> {
    await ask(this.#replica, (it) => it.replicaof('NO', 'ONE'))
    const dead = this.#master
    this.#master = this.#replica
    this.#replica = dead
    await this.#forwarder.switchTo(this.#master.port)
  }

  async #attachReplica(): Promise<void> {
    await until('the replica follows', () => ask(this.#replica, (it) => it.replicaof('127.0.0.1', this.#master.port)))
    await this.#inSync()
  }

  async #inSync(): Promise<void> {
    await until('the replica is in sync', async () => (await this.#info(this.#master)).includes('state=online'), 60_000)
  }

  #info(of: LocalRedis): Promise<string> {
    return ask(of, (it) => it.info('replication')).then((it) => it ?? '')
  }
}

const clientOf = ({ port }: LocalRedis): Redis =>
  new Redis(port, '127.0.0.1', { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null })

/** Null while it does not answer. */
async function ask<T>(of: LocalRedis, question: (client: Redis) => Promise<T>): Promise<T | null> {
  const client = clientOf(of)
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await question(client)
  } catch {
    return null
  } finally {
    client.disconnect()
  }
}
