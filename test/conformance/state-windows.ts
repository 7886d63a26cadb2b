import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Grant, Observation } from '../../src/processor/ports.ts'
import { blast, Caller, DAY, HOUR, velocity, some } from './state-caller.ts'
import type { StateSubject, Wish } from './state-caller.ts'

const counts = (observations: readonly Observation[], limit = 'velocity'): (number | undefined)[] =>
  observations.map((it) => it.counters.get(limit))
const granted = (grants: readonly Grant[]): boolean[] => grants.map((it) => it.granted)

/** What the windows of limits promise, whatever follows on what. */
export function windowConformance(name: string, open: () => Promise<StateSubject>): void {
  describe(`${name} counts in windows`, () => {
    let subject: StateSubject
    let caller: Caller

    beforeEach(async () => {
      subject = await open()
      caller = new Caller(subject.store)
    })
    afterEach(() => subject.close())

    test('a window never under-counts, and over-counts by less than one sixteenth of itself', async () => {
      const gaps = fc.array(fc.integer({ min: 0, max: 15_000 }), { minLength: 5, maxLength: 40 })
      const windows = fc.constantFrom(10_000, 16_001, 99_999)
      await fc.assert(
        fc.asyncProperty(gaps, windows, async (steps, windowMs) => {
          await subject.flush()
          await caller.own()
          const times: number[] = []
          for (const [offset, step] of steps.entries()) {
            await subject.advance(step)
            const [seen] = await caller.observe(offset, [{ counters: [velocity('w', windowMs)] }])
            const within = (ms: number): number => times.filter((it) => it >= seen!.now - ms).length
            const count = seen!.counters.get('velocity')!
            expect(count).toBeGreaterThanOrEqual(within(windowMs))
            expect(count).toBeLessThanOrEqual(within(windowMs + Math.ceil(windowMs / 16)))
            times.push(seen!.now)
          }
        }),
        { numRuns: 20 },
      )
    })

    test('a limit whose window is changed keeps what it counted', async () => {
      await caller.own()
      await caller.observe(0, some(5, { counters: [velocity('a', HOUR)] }))
      await subject.advance(1000)
      const longer = await caller.observe(5, some(1, { counters: [velocity('a', DAY)] }))
      await subject.advance(1000)
      const shorter = await caller.observe(6, some(1, { counters: [velocity('a', 2 * HOUR)] }))
      expect(counts([...longer, ...shorter])).toEqual([5, 6])
    })

    test('a limit that is narrowed still counts all that lies in its window', async () => {
      await caller.own()
      await subject.advance(40 * 60_000)
      await caller.observe(0, some(1, { counters: [velocity('n', 16 * HOUR)] }))
      await subject.advance(50 * 60_000)
      expect(counts(await caller.observe(1, some(1, { counters: [velocity('n', HOUR)] })))).toEqual([1])
    })

    test('counts outlast a shorter window in between, as when a policy is rolled back', async () => {
      await caller.own()
      await caller.observe(0, some(10, { counters: [velocity('r', HOUR)] }))
      await subject.advance(5 * 60_000)
      const shorter = await caller.observe(10, some(2, { counters: [velocity('r', 60_000)] }))
      await subject.advance(10_000)
      const longer = await caller.observe(12, some(1, { counters: [velocity('r', HOUR)] }))
      expect(counts([...shorter, ...longer])).toEqual([0, 1, 12])
    })

    test('places outlast a shorter window in between', async () => {
      await caller.own()
      const long = { counters: [blast('r', 10)] }
      const short = { counters: [{ ...blast('r', 10), windowMs: 60_000 }] }
      await caller.observe(0, some(10, long))
      await caller.reserve(0, some(10, long))
      await subject.advance(6 * 60_000)
      await caller.observe(10, [short])
      expect(granted(await caller.reserve(10, [short]))).toEqual([true])
      const [seen] = await caller.observe(11, [long])
      expect([seen!.counters.get('blast'), granted(await caller.reserve(11, [long]))]).toEqual([11, [false]])
    })

    test('a longer window is kept once it was asked for, and a shorter one is taken once it no longer is', async () => {
      await caller.own()
      const [long, short] = [HOUR, 60_000].map((windowMs) => ({ counters: [velocity('l', windowMs)] }))
      await caller.observe(0, some(10, short))
      await subject.advance(5000)
      await caller.observe(10, some(1, long))
      await subject.advance(10 * 60_000)
      expect(counts(await caller.observe(11, [short!, long!]))).toEqual([0, 12])
      await subject.advance(40 * 60_000)
      expect(counts(await caller.observe(13, [long!]))).toEqual([13])
      const later: number[] = []
      for (let offset = 14; offset < 90; offset++) {
        await subject.advance(65_000)
        const [seen] = await caller.observe(offset, [short!])
        later.push(seen!.counters.get('velocity')!)
      }
      expect(Math.max(...later)).toBeLessThanOrEqual(5)
      expect(later.slice(-5)).toEqual([0, 0, 0, 0, 0])
    })

    test('different windows in one call see one counter, each as much of it as it reaches', async () => {
      await caller.ownAll(new Map([0, 1].map((it) => [it, { start: 0, committed: null }])))
      let events = 0
      const of = (...windows: readonly number[]): Wish[] =>
        windows.map((it) => ({ counters: [velocity('c', it)], actionKey: `c-${events++}` }))
      await caller.observe(0, of(DAY, DAY))
      await subject.advance(5 * HOUR)
      const ranges = [
        caller.range(2, of(60_000, HOUR, DAY, 60_000)),
        caller.range(0, of(60_000, DAY), { partition: 1 }),
      ]
      const answer = await caller.ask(ranges)
      if (answer.kind !== 'observed') throw new Error(answer.kind)
      const seen = [0, 1].map((it) => counts([...answer.observations.get(it)!.values()]))
      expect(seen).toEqual([
        [0, 1, 4, 3],
        [4, 7],
      ])
    })

    test('whatever the order of windows, none under-counts what came since it was first asked for', async () => {
      const windows = [10_000, 10_000, 16_001, 99_999] as const
      const call = fc.record({ stepMs: fc.integer({ min: 0, max: 25_000 }), windowMs: fc.constantFrom(...windows) })
      await fc.assert(
        fc.asyncProperty(fc.array(call, { minLength: 10, maxLength: 60 }), async (calls) => {
          await subject.flush()
          await caller.own()
          const made: { readonly at: number; readonly windowMs: number }[] = []
          for (const [offset, { stepMs, windowMs }] of calls.entries()) {
            await subject.advance(stepMs)
            const [seen] = await caller.observe(offset, [{ counters: [velocity('o', windowMs)] }])
            const count = seen!.counters.get('velocity')!
            const from = rememberedFrom(made, seen!.now, windowMs)
            expect(count).toBeGreaterThanOrEqual(made.filter(({ at }) => at >= from).length)
            // A count lies in a bucket of its own window, and in one of the widest.
            const widest = Math.ceil(99_999 / 16)
            const most = made.filter(({ at }) => at >= seen!.now - windowMs - 2 * widest)
            expect(count).toBeLessThanOrEqual(most.length)
            made.push({ at: seen!.now, windowMs })
          }
        }),
        { numRuns: 30 },
      )
    })

    test('limits and kinds do not mix', async () => {
      await caller.own()
      const asked = [velocity('a'), velocity('b'), { ...velocity('a'), count: 'executions' as const, limit: 'other' }]
      const [, second] = await caller.observe(0, some(2, { counters: asked.slice(0, 1) }))
      const [third] = await caller.observe(2, [{ counters: asked.slice(1) }])
      expect([second!.counters, third!.counters]).toEqual([
        new Map([['velocity', 1]]),
        new Map([
          ['velocity', 0],
          ['other', 0],
        ]),
      ])
    })

    test('an expiry in fractions of a millisecond is rounded up', async () => {
      await caller.own()
      const seen = await caller.observe(0, some(2, { actionKey: 'a', counters: [velocity('f', 1000.5)] }), {}, 1000.5)
      expect([counts(seen), seen[1]!.first !== null]).toEqual([[0, 1], true])
    })
  })
}

/** From when on a window knows all that was counted: as long as it, or a wider one, was never left out for its length. */
function rememberedFrom(
  made: readonly { readonly at: number; readonly windowMs: number }[],
  now: number,
  windowMs: number,
): number {
  let from = now
  for (const { at } of made.filter((it) => it.windowMs >= windowMs).toReversed()) {
    if (from - at > windowMs) break
    from = at
  }
  return Math.max(from, now - windowMs)
}
