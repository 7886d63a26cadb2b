import type { ModelOutput } from '../../decision/event.ts'
import { between, pick, seededRandom } from './random.ts'
import type { Random } from './random.ts'

/** What the demo producer sends next: an event, or bytes that are none. `key` is the record's key. */
export type DemoItem =
  | { readonly kind: 'event'; readonly event: ModelOutput; readonly key: string | null; readonly story: string }
  | { readonly kind: 'garbage'; readonly bytes: Buffer; readonly key: string; readonly story: string }

/** A seller's or customer's facts, to be written to the context topic before the events. */
export type DemoContext = {
  readonly entity: 'seller' | 'customer'
  readonly key: string
  readonly attributes: Readonly<Record<string, boolean | number>>
}

const SELLERS = 40
const CUSTOMERS = 30
/** Nothing is known of these, so that missing context is seen. */
const UNKNOWN_SELLER = 's-39'
const UNKNOWN_CUSTOMER = 'c-29'
const TRUSTED_SELLERS: ReadonlySet<string> = new Set(['s-7', 's-21'])
const BURST_SELLER = 's-13'
const BURST_EVERY = 120
const BURST_LENGTH = 30

export function demoContexts(): readonly DemoContext[] {
  const sellers = Array.from({ length: SELLERS }, (_, at) => `s-${at}`).filter((key) => key !== UNKNOWN_SELLER)
  const customers = Array.from({ length: CUSTOMERS }, (_, at) => `c-${at}`).filter((key) => key !== UNKNOWN_CUSTOMER)
  return [
    ...sellers.map((key, at) => ({
      entity: 'seller' as const,
      key,
      attributes: { trusted: TRUSTED_SELLERS.has(key), rating: 2 + (at % 7) / 2, listings: 5 + at * 3 },
    })),
    ...customers.map((key, at) => ({
      entity: 'customer' as const,
      key,
      attributes: { refundsThisYear: at % 6, vip: at % 11 === 0 },
    })),
  ]
}

/**
 * The demo's events without end: a moderation model that flags and removes listings and a support model that refunds,
 * with scores that claim more than they hold, a burst from one seller, repeats, conflicts and garbage. The same seed and
 * `run` give the same items but for their times, which `now` gives in milliseconds since 1970.
 */
export function* demoItems(seed: number, run: string, now: () => number): Generator<DemoItem, never> {
  const random = seededRandom(seed)
  const recent: ModelOutput[] = []
  for (let n = 0; ; n++) {
    const item = nextItem(random, n, `${run}-${n}`, now(), recent)
    if (item.kind === 'event' && item.story === 'ordinary') recent.push(item.event)
    if (recent.length > 50) recent.shift()
    yield item
  }
}

function nextItem(random: Random, n: number, id: string, now: number, recent: readonly ModelOutput[]): DemoItem {
  if (n % BURST_EVERY >= BURST_EVERY - BURST_LENGTH) {
    return keyed(flag(random, id, now, BURST_SELLER), 'burst from one seller')
  }
  const odd = oddItem(random, id, now, recent, random())
  if (odd !== null) return odd
  const kind = random()
  if (kind < 0.6) return keyed(flag(random, id, now, seller(random)), 'ordinary')
  if (kind < 0.78) return keyed(removal(random, id, now, seller(random)), 'ordinary')
  return keyed(refund(random, id, now), 'ordinary')
}

/** About one in ten is not as it should be. */
function oddItem(
  random: Random,
  id: string,
  now: number,
  recent: readonly ModelOutput[],
  dice: number,
): DemoItem | null {
  const earlier = recent[Math.floor(random() * recent.length)]
  if (dice < 0.03 && earlier !== undefined) return keyed(earlier, 'sent again')
  if (dice < 0.04 && earlier !== undefined) return keyed({ ...earlier, confidence: 0.99 }, 'same id, another payload')
  const event = flag(random, id, now, seller(random))
  if (dice < 0.05) return keyed({ ...event, confidence: NaN }, 'score is not a number')
  if (dice < 0.06) return keyed({ ...event, confidence: null }, 'no score')
  if (dice < 0.065) return keyed({ ...event, confidence: 1.7 }, 'score out of range')
  if (dice < 0.07) return keyed({ ...event, action: 'listing.purge' }, 'unknown action')
  if (dice < 0.075) return keyed({ ...event, expiresAt: now - 1000 }, 'expired')
  if (dice < 0.08) return keyed({ ...event, time: now + 3_600_000 }, 'an hour ahead')
  if (dice < 0.085) return { kind: 'event', event, key: null, story: 'no key' }
  if (dice < 0.1) return { kind: 'garbage', bytes: garbage(random), key: 'garbage', story: 'garbage bytes' }
  return null
}

const keyed = (event: ModelOutput, story: string): DemoItem => ({
  kind: 'event',
  event,
  key: event.subject.owner ?? event.subject.id,
  story,
})

const seller = (random: Random): string => `s-${Math.floor(random() * SELLERS)}`

/** The model claims more than it holds: right with chance p, it says about 1 − (1 − p)². */
const claimed = (random: Random): number => Math.round((1 - between(random, 0, 1) ** 2) * 10_000) / 10_000

function moderation(random: Random, id: string, now: number, owner: string): Omit<ModelOutput, 'action'> {
  return {
    id,
    source: '/moderation/eu',
    tenant: 'marketplace',
    time: now,
    expiresAt: null,
    model: { name: 'moderation', version: '3' },
    subject: { type: 'listing', id: `l-${Math.floor(random() * 5000)}`, owner },
    actor: null,
    confidence: claimed(random),
    scoreKind: 'probability',
    attributes: { seller: owner, category: pick(random, ['toys', 'phones', 'garden', 'books']) },
    payload: null,
  }
}

const flag = (random: Random, id: string, now: number, owner: string): ModelOutput => ({
  ...moderation(random, id, now, owner),
  action: 'listing.flag',
})

const removal = (random: Random, id: string, now: number, owner: string): ModelOutput => ({
  ...moderation(random, id, now, owner),
  action: 'listing.remove',
})

function refund(random: Random, id: string, now: number): ModelOutput {
  const customer = `c-${Math.floor(random() * CUSTOMERS)}`
  return {
    id,
    source: '/support/chat',
    tenant: 'marketplace',
    time: now,
    expiresAt: now + 600_000,
    model: { name: 'support', version: '12' },
    action: 'refund.issue',
    subject: { type: 'order', id: `o-${Math.floor(random() * 90_000)}`, owner: customer },
    actor: customer,
    confidence: claimed(random),
    scoreKind: 'probability',
    attributes: { customer, amount: Math.round(between(random, 3, 260) * 100) / 100, currency: 'EUR' },
    payload: null,
  }
}

/** Four ways not to be a record: no wire format, an unknown schema, a body cut short, a hostile block count. */
function garbage(random: Random): Buffer {
  const cases: readonly [Buffer, ...Buffer[]] = [
    Buffer.from('{"action":"listing.remove"}'),
    Buffer.from([0, 0x7f, 0xff, 0xff, 0xf0, 1, 2, 3]),
    Buffer.from([0, 0, 0]),
    Buffer.alloc(0),
  ]
  return pick(random, cases)
}
