import { describe, expect, test } from 'vitest'
import { countedTwice, recount } from './recount.ts'
import type { Mark } from './recount.ts'

/** A proposal of its own on the counter `p1`, decided with whole state. */
const mark = (offset: number, more: Partial<Mark> = {}): Mark => ({
  partition: 0,
  offset,
  actionKey: `key-${offset}`,
  digest: `digest-${offset}`,
  state: 'ok',
  now: offset,
  first: null,
  firstDigest: null,
  proposed: ['p1'],
  executed: [],
  granted: [],
  found: [],
  ...more,
})
const repeatOf = (offset: number): Partial<Mark> => ({
  actionKey: `key-${offset}`,
  digest: `digest-${offset}`,
  first: `t:0:${offset}`,
  firstDigest: `digest-${offset}`,
})
const stored = (counts: Record<string, number>) => new Map(Object.entries(counts))

describe('the recount', () => {
  const blind = { state: 'unavailable', first: null } as const
  const cases: readonly (readonly [
    what: string,
    marks: readonly Mark[],
    redis: number,
    drift: number,
    explained: number,
  ])[] = [
    ['each counts once', [mark(0), mark(1)], 2, 0, 0],
    ['one too few in Redis', [mark(0), mark(1)], 1, 1, 0],
    ['one too many in Redis', [mark(0), mark(1)], 3, 1, 0],
    ['a repeat does not count', [mark(0), mark(1, repeatOf(0))], 1, 0, 0],
    ['a conflict counts', [mark(0), mark(1, { ...repeatOf(0), digest: 'other' })], 2, 0, 0],
    ['what was decided without state counts', [mark(0), mark(1, blind)], 2, 0, 0],
    ['a repeat decided without state does not', [mark(0), mark(1, { ...repeatOf(0), ...blind })], 2, 1, 0],
    ['too few is wrong whatever was lost', [mark(0), mark(1, { state: 'lost' })], 1, 1, 0],
  ]
  test.each(cases)('%s', (_, marks, redis, drift, explained) => {
    expect(recount(marks, stored({ p1: redis }), 't')).toMatchObject({ drift, explained, wrongFirst: [] })
  })

  test('a place that was granted counts, and one without an answer may', () => {
    const granted = mark(0, { proposed: [], executed: ['e1'], granted: ['e1'] })
    const away = mark(1, { proposed: [], executed: ['e1'], state: 'unavailable' })
    expect(recount([granted, away], stored({ e1: 1 }), 't')).toMatchObject({ drift: 0, explained: 0 })
    expect(recount([granted, away], stored({ e1: 2 }), 't')).toMatchObject({ drift: 0, explained: 1 })
    expect(recount([granted, away], stored({ e1: 3 }), 't')).toMatchObject({ drift: 2 })
    expect(recount([granted, away], stored({}), 't')).toMatchObject({ drift: 1 })
  })

  test('what was set aside unread may be counted, and repeated until it is forgotten', () => {
    const unread = new Set(['t:0:0'])
    const again = mark(3, { actionKey: 'key-0', digest: 'digest-0' })
    const after = mark(4, { ...repeatOf(0), first: 't:0:3' })
    const marks = [mark(1, repeatOf(0)), mark(2, repeatOf(0))]
    expect(recount(marks, stored({}), 't', unread)).toMatchObject({ drift: 0, explained: 0, wrongFirst: [] })
    expect(recount(marks, stored({ p1: 1 }), 't', unread)).toMatchObject({ drift: 0, explained: 1, wrongFirst: [] })
    expect(recount(marks, stored({ p1: 2 }), 't', unread)).toMatchObject({ drift: 2 })
    const forgotten = [...marks, again, after]
    expect(recount(forgotten, stored({ p1: 1 }), 't', unread)).toMatchObject({ drift: 0, explained: 0, wrongFirst: [] })
    expect(recount(marks, stored({}), 't').wrongFirst).toEqual(['t:0:1: t:0:0', 't:0:2: t:0:0'])
  })

  test('a repeat must name the first event of its key', () => {
    const misjudged = mark(1, { ...repeatOf(0), first: null })
    expect(recount([mark(0), misjudged], stored({ p1: 1 }), 't').wrongFirst).toEqual(['t:0:1: null'])
  })
})

describe('numbers found', () => {
  const found = (before: number) => ({ found: [{ key: 'p1', before }] })

  test('twice in one epoch: one of the two was not counted', () => {
    expect(countedTwice([mark(0, found(5)), mark(1, found(5))], [])).toHaveLength(1)
    expect(countedTwice([mark(0, found(5)), mark(1, found(6))], [])).toEqual([])
  })

  test('again in the next epoch, or with lost state: nothing wrong', () => {
    expect(countedTwice([mark(10, found(5)), mark(30, found(5))], [20])).toEqual([])
    expect(countedTwice([mark(10, found(5)), mark(30, { ...found(5), state: 'lost' })], [])).toEqual([])
  })
})
