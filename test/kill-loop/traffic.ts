import { between, pick } from '../../src/commands/demo/random.ts'
import type { Random } from '../../src/commands/demo/random.ts'
import type { ModelOutput } from '../../src/decision/event.ts'
import { setTimeout as delay } from 'node:timers/promises'
import { count, mutate } from '../avro/mutate.ts'
import { event } from '../scenarios/support/deployment.ts'
import type { Deployment } from '../scenarios/support/deployment.ts'

export type KillTraffic = {
  /** Records that were acknowledged. */
  readonly sent: () => number
  /** Resolves when all that was sent is acknowledged. */
  readonly stop: () => Promise<void>
}

/** How often a tick sends, milliseconds. */
const TICK_MS = 50
/** No more is sent while so many wait for their acknowledgement, as while a broker is away. */
const WAITING_MAX = 3000

/** 10 % hostile bytes, 5 % repeated ids, 2 % conflicts, the rest ordinary; the same random numbers give the same. */
export function startTraffic(deployment: Deployment, perSecond: number, random: Random): KillTraffic {
  const source = new Source(random)
  const stop = new AbortController()
  const under = new Set<Promise<void>>()
  let sent = 0
  let failure: unknown = null
  const send = (item: Item): void => {
    const sending: Promise<void> = sendOne(item, deployment, random)
      .then(() => void sent++)
      .catch((error: unknown) => void (failure ??= error))
      .finally(() => under.delete(sending))
    under.add(sending)
  }
  const running = (async () => {
    for (let owed = 0; !stop.signal.aborted; owed %= 1) {
      owed += (perSecond * TICK_MS) / 1000
      if (under.size < WAITING_MAX) for (let n = Math.floor(owed); n > 0; n--) send(source.next())
      await delay(TICK_MS)
    }
  })()
  return {
    sent: () => sent,
    stop: async () => {
      stop.abort()
      await running
      await Promise.all(under)
      if (failure !== null) throw failure
    },
  }
}

/** `hostile`: how to spoil the event's bytes. */
type Item = { readonly event: ModelOutput; readonly hostile: Spoil | null }

type Spoil = (bytes: Buffer, random: Random) => Buffer | null

/** Ways to spoil an event's bytes, by name. */
const SPOILS = {
  tombstone: () => null,
  empty: () => Buffer.alloc(0),
  text: () => Buffer.from('{"id":"not avro","action":"item.flag"}'),
  noise: (_, random) => Buffer.from(Array.from({ length: Math.floor(random() * 200) }, () => byte(random))),
  'unknown schema': (bytes, random) => Buffer.concat([Buffer.from([0, 0, 0, 99, byte(random) % 3]), bytes.subarray(5)]),
  cut: (bytes, random) => bytes.subarray(0, Math.floor(random() * bytes.length)),
  'trailing bytes': (bytes) => Buffer.concat([bytes, Buffer.from('and more')]),
  'hostile count': (bytes) => Buffer.concat([bytes.subarray(0, 5), Buffer.from(count(2 ** 40)), bytes.subarray(6)]),
  mutated: (bytes, random) => Buffer.concat([bytes.subarray(0, 5), mutate(bytes.subarray(5), random)]),
} as const satisfies Record<string, Spoil>

const byte = (random: Random): number => Math.floor(random() * 256)

const HOSTILE = Object.values(SPOILS) as unknown as readonly [Spoil, ...Spoil[]]

const OWNERS = 200
const RECENT = 500

class Source {
  readonly #random: Random
  readonly #recent: ModelOutput[] = []

  constructor(random: Random) {
    this.#random = random
  }

  next(): Item {
    const random = this.#random
    const dice = random()
    if (dice < 0.1) return { event: { ...this.#fresh(), id: farFromOthers(random) }, hostile: pick(random, HOSTILE) }
    const earlier = this.#recent[Math.floor(random() * this.#recent.length)]
    if (dice < 0.15 && earlier !== undefined) return { event: earlier, hostile: null }
    if (dice < 0.17 && earlier !== undefined)
      return { event: { ...earlier, confidence: between(random, 0, 1) }, hostile: null }
    const fresh = this.#fresh()
    this.#recent.push(fresh)
    if (this.#recent.length > RECENT) this.#recent.shift()
    return { event: fresh, hostile: null }
  }

  #fresh(): ModelOutput {
    const random = this.#random
    const made = event({
      confidence: random(),
      action: pick(random, ['item.flag', 'item.flag', 'item.flag', 'item.hide', 'item.sell', 'item.unheard-of']),
    })
    return { ...made, subject: { ...made.subject, owner: `owner-${Math.floor(random() * OWNERS)}` } }
  }
}

/**
 * Bytes are spoiled one here and one there. An id like the others' would now and then become another event's, of another key
 * and so in another partition, where the log says nothing of which comes first.
 */
const farFromOthers = (random: Random): string =>
  `h-${Array.from({ length: 16 }, () => Math.floor(random() * 36).toString(36)).join('')}`

/** Spoiled bytes keep the key of the event they were, so that what is readable still comes after its predecessors. */
async function sendOne({ event, hostile }: Item, deployment: Deployment, random: Random): Promise<void> {
  const bytes = await deployment.records.encode('ModelOutput', deployment.topics.input, event)
  const value = hostile === null ? bytes : hostile(bytes, random)
  await deployment.put(value, { key: event.subject.owner })
}
