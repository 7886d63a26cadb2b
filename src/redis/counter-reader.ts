import { Redis } from 'ioredis'

/** What Redis holds of one counter: how many counts lie in each part of its window, which are `widthMs` long. */
export type HeldCounter = { readonly widthMs: number; readonly counts: ReadonlyMap<number, number> }

/** `now`: Redis' time, ms. A counter that is not there is absent. */
export type HeldCounters = { readonly now: number; readonly counters: ReadonlyMap<string, HeldCounter> }

/** Looks at a deployment's counters without the function library, and changes nothing. */
export class CounterReader {
  readonly #redis: Redis
  readonly #prefix: string

  constructor(url: string, deployment: string) {
    this.#prefix = `{${deployment}}:`
    this.#redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, commandTimeout: 2000 })
    this.#redis.on('error', () => undefined)
  }

  /** By kind (`p` proposals, `e` executions) and key. Null while state is incomplete, changes, or does not answer. */
  async read(names: readonly string[]): Promise<HeldCounters | null> {
    try {
      const epoch = await this.#epoch()
      if (epoch === null || names.length === 0) return null
      const [seconds, micros] = await this.#redis.time()
      const values = await this.#redis.mgetBuffer(...names.map((name) => `${this.#prefix}c:${epoch}:${name}`))
      if ((await this.#epoch()) !== epoch) return null
      const held = names.flatMap((name, at): [string, HeldCounter][] => {
        const value = values[at]
        return value === null || value === undefined ? [] : [[name, counterOf(value)]]
      })
      return { now: Number(seconds) * 1000 + Math.floor(Number(micros) / 1000), counters: new Map(held) }
    } catch {
      return null
    }
  }

  close(): void {
    this.#redis.disconnect()
  }

  async #epoch(): Promise<string | null> {
    const [epoch, lostAt] = await this.#redis.hmget(`${this.#prefix}state`, 'epoch', 'lostAt')
    return lostAt === null ? (epoch ?? null) : null
  }
}

/** MessagePack [width, part, count, part, count, ...], as sluice.lua writes counters. */
function counterOf(bytes: Buffer): HeldCounter {
  const [widthMs = 1, ...flat] = numbersOf(bytes)
  const counts = new Map<number, number>()
  for (let at = 0; at + 1 < flat.length; at += 2) counts.set(flat[at] ?? 0, flat[at + 1] ?? 0)
  return { widthMs, counts }
}

/** An array of numbers; https://github.com/msgpack/msgpack/blob/master/spec.md */
function numbersOf(bytes: Buffer): readonly number[] {
  const head = bytes[0] ?? 0
  let at = head === 0xdc ? 3 : head === 0xdd ? 5 : 1
  const numbers: number[] = []
  while (at < bytes.length) {
    const [value, size] = numberAt(bytes, at)
    numbers.push(value)
    at += size
  }
  return numbers
}

function numberAt(bytes: Buffer, at: number): readonly [value: number, size: number] {
  const type = bytes[at] ?? 0
  if (type < 0x80) return [type, 1]
  switch (type) {
    case 0xcc:
      return [bytes.readUInt8(at + 1), 2]
    case 0xcd:
      return [bytes.readUInt16BE(at + 1), 3]
    case 0xce:
      return [bytes.readUInt32BE(at + 1), 5]
    case 0xcf:
      return [Number(bytes.readBigUInt64BE(at + 1)), 9]
    case 0xca:
      return [bytes.readFloatBE(at + 1), 5]
    case 0xcb:
      return [bytes.readDoubleBE(at + 1), 9]
    default:
      return [Number.NaN, 1]
  }
}
