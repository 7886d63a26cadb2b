import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { duration, isoTime, quote, shorten } from '../../src/decision/words.ts'

describe('isoTime', () => {
  it('writes every time of the years 0 to 9999 as Date does', () => {
    const [min, max] = [Date.parse('0000-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59.999Z')]
    fc.assert(
      fc.property(fc.integer({ min, max }), (ms) => {
        expect(isoTime(ms)).toBe(new Date(ms).toISOString())
      }),
      {
        numRuns: 5000,
        examples: [[min], [max], [0], [-1], [Date.UTC(2000, 1, 29)], [Date.UTC(1900, 1, 28) + 86_399_999]],
      },
    )
  })

  it.each([Number.NaN, Infinity, 1e300, 0.5, Date.parse('9999-12-31T23:59:59.999Z') + 1])('%d stays a number', (ms) => {
    expect(isoTime(ms)).toBe(`${ms}`)
  })
})

it.each([
  [0, '0 ms'],
  [999, '999 ms'],
  [1000, '1 s'],
  [90_000, '1.5 min'],
  [3_600_000, '1 h'],
  [172_800_000, '2 d'],
  [-1500, '-1.5 s'],
  [Number.NaN, 'NaN ms'],
])('%d ms is %s', (ms, words) => expect(duration(ms)).toBe(words))

describe('shorten', () => {
  it('survives being written as UTF-8, wherever it cuts', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 20 }), (text, max) => {
        const short = shorten(text, max)
        expect(short.length).toBeLessThanOrEqual(max)
        expect(Buffer.from(short).toString()).toBe(short)
      }),
    )
  })

  it('quotes at most 80 characters', () => expect(quote('x'.repeat(1000))).toHaveLength(82))
})
