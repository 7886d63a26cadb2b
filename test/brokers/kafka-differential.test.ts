import { afterAll, beforeAll, expect, test } from 'vitest'
import { NEWCOMER } from '../../src/kafka/wire/messages/transaction.ts'
import type { Producer } from '../../src/kafka/wire/messages/transaction.ts'
import { CONCURRENT, KafkaCaller } from '../conformance/kafka-caller.ts'
import type { KafkaSubject } from '../conformance/kafka-caller.ts'
import { dice } from './support/dice.ts'
import { twinSubject } from '../twins/kafka/twin-subject.ts'
import { realBrokers } from './support/real-brokers.ts'

const PARTITIONS = 2
const IDS = 3

/** One side: brokers, a topic there, and the ids that the producers have there. */
type Side = { readonly caller: KafkaCaller; readonly topic: string; readonly ids: string[]; readonly group: string }

/** A producer as both sides know it: of one epoch, under producer ids of their own. */
type Known = { readonly real: Producer; readonly twin: Producer }

class Pair {
  readonly codes = new Map<string, number>()
  readonly #roll: (sides: number) => number
  readonly #real: Side
  readonly #twin: Side
  /** Per transactional id all producers that there were, the last one last. */
  readonly #known: Known[][] = Array.from({ length: IDS }, () => [])
  readonly #next = new Map<string, number>()
  readonly #steps: string[] = []
  requests = 0

  constructor(seed: number, real: Side, twin: Side) {
    this.#roll = dice(seed)
    this.#real = real
    this.#twin = twin
  }

  async step(): Promise<void> {
    const index = this.#roll(IDS)
    if (this.#known[index]?.length === 0) return await this.#init(index)
    const roll = this.#roll(100)
    if (roll < 22) await this.#add(index)
    else if (roll < 62) await this.#produce(index)
    else if (roll < 68) await this.#offsets(index)
    else if (roll < 88) await this.#end(index)
    else if (roll < 96) await this.#init(index)
    else await this.compareLogs()
  }

  /** What is visible, where the edges are, what is committed. */
  async compareLogs(): Promise<void> {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const look = async ({ caller, topic }: Side) => [
        await caller.edges(topic, partition),
        await caller.visible(topic, partition, { partitionMaxBytes: 300 }),
      ]
      await this.#both(`log of ${partition}`, look)
    }
    await this.#both('offsets', ({ caller, topic, group }) => caller.committed(group, topic))
  }

