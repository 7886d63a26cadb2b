import { describe, expect, it } from 'vitest'
import { controlProblem, covers, toFact, withdrawalOf } from '../../src/decision/control.ts'
import type { ControlOrder } from '../../src/decision/control.ts'
import { NOW, sampleEvent, sampleOrder } from './samples.ts'

const order = (change: Partial<ControlOrder> = {}): ControlOrder => ({
  ...sampleOrder(),
  tenant: null,
  model: null,
  action: null,
  actor: null,
  createdAt: NOW,
  ...change,
})

describe('covers', () => {
  it.each([
    [{}, true],
    [{ tenant: 'market', model: 'moderator', action: 'listing.flag', actor: 'u-5' }, true],
    [{ tenant: 'other' }, false],
    [{ model: 'other' }, false],
    [{ action: 'other' }, false],
    [{ actor: 'other' }, false],
    [{ tenant: '' }, false],
  ])('%j: %s', (scope, expected) => expect(covers(order(scope), sampleEvent())).toBe(expected))

  it('needs an actor where the order names one', () => {
    expect(covers(order({ actor: 'u-5' }), sampleEvent({ actor: null }))).toBe(false)
    expect(covers(order(), sampleEvent({ actor: null }))).toBe(true)
  })
})

it('a fact is the order without its scope', () => {
  expect(toFact(order({ tenant: 'market' }))).toEqual(sampleOrder())
})

it('a withdrawal is an order that can be put in force, the same whoever gives it', () => {
  const given = withdrawalOf('c'.repeat(32), { author: 'ada', reason: 'drift', createdAt: NOW })
  expect(controlProblem(given)).toBeNull()
  expect(covers(given, sampleEvent())).toBe(true)
  expect(given.id).toBe(`withdraw:${'c'.repeat(32)}`)
})

describe('controlProblem', () => {
  const withdrawal = { kind: 'force', route: 'review', certificate: 'c'.repeat(32) } as const
  const exempt = { kind: 'exempt', rule: 'burst', expiresAt: NOW } as const
  it.each<[Partial<ControlOrder>, RegExp | null]>([
    [{ kind: 'kill' }, null],
    [{ kind: 'kill', expiresAt: null }, null],
    [{ kind: 'force', route: 'review' }, null],
    [exempt, null],
    [{ ...exempt, route: 'execute' }, null],
    [{ id: '' }, /no id/],
    [{ kind: 'kill', route: 'execute' }, /kill order cannot route to execute/],
    [{ kind: 'force', route: 'execute' }, /force order cannot route to execute/],
    [{ ...exempt, rule: null }, /must name one rule or limit/],
    [{ ...exempt, rule: '' }, /must name one rule or limit/],
    [{ ...exempt, author: '' }, /must name its author/],
    [{ ...exempt, expiresAt: null }, /must expire/],
    [{ ...exempt, expiresAt: Number.NaN }, /must expire/],
    [{ ...withdrawal }, null],
    [{ ...withdrawal, expiresAt: null, model: 'moderator' }, null],
    [{ ...withdrawal, certificate: '' }, /no id of a certificate/],
    [{ ...withdrawal, certificate: 'x' }, /`x` is no id of a certificate/],
    [{ ...withdrawal, route: 'reject' }, /route review/],
    [{ ...withdrawal, kind: 'kill' }, /kind must be force/],
    [{ ...withdrawal, ...exempt }, /kind must be force/],
  ])('%j', (change, expected) => {
    const problem = controlProblem(order(change))
    if (expected === null) expect(problem).toBeNull()
    else expect(problem).toMatch(expected)
  })
})
