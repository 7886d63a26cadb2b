import { expect, test } from 'vitest'
import { CounterLedger } from '../../src/audit/counter-ledger.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { loadPolicy } from '../../src/policy/load-policy.ts'
import { event, policyText } from '../scenarios/support/deployment.ts'

const loaded = loadPolicy(policyText().replaceAll('window: 1s', 'window: 16m'), 'policy.yaml')
if (loaded.kind === 'problems') throw new Error('the policy has problems')
const { policy } = loaded
const MINUTE = 60_000

const told = (minute: number, before: number, state: 'ok' | 'lost' = 'ok'): Verdict =>
  ({
    event: event(),
    source: { topic: 't', partition: 0, offset: 0, timestamp: 0, keyed: true, schemaId: 1, digest: 'd' },
    facts: {
      now: minute * MINUTE,
      clock: 'redis',
      state,
      first: null,
      context: [],
      control: [],
      counters: [{ limit: 'burst', key: 'k', before, after: before + 1, granted: null }],
    },
  }) as unknown as Verdict

const problems = (...verdicts: readonly Verdict[]): readonly string[] => {
  const ledger = new CounterLedger()
  return verdicts.flatMap((it) => ledger.enter(it, policy))
}

test('a chain that counts every verdict is fine, whatever order it is read in, and so is one that counts more', () => {
  expect(problems(told(100, 0), told(101, 1), told(102, 2), told(103, 9))).toEqual([])
  expect(problems(told(102, 2), told(100, 0), told(101, 1))).toEqual([])
})

test('a count lower than the verdicts before it is found', () => {
  expect(problems(told(100, 0), told(101, 1), told(102, 1))).toEqual([
    'limit `burst` was told 1, and the verdicts before it counted at least 2',
  ])
})

test('what has left the window need not be counted, and state that says it is incomplete is believed', () => {
  expect(problems(told(100, 0), told(101, 1), told(118, 0))).toEqual([])
  expect(problems(told(100, 0), told(101, 0, 'lost'))).toEqual([])
})
