import { deepStrictEqual } from 'node:assert'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { between, pick, seededRandom } from '../../src/commands/demo/random.ts'
import type { Random } from '../../src/commands/demo/random.ts'
import type { CounterInquiry, Inquiry } from '../../src/decision/inquiry.ts'
import { MessagePack } from '../../src/redis/message-pack.ts'
import { observeSegment, reserveSegment } from '../../src/redis/segment.ts'
import { clockedLibrary } from '../redis/real-subject.ts'
import { startRedis } from '../redis/server.ts'
import type { RedisServer } from '../redis/server.ts'
import { RedisLibrary } from '../twins/redis/library.ts'

let server: RedisServer

beforeAll(async () => {
  server = await startRedis()
  await server.admin.function('LOAD', 'REPLACE', clockedLibrary.code)
})
afterAll(() => server[Symbol.asyncDispose]())

const HOUR = 3_600_000
/** What the windows of limits are changed to. */
const WINDOWS = [HOUR, 90_001, HOUR / 2, 2 * HOUR + 7, 60_000, 20_000] as const
/** Longer than all that a test moves the clock, since keys expire by the server's own. */
const YEARS = String(20 * 365 * 24 * HOUR)

type Args = readonly (string | Buffer)[]

/** One deployment on a real server and in the twin, called alike. */
class Pair {
  readonly kinds: Record<string, number> = {}
  readonly #name: string
  readonly #random: Random
  readonly #twin = new RedisLibrary()
  readonly #tokens = new Map<number, string[]>()
  readonly #asked = new Map<string, Inquiry>()
  readonly #reached = new Map<number, number>()
  readonly #committed = new Map<number, number>()
  /** Of the present rebuild: its epoch, and where each place is to be gone on. */
  #epoch = ''
  #places = new Map<string, string>()
  #epochs = 0
  #micros = 1_700_000_000_000_000

  constructor(name: string, random: Random) {
    this.#name = name
    this.#random = random
  }

  async step(): Promise<void> {
    const dice = this.#random()
    if (dice < 0.08) await this.#acquire()
    else if (dice < 0.12) await this.#remind()
    else if (dice < 0.125) this.#twin.server = `server${this.#below(3)}`
    else if (dice < 0.2) await this.#rebuild()
    else if (dice < 0.55) await this.#observe()
    else if (dice < 0.85) await this.#reserve()
    else if (dice < 0.97) await this.#move()
    else if (dice < 0.99) await this.#learn()
    else await this.#forget()
  }

  #below(sides: number): number {
    return Math.floor(this.#random() * sides)
  }

  /** Mostly the present token, sometimes an old one or none. */
  #token(partition: number): string {
    const tokens = this.#tokens.get(partition) ?? ['0']
    return (this.#below(20) === 0 ? tokens[this.#below(tokens.length)] : tokens.at(-1)) ?? '0'
  }

