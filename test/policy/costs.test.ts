import { expect, test } from 'vitest'
import type { Attributes } from '../../src/decision/event.ts'
import { sampleEvent } from '../decision/samples.ts'
import { policyOf } from './scope.ts'
import { policyText } from './written.ts'

const COSTS = 'costs: { wrongExecution: "COST", wrongReject: 15, review: 4 }'
const lossOf = (expression: string, attributes: Attributes) => {
  const actions = `actions:\n  a: { undo: reversible, confidence: { calibrated: required }, ${COSTS.replace('COST', expression)} }\n`
  const { actions: rules } = policyOf(policyText({ actions, context: '', limits: '', rules: '' }))
  return rules.get('a')?.costs?.wrongExecution(sampleEvent({ attributes }))
}

test.each<[string, Attributes, object]>([
  ['event.attributes.amount', { amount: 120 }, { kind: 'value', amount: 120 }],
  ['event.attributes.amount * 1.5 + 10.0', { amount: 100 }, { kind: 'value', amount: 160 }],
  ['200', {}, { kind: 'value', amount: 200 }],
  ['2 * 3', {}, { kind: 'value', amount: 6 }],
  ['event.attributes.amount > 50.0 ? 10.0 : 1.0', { amount: 60 }, { kind: 'value', amount: 10 }],
  ['event.attributes.amount', { amount: -1 }, { kind: 'value', amount: -1 }],
  ['event.attributes.amount', {}, { kind: 'failed', why: 'there is no `amount`' }],
  ['event.attributes.amount', { amount: null }, { kind: 'failed', why: 'it is no number' }],
  ['event.attributes.amount', { amount: '12' }, { kind: 'failed', why: 'it is no number' }],
  ['event.attributes.amount * 2.0', { amount: '12' }, { kind: 'failed' }],
  ['event.attributes.amount', { amount: Number.NaN }, { kind: 'failed', why: expect.stringMatching(/number|finite/) }],
  ['event.attributes.amount', { constructor: 'x', amount: 5 }, { kind: 'value', amount: 5 }],
])('%s over %j', (expression, attributes, expected) => {
  expect(lossOf(expression, attributes)).toMatchObject(expected)
})

test('an action has its own desk or shares the common one, whose reviews count as long as its window', () => {
  const actions = `actions:
  a: { undo: reversible, reviewCapacity: 400/8h }
  b: { undo: reversible }
  c: { undo: reversible }
reviewCapacity: 50/2d
`
  const policy = policyOf(policyText({ actions, context: '', limits: '', rules: '' }))
  expect(policy.desks).toMatchObject([
    { id: 'review:a', max: 400, windowMs: 8 * 3_600_000, actions: new Set(['a']) },
    { id: 'review:*', max: 50, windowMs: 48 * 3_600_000, actions: new Set(['b', 'c']) },
  ])
  expect(policy.longestWindowMs).toBe(48 * 3_600_000)
})

test('one expression serves one event after the other', () => {
  expect([1, 2, 3].map((amount) => lossOf('event.attributes.amount', { amount }))).toEqual(
    [1, 2, 3].map((amount) => ({ kind: 'value', amount })),
  )
})
