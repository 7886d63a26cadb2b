import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { claimOf, inquire } from '../../src/decision/inquire.ts'
import { contextHashOf } from '../../src/decision/keys.ts'
import {
  PER_MODEL,
  PER_OWNER,
  sampleFacts,
  sampleLimit,
  sampleNeed,
  sampleOrder,
  samplePolicy,
  sampleReceived,
} from './samples.ts'

const policy = samplePolicy()
const keyOf = (event: Parameters<typeof sampleReceived>[0]) => inquire(sampleReceived(event), policy).actionKey

describe('inquire', () => {
  it('asks for the counters and contexts that cover the action, in the author’s order', () => {
    const names = (action: string) => {
      const { counters, context } = inquire(sampleReceived({ action }), policy)
      return [...counters.map(({ limit }) => limit), ...context.map(({ name }) => name)].join()
    }
    expect(names('listing.flag')).toBe('burst-per-seller,seller')
    expect(names('refund')).toBe('burst-per-seller,refunds-per-model')
    expect(names('cache.refresh')).toBe('')
  })

  it('asks nothing about an unknown action but whether the event came before', () => {
    const everything = samplePolicy({ limits: [sampleLimit('all')], context: [sampleNeed('seller')] })
    expect(inquire(sampleReceived({ action: 'constructor' }), everything)).toEqual({
      offset: 1842,
      actionKey: keyOf({}),
      digest: '00112233445566778899aabbccddeeff',
      counters: [],
      context: [],
    })
  })

  it('carries what a counter needs', () => {
    const [counter] = inquire(sampleReceived({ action: 'refund' }), policy).counters.slice(1)
    expect(counter).toEqual({
      limit: 'refunds-per-model',
      count: 'executions',
      key: expect.stringMatching(/^[0-9a-f]{32}$/),
      max: 3,
      windowMs: 3_600_000,
    })
  })

  it('derives the action key from tenant, source and id, each behind its length', () => {
    const framed = '6:market14:/moderation/eu3:e-1'
    expect(keyOf({})).toBe(createHash('sha256').update(framed).digest('hex').slice(0, 32))
  })

  it('never gives two proposals one key', () => {
    const part = fc.string({ unit: fc.constantFrom('a', ':', '1', '0', '-'), maxLength: 4 })
    const identity = fc.record({ tenant: part, source: part, id: part })
    fc.assert(
      fc.property(identity, identity, (a, b) => {
        const isSame = a.tenant === b.tenant && a.source === b.source && a.id === b.id
        expect(keyOf(a) === keyOf(b)).toBe(isSame)
      }),
      { numRuns: 2000 },
    )
  })

  it('counts apart by limit and by each value, and tells null from empty', () => {
    const keys = (owner: string | null, name: string) => {
      const per = [PER_OWNER, PER_MODEL]
      const two = samplePolicy({ limits: [sampleLimit('a', { per }), sampleLimit('b', { per })] })
      const event = { subject: { type: 'listing', id: 'l', owner }, model: { name, version: '1' } }
      return inquire(sampleReceived(event), two).counters.map(({ key }) => key)
    }
    const all = [...keys(null, ''), ...keys('', ''), ...keys('x', ''), ...keys('', 'x'), ...keys('-', '')]
    expect(new Set(all).size).toBe(10)
    expect(keys('x', 'y')).toEqual(keys('x', 'y'))
  })

  it('names no entity where the event names none', () => {
    expect(inquire(sampleReceived({ attributes: {} }), policy).context).toEqual([
      { name: 'seller', key: null, hash: null },
    ])
    expect(inquire(sampleReceived(), policy).context).toEqual([
      { name: 'seller', key: 's-93', hash: contextHashOf('seller', 's-93') },
    ])
    expect(contextHashOf('a', 'bc')).not.toBe(contextHashOf('ab', 'c'))
  })
})

describe('claimOf', () => {
  const refund = sampleReceived({ action: 'refund' })
  const inquiry = inquire(refund, policy)
  const claimed = (change: Parameters<typeof sampleFacts>[2]) =>
    claimOf(inquiry, sampleFacts(refund, policy, change))?.counters.map(({ limit, max }) => [limit, max])

  it('asks for places in execution limits only', () => {
    expect(claimed({})).toEqual([['refunds-per-model', 3]])
    expect(claimOf(inquire(sampleReceived(), policy), sampleFacts(sampleReceived(), policy))).toBeNull()
  })

  it('asks nothing of state that is away', () => expect(claimed({ state: 'unavailable' })).toBeUndefined())

  it('counts an exempted execution without a limit', () => {
    const exempt = sampleOrder({ kind: 'exempt', rule: 'refunds-per-model' })
    expect(claimed({ control: [exempt] })).toEqual([['refunds-per-model', Number.MAX_SAFE_INTEGER]])
    expect(claimed({ control: [{ ...exempt, expiresAt: null }] })).toEqual([['refunds-per-model', 3]])
  })
})
