import type { ContextValue } from '../../src/decision/facts.ts'
import type { ModelOutput } from '../../src/decision/event.ts'
import { between, pick, seededRandom } from '../../src/commands/demo/random.ts'
import type { Random } from '../../src/commands/demo/random.ts'

const SELLERS = 2000

/** What is known of every seller; every fiftieth is trusted, every twentieth very well rated. */
export function sellers(now: number): readonly { readonly key: string; readonly value: ContextValue }[] {
  return Array.from({ length: SELLERS }, (_, at) => ({
    key: sellerOf(at),
    value: {
      source: '/bench',
      version: 1,
      time: now,
      attributes: { trusted: at % 50 === 0, rating: at % 20 === 0 ? 4.8 : 2 + (at % 5) / 2, listings: at * 3 },
    },
  }))
}

const sellerOf = (at: number): string => `seller-${at}`

/** Events without end, about 340 bytes of Avro each: of 100 about 68 are executed, 20 reviewed and 12 rejected. */
export function* benchEvents(seed: number, now: number): Generator<ModelOutput, never> {
  const random = seededRandom(seed)
  for (let n = 0; ; n++) yield eventOf(random, `${seed}-${String(n).padStart(8, '0')}-c7a4-4e0b-9d53`, now)
}

function eventOf(random: Random, id: string, now: number): ModelOutput {
  const seller = sellerOf(Math.floor(random() * SELLERS))
  return {
    id,
    source: '/moderation/eu',
    tenant: 'marketplace',
    time: now,
    expiresAt: null,
    model: { name: 'moderation', version: '3' },
    action: 'listing.flag',
    subject: { type: 'listing', id: `l-${Math.floor(random() * 500_000)}`, owner: seller },
    actor: null,
    confidence: scoreOf(random),
    scoreKind: 'probability',
    attributes: {
      seller,
      category: pick(random, ['toys', 'phones', 'garden', 'books']),
      price: Math.round(between(random, 1, 900) * 100) / 100,
      title: 'Espresso machine, two groups, little used, with grinder and a box of spare gaskets',
    },
    payload: Buffer.from('{"listing":{"pictures":3,"reports":2,"language":"en","region":"eu-west"}}'),
  }
}

/** Raw scores as the calibration table wants them: 0.84 and above executes, below 0.36 rejects. */
function scoreOf(random: Random): number {
  const dice = random()
  const score = dice < 0.7 ? between(random, 0.85, 1) : dice < 0.88 ? between(random, 0.4, 0.83) : random() * 0.35
  return Math.round(score * 10_000) / 10_000
}
