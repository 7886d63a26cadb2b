import { celEnv, isCelError, parse, plan, run, type CelInput } from '@bufbuild/cel'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AttributeValue } from '../../src/decision/event.ts'
import { NOW, sampleEvent } from '../decision/samples.ts'
import { CONDITIONS, FAILING } from './conditions.ts'
import { ATTRIBUTES, evaluate, ruleOf, sampleScope } from './scope.ts'

const other = (text: string): CelInput => {
  const value = run(text)
  if (isCelError(value)) expect.fail(value.message)
  return value
}

/** The sample scope for the other implementation: plain maps, counters as int, times as timestamps. */
function otherScope(): Record<string, CelInput> {
  const { id, source, tenant, action, actor, confidence, scoreKind, model, subject } = sampleEvent()
  const map = (record: object): CelInput => new Map(Object.entries(record))
  const at = (ms: number): CelInput => other(`timestamp("${new Date(ms).toISOString()}")`)
  const scalars = { id, source, tenant, action, actor, confidence, scoreKind, expiresAt: null, time: at(NOW - 2000) }
  return {
    event: map({ ...scalars, model: map(model), subject: map(subject), attributes: map(ATTRIBUTES) }),
    context: map({ seller: map({ trusted: true, rating: 4.5 }), free: map({ level: 3, plan: 'gold' }) }),
    counters: map({ burst: 21n, 'per-model': 0n }),
    now: at(NOW),
  }
}

describe('a condition', () => {
  test.each(CONDITIONS)('%s → %s', (when, holds) => {
    expect(evaluate(when)).toEqual({ kind: 'value', holds })
  })

  test.each(FAILING)('%s fails: %s', (when, why) => {
    expect(evaluate(when)).toEqual({ kind: 'failed', why })
  })
})

/** CEL: `has(e.f)` on a map says whether f is one of its keys. Not compared, since the other implementation differs. */
test('an attribute of null is there', () => {
  expect(evaluate('has(event.attributes.note)')).toEqual({ kind: 'value', holds: true })
})

describe('another implementation of CEL agrees', () => {
  const scope = otherScope()
  const evaluateThere = (when: string): unknown => plan(celEnv(), parse(when))(scope)

  test.each(CONDITIONS)('%s → %s', (when, holds) => {
    expect(evaluateThere(when)).toBe(holds)
  })

  test.each(FAILING)('%s fails there too', (when) => {
    expect(isCelError(evaluateThere(when))).toBe(true)
  })
})

describe('what is not a number cannot slip through a comparison that is then false', () => {
  const withAmount = (amount: AttributeValue) => sampleScope({ event: sampleEvent({ attributes: { amount } }) })

  test.each([Number.NaN, Infinity, -Infinity])('an attribute of %s', (amount) => {
    for (const when of ['event.attributes.amount > 100', 'has(event.attributes.amount) && event.attributes.amount > 1'])
      expect(evaluate(when, withAmount(amount))).toEqual({
        kind: 'failed',
        why: 'a number is not finite, or a time is out of range',
      })
  })

  test.each([Number.NaN, Infinity])('a fact of %s', (rating) => {
    const scope = sampleScope({
      context: new Map([
        ['seller', { rating }],
        ['free', { rating }],
      ]),
    })
    for (const when of ['context.seller.rating < 1.0', 'context.free.rating < 1.0'])
      expect(evaluate(when, scope)).toMatchObject({ kind: 'failed' })
  })

  test('a confidence of NaN, and a time beyond the calendar', () => {
    const scope = sampleScope({ event: sampleEvent({ confidence: Number.NaN, time: 9e15, expiresAt: -9e15 }) })
    for (const when of [
      'event.confidence < 0.5',
      'event.time < now',
      'event.expiresAt < now',
      'event.expiresAt == null',
    ])
      expect(evaluate(when, scope)).toMatchObject({ kind: 'failed' })
  })
})

describe('names that JavaScript gives a meaning are names like all others', () => {
  const attributes = Object.fromEntries(
    ['constructor', 'toString', '__proto__', 'hasOwnProperty'].map((name) => [name, name]),
  )
  Object.defineProperty(attributes, '__proto__', { value: '__proto__', enumerable: true })
  const scope = sampleScope({ event: sampleEvent({ attributes }), context: new Map([['free', attributes]]) })

  test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])('%s', (name) => {
    expect(evaluate(`event.attributes["${name}"] == "${name}"`, scope)).toEqual({ kind: 'value', holds: true })
    expect(evaluate(`context.free["${name}"] == "${name}"`, scope)).toEqual({ kind: 'value', holds: true })
    expect(evaluate(`"${name}" in event.attributes`, sampleScope())).toEqual({ kind: 'value', holds: false })
  })
})

test('a declared field of another type fails the rule instead of being taken for something', () => {
  const scope = sampleScope({ context: new Map([['seller', { trusted: 'yes', rating: null }]]) })
  expect(evaluate('context.seller.trusted', scope)).toMatchObject({ kind: 'failed' })
  expect(evaluate('context.seller.rating > 1.0', scope)).toMatchObject({ kind: 'failed' })
})

test('evaluation is total and pure, whatever the attributes are', () => {
  const value = fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null))
  const rules = [...CONDITIONS.map(([when]) => when), ...FAILING.map(([when]) => when)].map(ruleOf)
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('amount', 'currency', 'note', 'constructor'), value), (attributes) => {
      const scope = () =>
        sampleScope({ event: sampleEvent({ attributes }), context: new Map([['seller', attributes]]) })
      const first = rules.map((rule) => rule.evaluate(scope()))
      expect(
        rules
          .toReversed()
          .map((rule) => rule.evaluate(scope()))
          .toReversed(),
      ).toEqual(first)
    }),
    { numRuns: 50 },
  )
})

test('a rule names the contexts it reads, each once, however they are written', () => {
  const contextsOf = (when: string) => ruleOf(when).contexts
  expect(contextsOf('event.action == "x"')).toEqual([])
  expect(contextsOf('context.seller.trusted || context.seller.rating > 1.0')).toEqual(['seller'])
  expect(contextsOf('["a"].exists(x, x == context["free"].plan) && has(context.seller.tier)')).toEqual([
    'free',
    'seller',
  ])
})
