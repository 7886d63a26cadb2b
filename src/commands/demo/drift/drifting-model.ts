import type { ModelOutput } from '../../../decision/event.ts'
import { pick, seededRandom } from '../random.ts'
import type { Random } from '../random.ts'

/** A proposal of the drift demo's model, and what only the world knows: whether it would be right to follow it. */
export type Proposal = { readonly event: ModelOutput; readonly right: boolean }

export const DRIFTING = {
  model: { name: 'support', version: '7' },
  action: 'ticket.close',
  scoreKind: 'verbal',
} as const

type Level = {
  readonly stated: number
  /** Of all proposals. */
  readonly share: number
  readonly wrongBefore: number
  readonly wrongAfter: number
}

/**
 * Confidence as language models state it: in round steps, and too high. Before it drifts only the two highest steps keep a
 * promise of 5 % errors; from 0.85 up it is 8 %. Then it errs far more, and states the same.
 */
const LEVELS: readonly [Level, ...Level[]] = [
  { stated: 0.99, share: 0.3, wrongBefore: 0.004, wrongAfter: 0.13 },
  { stated: 0.95, share: 0.25, wrongBefore: 0.012, wrongAfter: 0.18 },
  { stated: 0.9, share: 0.18, wrongBefore: 0.22, wrongAfter: 0.38 },
  { stated: 0.85, share: 0.12, wrongBefore: 0.22, wrongAfter: 0.42 },
  { stated: 0.8, share: 0.07, wrongBefore: 0.28, wrongAfter: 0.5 },
  { stated: 0.7, share: 0.05, wrongBefore: 0.35, wrongAfter: 0.5 },
  { stated: 0.5, share: 0.03, wrongBefore: 0.5, wrongAfter: 0.6 },
]

/**
 * The proposals of a run without end. From the one with the number `driftAt`, counted from 0, the model errs more. The same
 * seed gives the same confidences and the same truth; `now` gives the times, in milliseconds since 1970.
 */
export function* driftingModel(
  seed: number,
  run: string,
  driftAt: number,
  now: () => number,
): Generator<Proposal, never> {
  const random = seededRandom(seed)
  for (let number = 0; ; number++) {
    const { stated, wrongBefore, wrongAfter } = levelOf(random())
    const right = random() >= (number < driftAt ? wrongBefore : wrongAfter)
    yield { event: eventOf(random, `${run}-${number}`, stated, now()), right }
  }
}

function levelOf(dice: number): Level {
  let left = dice
  for (const level of LEVELS) {
    if (left < level.share) return level
    left -= level.share
  }
  return LEVELS[0]
}

const eventOf = (random: Random, id: string, confidence: number, now: number): ModelOutput => ({
  id,
  source: '/support/tickets',
  tenant: 'marketplace',
  time: now,
  expiresAt: null,
  ...DRIFTING,
  subject: { type: 'ticket', id: `t-${id}`, owner: `c-${Math.floor(random() * 500)}` },
  actor: null,
  confidence,
  attributes: { language: pick(random, ['de', 'en', 'fr']) },
  payload: null,
})
