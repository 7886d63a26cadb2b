import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisPair } from './redis-pair.ts'

/** Shorter than any rebuild, so that no event is observed with whole state in an epoch that was not seen to begin. */
const EVERY_MS = 100

/** Sees when a new epoch of a deployment's state begins, which is when state was lost. */
export class Epochs {
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  readonly #begun: number[] = []
  #last: string | null = null

  constructor(redis: RedisPair, deployment: string) {
    this.#running = this.#watch(redis, `{${deployment}}:state`)
  }

  /** When each epoch but the first was seen, milliseconds since 1970. */
  get laterFrom(): readonly number[] {
    return this.#begun.slice(1)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #watch(redis: RedisPair, key: string): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const epoch = await redis.ask((it) => it.hget(key, 'epoch'))
      if (epoch !== null && epoch !== this.#last) {
        this.#last = epoch
        this.#begun.push(Date.now())
      }
      await sleep(EVERY_MS)
    }
  }
}
