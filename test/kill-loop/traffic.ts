import { setTimeout as delay } from 'node:timers/promises'
import { pick } from '../../src/commands/demo/random.ts'
import type { Random } from '../../src/commands/demo/random.ts'
import type { ModelOutput } from '../../src/decision/event.ts'
import { event } from '../scenarios/support/deployment.ts'
import type { Deployment } from '../scenarios/support/deployment.ts'

export type KillTraffic = {
  readonly sent: () => number
  /** Resolves to the positions of all records that were acknowledged. */
  readonly stop: () => Promise<readonly string[]>
}

/** How often a tick sends, milliseconds. */
const TICK_MS = 50

/** 10 % hostile bytes, 5 % repeated ids, 2 % conflicts, the rest ordinary; the same random numbers give the same. */
export function startTraffic(deployment: Deployment, perSecond: number, random: Random): KillTraffic {
  const positions: string[] = []
  const recent: ModelOutput[] = []
  const stop = new AbortController()
  const running = (async () => {
    for (let owed = 0; !stop.signal.aborted; owed %= 1) {
      owed += (perSecond * TICK_MS) / 1000
      const items = Array.from({ length: Math.floor(owed) }, () => nextItem(random, recent))
      positions.push(...(await Promise.all(items.map((it) => sendOne(it, deployment)))))
      await delay(TICK_MS)
    }
  })()
  return {
    sent: () => positions.length,
    stop: async () => {
      stop.abort()
      await running
      return positions
    },
  }
}

type Item = ModelOutput | Buffer

function nextItem(random: Random, recent: ModelOutput[]): Item {
  const dice = random()
  if (dice < 0.1) return pick(random, [Buffer.from('garbage'), Buffer.from([0, 0, 0, 0, 99, 1]), Buffer.alloc(0)])
  const earlier = recent[Math.floor(random() * recent.length)]
  if (dice < 0.15 && earlier !== undefined) return earlier
  if (dice < 0.17 && earlier !== undefined) return { ...earlier, confidence: 0.99 }
  const item = event({
    confidence: random(),
    action: pick(random, ['item.flag', 'item.flag', 'item.hide', 'item.sell']),
  })
  recent.push(item)
  if (recent.length > 500) recent.shift()
  return item
}

async function sendOne(item: Item, deployment: Deployment): Promise<string> {
  if (Buffer.isBuffer(item)) return await deployment.put(item, { key: `g-${item.length}` })
  const [position] = await deployment.send([item])
  if (position === undefined) throw new Error('an event was sent and its place is not known')
  return position
}
