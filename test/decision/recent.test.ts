import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { inquire } from '../../src/decision/inquire.ts'
import { contextHashOf, counterKeyOf } from '../../src/decision/keys.ts'
import { Recent } from '../../src/decision/recent.ts'
import { PER_MODEL, PER_OWNER, sampleLimit, sampleNeed, samplePolicy, sampleReceived } from './samples.ts'

test('keeps what it is given, null among the keys, and forgets all of it when it is full', () => {
  const recent = new Recent<{ readonly n: number }>()
  for (let n = 0; n < 20_000; n++) expect(recent.keep(n === 0 ? null : `k${n}`, { n })).toEqual({ n })
  expect([recent.get(null), recent.get('k1'), recent.get('k19999')]).toEqual([{ n: 0 }, { n: 1 }, { n: 19_999 }])
  recent.keep('one more', { n: -1 })
  expect([recent.get(null), recent.get('k19999'), recent.get('one more')]).toEqual([undefined, undefined, { n: -1 }])
})

test('does not keep what has a long key', () => {
  const recent = new Recent<object>()
  const value = {}
  expect(recent.keep('x'.repeat(201), value)).toBe(value)
  expect(recent.get('x'.repeat(201))).toBeUndefined()
  expect(recent.keep('x'.repeat(200), value)).toBe(recent.get('x'.repeat(200)))
})

/** Inquiries remember; these say what they must have computed. */
test('an inquiry asks for the same whatever was asked before', () => {
  const limits = [
    sampleLimit('one', { per: [PER_OWNER] }),
    sampleLimit('two', { per: [PER_OWNER, PER_MODEL] }),
    sampleLimit('none', { per: [], max: 7 }),
  ]
  const policy = samplePolicy({ limits, context: [sampleNeed('seller'), sampleNeed('buyer')] })
  const name = fc.constantFrom('', 'a', 'b', '-', '1:a', 'a1:b', 'x'.repeat(300))
  const event = fc.record({ owner: fc.option(name), model: name, seller: fc.option(name) })
  fc.assert(
    fc.property(event, ({ owner, model, seller }) => {
      const received = sampleReceived({
        subject: { type: 'listing', id: 'l', owner },
        model: { name: model, version: '1' },
        attributes: { seller, buyer: model },
      })
      const { counters, context } = inquire(received, policy)
      expect(counters).toEqual(
        limits.map((limit) => ({
          limit: limit.id,
          count: 'proposals',
          key: counterKeyOf(limit, received.event),
          max: limit.max,
          windowMs: limit.windowMs,
        })),
      )
      expect(context).toEqual([
        { name: 'seller', key: seller, hash: seller === null ? null : contextHashOf('seller', seller) },
        { name: 'buyer', key: model, hash: contextHashOf('buyer', model) },
      ])
    }),
    { numRuns: 500 },
  )
})
