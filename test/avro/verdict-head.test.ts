import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { VERDICT_HEAD } from '../../src/avro/schemas.ts'
import { writeVerdictHead } from '../../src/avro/verdict-head.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { valueOf } from './arbitrary.ts'
import { verdict } from './samples.ts'

const OFFSET = 5

function headOf(value: Verdict): Buffer | null {
  const into = Buffer.alloc(64 * 1024)
  const end = writeVerdictHead(value, into, OFFSET)
  return end < 0 ? null : into.subarray(OFFSET, end)
}

type Facts = Verdict['facts']
const withContext = (value: unknown): Verdict => ({
  ...verdict,
  facts: {
    ...verdict.facts,
    context: [{ name: 'seller', key: 'k', value: value as Facts['context'][number]['value'] }],
  },
})

describe('a verdict’s head', () => {
  test('has avsc’s bytes, whatever is in it', () => {
    expect(headOf(verdict)).toEqual(VERDICT_HEAD.toBuffer(verdict))
    fc.assert(
      fc.property(valueOf(VERDICT_HEAD), (value) => {
        const written = headOf(value as Verdict)
        if (written !== null) expect(written).toEqual(VERDICT_HEAD.toBuffer(value))
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    '',
    'x'.repeat(95),
    'x'.repeat(96),
    'x'.repeat(97),
    'x'.repeat(20_000),
    'ü',
    `${'x'.repeat(90)}€`,
    '𝄞'.repeat(50),
  ])('has avsc’s bytes for text of any length and alphabet (%#)', (detail) => {
    const value: Verdict = {
      ...verdict,
      findings: [{ route: 'review', code: 'limit.exceeded', subject: null, detail }],
    }
    expect(headOf(value)).toEqual(VERDICT_HEAD.toBuffer(value))
  })

  test.each([0, -1, 63, 64, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 35, 2 ** 52 - 1, -(2 ** 40)])(
    'has avsc’s bytes for %d',
    (now) => {
      const value: Verdict = { ...verdict, notAfter: now, facts: { ...verdict.facts, now } }
      expect(headOf(value)).toEqual(VERDICT_HEAD.toBuffer(value))
    },
  )

  test.each([
    ['a number beyond exact ones', withContext({ source: 's', version: 2 ** 53, time: 1, attributes: {} })],
    ['a fraction where a whole number belongs', withContext({ source: 's', version: 1.5, time: 1, attributes: {} })],
    ['a context without a source', withContext({ version: 1, time: 1, attributes: {} })],
    ['a context whose source is no text', withContext({ source: 7, version: 1, time: 1, attributes: {} })],
    ['attributes that are none', withContext({ source: 's', version: 1, time: 1, attributes: null })],
    ['a list for attributes', withContext({ source: 's', version: 1, time: 1, attributes: [1] })],
    ['an attribute that is a list', withContext({ source: 's', version: 1, time: 1, attributes: { a: [] } })],
    ['half a character', withContext({ source: '\ud800', version: 1, time: 1, attributes: {} })],
    ['a route that there is not', { ...verdict, route: 'later' } as unknown as Verdict],
    ['more than there is room for', withContext({ source: 'x'.repeat(70_000), version: 1, time: 1, attributes: {} })],
  ])('leaves %s to avsc', (_, value) => {
    expect(headOf(value)).toBeNull()
  })
})