  async #acquire(): Promise<void> {
    const partitions = [0, 1, 2].filter(() => this.#below(3) > 0)
    const args = partitions.flatMap((partition) => {
      const committed = this.#committed.get(partition)
      const start = committed ?? 0
      const needed = this.#below(6) === 0 ? Math.max(0, start - this.#below(4)) : start
      const reserved = this.#below(9) === 0 ? start + this.#below(5) : 0
      const position = committed === undefined ? '' : String(committed)
      const isSet = committed !== undefined && this.#below(12) === 0 ? '1' : '0'
      return [String(partition), position, String(start), String(needed), String(reserved), isSet]
    })
    const owner = this.#below(30) === 0 ? 'another group' : 'group g on topic t'
    const reply = (await this.#both('acquire', [`epoch-${this.#epochs++}`, owner, ...args])) as string[]
    if (reply[0] !== 'owned') return
    const [, , , ...given] = reply
    partitions.forEach((partition, at) => {
      this.#tokens.set(partition, [...(this.#tokens.get(partition) ?? []), given[2 * at] ?? ''])
      this.#reached.set(partition, this.#committed.get(partition) ?? 0)
    })
  }

  async #remind(): Promise<void> {
    // Mostly all owners tell what is so, one after the other, without which nothing is ever proven.
    const isOdd = this.#below(4) === 0
    if (!isOdd) {
      for (const partition of [0, 1, 2])
        await this.#both('remind', ['3', String(partition), this.#token(partition), '0', '0'])
      return
    }
    const args = [0, 1, 2]
      .filter(() => this.#below(2) > 0)
      .flatMap((partition) => {
        const reached = this.#reached.get(partition) ?? 0
        const reserved = this.#below(9) === 0 ? reached + 1 : Math.max(0, reached - 6)
        return [partition, this.#token(partition), reached + (this.#below(12) === 0 ? 1 : 0), reserved].map(String)
      })
    await this.#both('remind', [String(this.#below(20) === 0 ? 4 : 3), ...args])
  }

  async #observe(): Promise<void> {
    const partitions = [0, 1, 2].filter(() => this.#below(2) > 0)
    const asked = partitions.flatMap((partition) => this.#runs(partition))
    const args = asked.flatMap(({ partition, from, next, committed, mode, offsets }) => {
      const inquiries = offsets.map((offset) => this.#inquiry(partition, offset))
      const { bytes } = observeSegment({ partition, token: 0, from, next, committed, inquiries })
      return [String(partition), this.#token(partition), String(from), String(next), String(committed), mode, bytes]
    })
    const lossFelt = pick(this.#random, ['0', String(HOUR), String(24 * HOUR)])
    const reply = await this.#both('observe', [this.#below(9) === 0 ? '0' : YEARS, lossFelt, ...args])
    if ((reply as string[])[0] !== 'ok') return
    for (const { partition, next } of asked)
      this.#reached.set(partition, Math.max(next, this.#reached.get(partition) ?? 0))
  }

  /** One run, sometimes several that follow each other, as when a caller catches up. */
  #runs(partition: number) {
    const committed = this.#committed.get(partition) ?? 0
    const reached = this.#reached.get(partition) ?? 0
    let from = this.#below(3) === 0 ? Math.max(0, committed - 1 + this.#below(reached - committed + 2)) : reached
    if (this.#below(25) === 0) from += 1 + this.#below(3)
    return Array.from({ length: this.#below(8) === 0 ? 3 : 1 }, () => {
      const length = this.#below(6)
      const mode = this.#below(4) === 0 ? 'quiet' : 'answer'
      // Only what is told later may be cut short, and then still has its events.
      const beyond = mode === 'quiet' && this.#below(3) === 0 ? 2 : 0
      const offsets = Array.from({ length: length + beyond }, (_, n) => from + n)
      const run = {
        partition,
        from,
        next: from + length,
        committed: Math.max(0, committed - this.#below(2)),
        mode,
        offsets: offsets.filter(() => this.#below(10) > 0),
      }
      from += length
      return run
    })
  }

  async #reserve(): Promise<void> {
    const partitions = [0, 1, 2].filter(() => this.#below(2) > 0)
    const args = partitions.flatMap((partition) => {
      const committed = this.#committed.get(partition) ?? 0
      const reached = this.#reached.get(partition) ?? 0
      const offsets = Array.from({ length: Math.max(0, reached - committed + 1) }, (_, n) => committed - 1 + n)
      const claims = offsets
        .filter((offset) => offset >= 0 && this.#below(2) === 0)
        .map((offset) => ({ offset, inquiry: this.#inquiry(partition, offset) }))
      return [String(partition), this.#token(partition), reserveSegment({ partition, token: 0, claims })]
    })
    await this.#both('reserve', args)
  }

  async #rebuild(): Promise<void> {
    const dice = this.#below(8)
    const holder = `holder ${this.#below(6) === 0 ? 2 : 1}`
    if (dice < 2) await this.#claimRebuild(holder)
    else if (dice < 7) await this.#restore(holder)
    else await this.#finish(holder)
  }

  async #claimRebuild(holder: string): Promise<void> {
    const args = [holder, '60000', this.#below(20) === 0 ? '4' : '3']
    const [kind, epoch = '', , , ...rest] = (await this.#both('claim_rebuild', args)) as string[]
    if (kind !== 'yours') return
    this.#epoch = epoch
    const places = rest.slice(3)
    this.#places = new Map(places.flatMap((place, at) => (at % 2 === 0 ? [[place, places[at + 1] ?? '']] : [])))
  }

  async #restore(holder: string): Promise<void> {
    const place = `executed-${this.#below(2)}`
    const reached = this.#places.get(place) ?? ''
    const after = this.#below(15) === 0 ? '7' : reached
    const next = String(Number(reached) + 1 + this.#below(9))
    const epoch = this.#below(30) === 0 ? 'another' : this.#epoch
    const partition = String(this.#below(3))
    const decided = this.#below(3) === 0 ? [partition, String(this.#below((this.#reached.get(0) ?? 0) + 3))] : []
    const blind = this.#below(2) === 0 ? '' : this.#packedBlind()
    const args = [holder, epoch, '60000', '0.5000', place, after, next, this.#packedCounts(), blind, ...decided]
    const [kind] = (await this.#both('restore', args)) as string[]
    if (kind === 'restored') this.#places.set(place, next)
  }

  async #finish(holder: string): Promise<void> {
    const reached = [...this.#places].flatMap(([place, next]) => [place, this.#below(15) === 0 ? '0' : next])
    const [kind] = (await this.#both('finish_rebuild', [holder, this.#epoch, '60000', ...reached])) as string[]
    if (kind === 'done') this.#places.clear()
  }

  /** Layout: header of `restore` in sluice.lua. */
  #packedCounts(): Buffer {
    // A run names a counter once.
    const counters = new Map(
      Array.from({ length: this.#below(3) }, () => {
        const [key, width, bucket] = this.#restored()
        return [key, [width, bucket - 1, 1 + this.#below(3), bucket, 1]]
      }),
    )
    const events = Array.from({ length: this.#below(4) }, () => this.#firstEvent())
    return packed([[...counters].flat(), events.flat()])
  }

  #packedBlind(): Buffer {
    const events = Array.from({ length: 1 + this.#below(3) }, () => {
      const counts = Array.from({ length: this.#below(3) }, () => this.#restored())
      return [...this.#firstEvent(), counts.length, ...counts.flat()]
    })
    return packed(events.flat())
  }

  /** A counter, the width of its buckets, and one of them, which may be out of its window. */
  #restored(): readonly [string, number, number] {
    const count = pick(this.#random, ['proposals', 'executions'])
    const width = Math.ceil(pick(this.#random, [HOUR, 90_001, 2 * HOUR + 7]) / 16)
    const bucket = Math.floor(this.#micros / 1000 / width) - this.#below(20)
    return [`${count[0]}${count}-${this.#below(2)}-${this.#below(3)}`, width, bucket]
  }

  #firstEvent(): readonly [string, string, number] {
    const left = pick(this.#random, [-1000, 5 * HOUR, 1000 * HOUR])
    const place = `${this.#below(3)}:${this.#below(20)}:d${this.#below(2)}`
    return [`k${this.#below(60)}`, place, Math.floor(this.#micros / 1000) + left]
  }

  /** The clock goes on, and sometimes back; offsets are committed. */
  async #move(): Promise<void> {
    const ms = pick(this.#random, [1, 50, 1000, 60_000, HOUR / 3, -500, -60_000, 30 * HOUR])
    this.#micros += Math.floor(ms * 1000 + between(this.#random, 0, 1000))
    for (const [partition, reached] of this.#reached) {
      const committed = this.#committed.get(partition) ?? 0
      if (this.#below(2) === 0 && reached > committed)
        this.#committed.set(partition, committed + 1 + this.#below(reached - committed))
    }
  }

  async #learn(): Promise<void> {
    const json = this.#below(3) === 0 ? null : `{"version":${this.#below(9)},"text":"Zoë"}`
    this.#twin.putContext('h1', json)
    const key = `{${this.#name}}:x:h1`
    await (json === null ? server.admin.del(key) : server.admin.set(key, json))
  }

  /** Somebody flushes the server. */
  async #forget(): Promise<void> {
    if (this.#below(8) > 0) return
    const keys = await server.admin.keys(`{${this.#name}}:*`)
    if (keys.length > 0) await server.admin.del(keys)
    this.#twin.clear()
  }

  #inquiry(partition: number, offset: number): Inquiry {
    const place = `${partition}:${offset}`
    const known = this.#asked.get(place)
    if (known !== undefined) return known
    const counters = (['proposals', 'executions'] as const).flatMap((count) =>
      [0, 1].filter(() => this.#below(2) === 0).map((n) => this.#counter(count, n)),
    )
    const context = [
      { name: 'sell"er', key: 'k', hash: this.#below(2) === 0 ? 'h1' : null },
      { name: 'other', key: 'k', hash: this.#below(2) === 0 ? 'h2' : null },
    ].filter(() => this.#below(2) === 0)
    const inquiry = { offset, actionKey: `k${this.#below(60)}`, digest: `d${this.#below(2)}`, counters, context }
    this.#asked.set(place, inquiry)
    return inquiry
  }

  /** Now and then a limit's window is another one, as after a change of policy. */
  #counter(count: CounterInquiry['count'], n: number): CounterInquiry {
    const windowMs = this.#below(12) === 0 ? pick(this.#random, WINDOWS) : [HOUR, 90_001][n]
    return {
      limit: `${count}-${n}-ä`,
      count,
      key: `${count}-${n}-${this.#below(3)}`,
      max: this.#below(12) === 0 ? Number.MAX_SAFE_INTEGER : 1 + this.#below(9),
      windowMs: windowMs ?? HOUR,
    }
  }

  async #both(name: string, args: Args): Promise<unknown> {
    const { admin } = server
    // Commands of one connection are carried out in the order they are sent.
    const clock = admin.hset('clock', {
      s: Math.floor(this.#micros / 1e6),
      us: this.#micros % 1e6,
      server: `run_id:${this.#twin.server}`,
    })
    const called = admin.fcall(`sluice_${clockedLibrary.version}_${name}`, 1, `{${this.#name}}:state`, ...args)
    const twin = this.#twin.call(name, args, this.#micros, Date.now())
    const [answered] = await Promise.all([called, clock])
    deepStrictEqual(twin, answered)
    const kind = `${name} ${String((answered as string[])[0])}`
    this.kinds[kind] = (this.kinds[kind] ?? 0) + 1
    return answered
  }
}

type Packable = number | string | readonly Packable[]

function packed(value: Packable): Buffer {
  const packer = new MessagePack()
  const pack = (it: Packable): void => {
    if (typeof it === 'number') return packer.number(it)
    if (typeof it === 'string') return packer.text(it)
    const start = packer.beginArray()
    for (const item of it) pack(item)
    packer.endArray(start, it.length)
  }
  pack(value)
  return packer.take()
}

test('a hundred thousand calls are answered alike by Redis and the twin, byte for byte', async () => {
  const kinds: Record<string, number> = {}
  let calls = 0
  for (let seed = 1; calls < 100_000; seed++) {
    const pair = new Pair(`d${seed}`, seededRandom(seed))
    for (let step = 0; step < 400; step++) await pair.step()
    for (const [kind, count] of Object.entries(pair.kinds)) {
      kinds[kind] = (kinds[kind] ?? 0) + count
      calls += count
    }
  }
  expect(Object.keys(kinds).toSorted()).toEqual([
    'acquire foreign',
    'acquire owned',
    'claim_rebuild held',
    'claim_rebuild unproven',
    'claim_rebuild waiting',
    'claim_rebuild whole',
    'claim_rebuild yours',
    'finish_rebuild done',
    'finish_rebuild fenced',
    'finish_rebuild more',
    'observe fenced',
    'observe ok',
    'remind fenced',
    'remind ok',
    'reserve fenced',
    'reserve ok',
    'reserve unproven',
    'restore behind',
    'restore fenced',
    'restore restored',
  ])
}, 300_000)

test('an action key is forgotten after its time, by both alike', async () => {
  const twin = new RedisLibrary()
  const key = '{short}:state'
  const call = async (name: string, args: Args): Promise<unknown> => {
    const micros = Date.now() * 1000
    await server.admin.hset('clock', { s: Math.floor(micros / 1e6), us: micros % 1e6, server: 'run_id:a' })
    const twins = twin.call(name, args, micros)
    const answered = await server.admin.fcall(`sluice_${clockedLibrary.version}_${name}`, 1, key, ...args)
    expect(twins).toEqual(answered)
    return answered
  }
  const [, , , token = ''] = (await call('acquire', ['e', 'o', '0', '', '0', '0', '0'])) as string[]
  const ask = (offset: number): Promise<unknown> => {
    const inquiries = [{ offset, actionKey: 'a', digest: 'd', counters: [], context: [] }]
    const { bytes } = observeSegment({
      partition: 0,
      token: 0,
      from: offset,
      next: offset + 1,
      committed: 0,
      inquiries,
    })
    return call('observe', ['300', '0', '0', token, String(offset), String(offset + 1), '0', 'answer', bytes])
  }
  expect(String(await ask(0))).toContain('null')
  expect(String(await ask(1))).toContain('"0:0:d"')
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(String(await ask(2))).toContain('null')
})
