import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Backlog } from '../../src/redis/backlog.ts'
import type { Segment } from '../../src/redis/segment.ts'

const segment = (from: number, next: number, partition = 0): Segment => ({
  partition,
  from,
  next,
  events: next - from,
  bytes: Buffer.alloc(0),
})
const runs = (segments: readonly Segment[]): string => segments.map((it) => `${it.from}-${it.next}`).join(' ')

function holding(...segments: readonly Segment[]): Backlog {
  const backlog = new Backlog(1000)
  for (const it of segments) backlog.add(it)
  return backlog
}

test.each([
  { held: [segment(0, 10), segment(10, 20)], before: 20, first: '0-10 10-20' },
  { held: [segment(0, 10), segment(10, 20)], before: 15, first: '0-10 10-15' },
  { held: [segment(0, 10), segment(10, 20)], before: 10, first: '0-10' },
  { held: [segment(0, 10), segment(5, 20)], before: 99, first: '0-5 5-20' },
  { held: [segment(0, 10), segment(10, 20), segment(3, 7)], before: 99, first: '0-3 3-7' },
  { held: [segment(0, 10), segment(20, 30)], before: 99, first: '0-10 20-30' },
  { held: [], before: 99, first: '' },
])('what was read anew replaces what was held: $first', ({ held, before, first }) => {
  expect(runs(holding(...held).first(0, before, 1000))).toBe(first)
})

test.each([
  { held: [segment(4, 10), segment(10, 20)], start: 20, from: 4 },
  { held: [segment(4, 10), segment(10, 20)], start: 12, from: 4 },
  { held: [segment(4, 10), segment(10, 20)], start: 21, from: null },
  { held: [segment(4, 10), segment(11, 20)], start: 20, from: null },
  { held: [segment(4, 10)], start: 4, from: null },
  { held: [], start: 4, from: null },
])('reaches to $start from $from', ({ held, start, from }) => {
  expect(holding(...held).startOf(0, start)).toBe(from)
})

test('too much is forgotten whole, empty runs too', () => {
  const backlog = new Backlog(20)
  backlog.add(segment(0, 10))
  backlog.add(segment(0, 9, 1))
  expect(backlog.events).toBe(0)
  for (let offset = 0; offset < 21; offset++) backlog.add({ ...segment(offset, offset + 1), events: 0 })
  expect(backlog.events).toBe(0)
})

test('telling chunk after chunk comes to an end and tells every offset once, in order', () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 100 }), (sizes, chunk, cut) => {
      const backlog = new Backlog(10_000)
      let end = 0
      for (const size of sizes) backlog.add(segment(end, (end += size)))
      const limit = Math.min(cut, end)
      const told: number[] = []
      for (let steps = 0; steps <= 100; steps++) {
        const part = backlog.first(0, limit, chunk)
        if (part.length === 0) break
        for (const it of part) for (let offset = it.from; offset < it.next; offset++) told.push(offset)
        backlog.settle(0, part.at(-1)!.next)
      }
      expect(told).toEqual(Array.from({ length: limit }, (_, n) => n))
      backlog.forget(0)
      expect(backlog.events).toBe(0)
    }),
  )
})