  async #init(index: number): Promise<void> {
    const known = this.#known[index] ?? []
    const current = known.length === 0 || this.#roll(2) === 0 ? null : this.#any(known)
    const answers = await this.#each((side) => {
      return side.caller.init(side.ids[index]!, current === null ? NEWCOMER : current[this.#nameOf(side)])
    })
    const shown = answers.map(({ code, producer }) => [code, producer.epoch])
    this.#compare(`init ${index} ${current?.real.epoch ?? 'new'}`, shown[0], shown[1])
    const [real, twin] = answers
    if (real.code === 0) known.push({ real: real.producer, twin: twin.producer })
    if (real.code === CONCURRENT) await this.#quiet(index)
  }

  async #add(index: number): Promise<void> {
    const known = this.#any(this.#known[index] ?? [])
    const partition = this.#roll(PARTITIONS)
    await this.#both(`add ${index} e${known.real.epoch} p${partition}`, (side) =>
      side.caller.add(side.ids[index]!, known[this.#nameOf(side)], side.topic, partition),
    )
  }

  /** Mostly the next sequence, else one that was, or one too far. */
  async #produce(index: number): Promise<void> {
    const known = this.#any(this.#known[index] ?? [])
    const partition = this.#roll(PARTITIONS)
    const place = `${known.real.id}/${known.real.epoch}/${partition}`
    const next = this.#next.get(place) ?? 0
    const [back, count] = [this.#roll(10), 1 + this.#roll(3)]
    const sequence = back < 6 ? next : back === 9 ? next + 1 : Math.max(0, next - 1 - this.#roll(8))
    const values = Array.from({ length: count }, (_, at) => `${this.#steps.length}.${at}`)
    const [code] = await this.#both(
      `produce ${index} e${known.real.epoch} p${partition} s${sequence}+${count}`,
      (side) =>
        side.caller.produce(side.ids[index]!, known[this.#nameOf(side)], side.topic, partition, sequence, values),
    )
    if (code === 0 && sequence >= next) this.#next.set(place, sequence + count)
  }

  async #offsets(index: number): Promise<void> {
    const known = this.#any(this.#known[index] ?? [])
    const offset = this.#steps.length
    await this.#both(`offsets ${index} e${known.real.epoch}`, async (side) => {
      const [id, producer] = [side.ids[index]!, known[this.#nameOf(side)]]
      const nobody = { group: side.group, member: '', instance: null, generation: -1 }
      const added = await side.caller.addOffsets(id, producer, side.group)
      return [added, await side.caller.commitWithin(id, producer, nobody, side.topic, offset)]
    })
  }

  async #end(index: number): Promise<void> {
    const known = this.#any(this.#known[index] ?? [])
    const how = this.#roll(3) === 0 ? 'abort' : 'commit'
    await this.#both(`${how} ${index} e${known.real.epoch}`, (side) =>
      side.caller.end(side.ids[index]!, known[this.#nameOf(side)], how),
    )
    await this.#quiet(index)
  }

  /** While an id's markers are being written everybody is told to wait, also who has an epoch that cannot be. */
  async #quiet(index: number): Promise<void> {
    for (const side of [this.#real, this.#twin]) {
      const stranger = { id: 1_000_000, epoch: 0 }
      const { caller, ids, topic } = side
      while ((await caller.add(ids[index]!, stranger, topic, 0))[0] === CONCURRENT) await caller.subject.advance(2)
    }
  }

  /** The last one mostly. */
  #any(known: readonly Known[]): Known {
    const back = this.#roll(5) === 0 ? this.#roll(known.length) : 0
    return known[known.length - 1 - back]!
  }

  #nameOf(side: Side): 'real' | 'twin' {
    return side === this.#real ? 'real' : 'twin'
  }

  async #each<T>(ask: (side: Side) => Promise<T>): Promise<readonly [T, T]> {
    this.requests++
    return await Promise.all([ask(this.#real), ask(this.#twin)])
  }

  async #both<T>(what: string, ask: (side: Side) => Promise<T>): Promise<T> {
    const [real, twin] = await this.#each(ask)
    this.#compare(what, real, twin)
    return real
  }

  #compare(what: string, real: unknown, twin: unknown): void {
    const code = Array.isArray(real) && typeof real[0] === 'number' ? real[0] : typeof real === 'number' ? real : ''
    const kind = `${what.split(' ')[0]} ${code}`
    this.codes.set(kind, (this.codes.get(kind) ?? 0) + 1)
    this.#steps.push(`${what}: ${JSON.stringify(real)}`)
    expect(twin, this.#steps.slice(-40).join('\n')).toEqual(real)
  }
}

/** What chance must have met often enough for the run to say anything. */
const MET = [
  ...[0, 45, 47, 48].map((code) => `produce ${code}`),
  ...[0, 51, 90].map((code) => `init ${code}`),
  ...[0, 90].map((code) => `add ${code}`),
  ...[0, 48, 90].flatMap((code) => [`commit ${code}`, `abort ${code}`]),
  ...[0, 88, 90].map((code) => `offsets ${code}`),
]

let real: KafkaSubject
let twin: KafkaSubject
let callers: readonly [KafkaCaller, KafkaCaller]

beforeAll(async () => {
  real = await realBrokers(1)
  twin = twinSubject(1)
  callers = [new KafkaCaller(real), new KafkaCaller(twin)]
  await callers[0].stableOffset(real.unique('g'), await real.topic(1))
  await callers[0].fence(real.unique('id'))
})
afterAll(async () => {
  for (const caller of callers) caller.close()
  await real.close()
})

const side = async (caller: KafkaCaller): Promise<Side> => ({
  caller,
  topic: await caller.subject.topic(PARTITIONS),
  ids: Array.from({ length: IDS }, () => caller.subject.unique('id')),
  group: caller.subject.unique('g'),
})

test('at random: three producers get the same answers from Kafka and from the twin', { timeout: 300_000 }, async () => {
  let requests = 0
  const seen = new Map<string, number>()
  for (let seed = 1; seed <= 20; seed++) {
    const pair = new Pair(seed, await side(callers[0]), await side(callers[1]))
    for (let step = 0; step < 200; step++) await pair.step()
    await pair.compareLogs()
    requests += pair.requests
    for (const [kind, count] of pair.codes) seen.set(kind, (seen.get(kind) ?? 0) + count)
  }
  expect(requests).toBeGreaterThan(4_000)
  const often = [...seen].filter(([, count]) => count > 4).map(([kind]) => kind)
  expect(often).toEqual(expect.arrayContaining(MET))
})
