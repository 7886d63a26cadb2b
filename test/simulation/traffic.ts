import { pick } from '../../src/commands/demo/random.ts'
import type { Random } from '../../src/commands/demo/random.ts'
import { createWrite } from '../../src/avro/records.ts'
import type { ModelOutput } from '../../src/decision/event.ts'
import type { Policy } from '../../src/decision/policy.ts'
import { contextHashOf } from '../../src/decision/keys.ts'
import { loadPolicy } from '../../src/policy/load-policy.ts'
import type { Plan } from './plan.ts'
import { mutate } from '../avro/mutate.ts'
import { EVENT_SCHEMA_ID } from './registry.ts'
import { EPOCH_MS } from './virtual-time.ts'

/** One record of the input topic. */
export type Sent = { readonly partition: number; readonly key: Buffer | null; readonly value: Buffer | null }

const ACTIONS = [
  'item.flag',
  'item.flag',
  'item.sell',
  'item.sell',
  'item.remove',
  'cache.refresh',
  'unheard.of',
] as const
const OWNERS = ['o1', 'o2', 'o3'] as const

const write = createWrite('ModelOutput')

/** The share of records that are no events. */
const HOSTILE = 0.1

/** 10 % hostile bytes, repeats and conflicts as planned; the rest are events of four known actions and an unknown one. */
export class Traffic {
  readonly #random: Random
  readonly #plan: Pick<Plan, 'partitions' | 'repeats' | 'conflicts'>
  readonly #recent: { readonly event: ModelOutput; readonly partition: number }[] = []
  #sent = 0

  constructor(random: Random, plan: Pick<Plan, 'partitions' | 'repeats' | 'conflicts'>) {
    this.#random = random
    this.#plan = plan
  }

  next(nowMs: number): Sent {
    const random = this.#random
    const { partitions, repeats, conflicts } = this.#plan
    const partition = Math.floor(random() * partitions)
    const dice = random()
    if (dice < HOSTILE) return { partition, key: null, value: this.#hostile(nowMs) }
    const earlier = this.#recent[Math.floor(random() * this.#recent.length)]
    // A repeat has its entity's key, and so its partition; a conflict may come from anywhere.
    if (dice < HOSTILE + repeats && earlier !== undefined) return sent(earlier.event, earlier.partition)
    if (dice < HOSTILE + repeats + conflicts && earlier !== undefined)
      return sent({ ...earlier.event, confidence: 0.99 }, partition)
    const event = this.#event(nowMs)
    this.#recent.push({ event, partition })
    return sent(event, partition)
  }

  /** Repeats the last event of a partition if there is one. */
  last(nowMs: number, partition: number): Sent {
    const earlier = this.#recent.findLast((it) => it.partition === partition)
    return sent(earlier?.event ?? this.#event(nowMs), partition)
  }

  #event(nowMs: number): ModelOutput {
    const random = this.#random
    const owner = pick(random, OWNERS)
    return {
      id: `e-${this.#sent++}`,
      source: '/simulation',
      tenant: 't',
      time: Math.floor(EPOCH_MS + nowMs),
      expiresAt: random() < 0.05 ? Math.floor(EPOCH_MS + nowMs + 3000) : null,
      model: { name: 'm', version: '1' },
      action: pick(random, ACTIONS),
      subject: { type: 'item', id: 'i', owner },
      actor: random() < 0.5 ? 'a' : null,
      confidence: random() < 0.03 ? Number.NaN : 0.3 + 0.7 * random(),
      scoreKind: 'probability',
      attributes: { seller: owner },
      payload: null,
    }
  }

  #hostile(nowMs: number): Buffer | null {
    const random = this.#random
    switch (Math.floor(random() * 5)) {
      case 0:
        return null
      case 1:
        return Buffer.from('garbage')
      case 2:
        return Buffer.from([0, 0, 0, 0, 99, 1])
      default:
        return mutate(write(EVENT_SCHEMA_ID, this.#event(nowMs)), random)
    }
  }
}

const sent = (event: ModelOutput, partition: number): Sent => ({
  partition,
  key: Buffer.from(event.subject.owner ?? ''),
  value: write(EVENT_SCHEMA_ID, event),
})

/** What Redis is told of the sellers before anything happens: JSON that starts with its version, by hash. */
export const contexts = (): ReadonlyMap<string, string> =>
  new Map(
    OWNERS.map((owner, at) => [
      contextHashOf('seller', owner),
      JSON.stringify({ version: 1, source: 'crm', time: EPOCH_MS - 1000, attributes: { trusted: at === 0 } }),
    ]),
  )

const text = (version: number, windowMs: number, max: number, threshold: number): string => `policy: simulation
version: ${version}
duplicates: { window: ${windowMs > 60_000 ? '1h' : '8s'} }
actions:
  item.flag: { undo: reversible, confidence: { execute: ${threshold}, reject: 0.35 } }
  item.sell: { undo: compensable, confidence: { execute: ${threshold}, reject: 0.35 } }
  item.remove: { undo: irreversible, confidence: { certified: { risk: 0.01, assurance: 0.95 }, reject: 0.3 } }
  cache.refresh: { undo: reversible, stateless: true, confidence: { execute: 0.4 } }
context:
  seller: { key: event.attributes.seller, maxAge: 24h, missing: review, actions: [item.flag], fields: { trusted: bool } }
limits:
  - { id: burst, count: proposals, per: [subject.owner], max: ${3 * max}, window: ${windowMs}ms, over: review, actions: [item.flag, item.sell] }
  - { id: sales, count: executions, per: [model.name], max: ${max}, window: ${windowMs}ms, over: review, actions: [item.sell] }
rules:
  - { id: trusted, when: context.seller.trusted && event.confidence < 0.8, route: review, code: policy.trusted, because: a surer model is needed, actions: [item.flag] }
`

/**
 * The policies that may be in force: three that differ in threshold, limits and their windows, once with windows that
 * outlast the world and once with short ones.
 */
export function policiesOf(longWindows: boolean): readonly [Policy, Policy, Policy] {
  const [first, second, third] = longWindows ? [3_600_000, 1_800_000, 7_200_000] : [8_000, 5_000, 7_000]
  return [load(text(1, first, 4, 0.5)), load(text(2, second, 6, 0.6)), load(text(3, third, 4, 0.45))]
}

const loaded = new Map<string, Policy>()

function load(text: string): Policy {
  const known = loaded.get(text)
  if (known !== undefined) return known
  const result = loadPolicy(text, 'simulation.yaml')
  if (result.kind === 'problems') throw new Error(result.problems.map(({ message }) => message).join('; '))
  loaded.set(text, result.policy)
  return result.policy
}
