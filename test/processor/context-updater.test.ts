import { expect, test } from 'vitest'
import { runContextUpdater } from '../../src/processor/context-updater.ts'
import type { ContextFeed, ContextSlice, ContextStore } from '../../src/processor/context-updater.ts'
import type { Timer } from '../../src/processor/ports.ts'

const timer: Timer = { now: () => 0, sleep: () => new Promise((resolve) => setTimeout(resolve, 1)) }

/** A store that knows only how far it got, and can be made to forget or to be away. */
function fakeStore() {
  const next = new Map<number, number>()
  const applied: string[] = []
  const it = { away: false, next, applied }
  const store: ContextStore = {
    positions: async () => (it.away ? { kind: 'unavailable' } : { kind: 'positions', next: new Map(next) }),
    apply: async ({ partition, from, next: after, updates }) => {
      if (it.away) return { kind: 'unavailable' }
      const known = next.get(partition)
      if (from !== null && (known === undefined || known < from)) return { kind: 'behind' }
      applied.push(...updates.map(({ hash }) => hash))
      next.set(partition, after)
      return { kind: 'applied' }
    },
  }
  return { ...it, store, setAway: (away: boolean) => (it.away = away) }
}

/** One partition with as many records as `log` has, two to a slice. */
const feedOf =
  (log: readonly string[]): ContextFeed =>
  async (from, accept, signal) => {
    let at = from.get(0) ?? 0
    while (!signal.aborted) {
      const next = Math.min(at + 2, log.length)
      const updates = log.slice(at, next).map((hash, n) => ({ offset: at + n, hash, value: null }))
      const slice: ContextSlice = { partition: 0, from: at, next, updates }
      if (next > at) await accept(slice)
      at = next
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }

async function running(log: readonly string[], fake: ReturnType<typeof fakeStore>, during: () => Promise<void>) {
  const stop = new AbortController()
  const updater = runContextUpdater(fake.store, feedOf(log), timer, stop.signal)
  await during()
  stop.abort()
  await updater
}

const LOG = ['a', 'b', 'c', 'd', 'e']

test('everything in the topic is applied, in order, once', async () => {
  const fake = fakeStore()
  await running(LOG, fake, async () => {
    await expect.poll(() => fake.next.get(0), { interval: 1 }).toBe(5)
  })
  expect(fake.applied).toEqual(LOG)
})

test('it goes on where state says it got to', async () => {
  const fake = fakeStore()
  fake.next.set(0, 3)
  await running(LOG, fake, async () => {
    await expect.poll(() => fake.next.get(0), { interval: 1 }).toBe(5)
  })
  expect(fake.applied).toEqual(['d', 'e'])
})

test('a slice waits while state is away, and is not skipped', async () => {
  const fake = fakeStore()
  await running(LOG, fake, async () => {
    fake.setAway(true)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(fake.applied.length).toBeLessThan(5)
    fake.setAway(false)
    await expect.poll(() => fake.next.get(0), { interval: 1 }).toBe(5)
  })
  expect(fake.applied).toEqual(LOG)
})

test('when state has forgotten, everything is applied again though nothing new comes', async () => {
  const fake = fakeStore()
  await running(LOG, fake, async () => {
    await expect.poll(() => fake.next.get(0), { interval: 1 }).toBe(5)
    fake.next.clear()
    await expect.poll(() => fake.applied.length, { interval: 1 }).toBe(10)
  })
  expect(fake.applied).toEqual([...LOG, ...LOG])
})
