import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { decide } from '../../src/decision/decide.ts'
import type { Attributes, ModelOutput, Received } from '../../src/decision/event.ts'
import type { Facts, StateHealth } from '../../src/decision/facts.ts'
import { inquire } from '../../src/decision/inquire.ts'
import type { Policy } from '../../src/decision/policy.ts'
import type { Route } from '../../src/decision/route.ts'
import { parseDuration } from '../../src/policy/duration.ts'
import { readRulebook } from '../../src/policy/watch.ts'
import { NOW, sampleEvent, sampleSource } from '../decision/samples.ts'

/** One case of a `.test.yaml` beside a policy. */
type PolicyCase = {
  readonly name: string
  readonly event: Partial<ModelOutput> & { readonly action: string; readonly age?: string }
  readonly context?: Readonly<Record<string, Attributes | null>>
  readonly ageOfContext?: string
  readonly counters?: Readonly<Record<string, number>>
  readonly repeated?: boolean
  readonly state?: StateHealth
  readonly expect: { readonly route: Route; readonly codes: readonly string[] }
}
type PolicyTests = { readonly policy: string; readonly calibration: string; readonly cases: readonly PolicyCase[] }

const folder = new URL('../../deploy/policies/', import.meta.url)
const tests = parse(readFileSync(new URL('marketplace.test.yaml', folder), 'utf8')) as PolicyTests
const pathOf = (name: string): string => new URL(name, folder).pathname
const loaded = await readRulebook({
  policyFile: pathOf(tests.policy),
  calibrationFile: pathOf(tests.calibration),
  certificatesFile: null,
})
if (loaded.kind === 'problems') throw new Error(JSON.stringify(loaded.problems))
const { policy, calibration, certificates } = loaded.rulebook

/** What is known of an ordinary seller and an ordinary customer. */
const ORDINARY = new Map<string, Attributes>([
  ['seller', { trusted: false, rating: 3.5, listings: 12 }],
  ['customer', { refundsThisYear: 1, vip: false }],
])

const ordinary = (action: string): Partial<ModelOutput> =>
  action === 'refund.issue'
    ? {
        source: '/support/chat',
        model: { name: 'support', version: '12' },
        subject: { type: 'order', id: 'o-1', owner: 'c-1' },
        actor: 'c-1',
        attributes: { amount: 25, currency: 'EUR' },
      }
    : { model: { name: 'moderation', version: '3' }, attributes: { seller: 's-93' } }

function receivedOf({ event: { age = '2s', ...event } }: PolicyCase): Received {
  const time = NOW - (parseDuration(age) ?? 0)
  return { event: sampleEvent({ time, ...ordinary(event.action), ...event }), source: sampleSource() }
}

function factsOf(it: PolicyCase, received: Received, policy: Policy): Facts {
  const inquiry = inquire(received, policy)
  const time = NOW - (parseDuration(it.ageOfContext ?? '1m') ?? 0)
  const isAway = it.state === 'unavailable'
  return {
    now: NOW,
    clock: isAway ? 'processor' : 'redis',
    state: it.state ?? 'ok',
    first: it.repeated === true ? { decisionId: 'model.outputs:3:7', digest: received.source.digest } : null,
    context: inquiry.context.map(({ name, key }) => {
      const attributes = it.context?.[name] === undefined ? ORDINARY.get(name) : it.context[name]
      const isKnown = key !== null && !isAway && attributes !== null && attributes !== undefined
      return { name, key, value: isKnown ? { source: 'crm', version: 1, time, attributes } : null }
    }),
    counters: isAway
      ? []
      : inquiry.counters.map(({ limit, key, count, max }) => {
          const before = it.counters?.[limit] ?? 0
          const granted = count === 'executions' ? before < max : null
          return { limit, key, before, after: granted === false ? before : before + 1, granted }
        }),
    control: [],
  }
}

test.each(tests.cases)('$name', (it) => {
  const received = receivedOf(it)
  const verdict = decide(received, factsOf(it, received, policy), policy, calibration, certificates)
  const codes = verdict.findings.map(({ code }) => code).filter((code) => code !== 'audit.selected')
  expect({ route: verdict.route, codes }).toEqual(it.expect)
})

test('every rule, limit and context of the policy has a case that would notice its absence', () => {
  const received = tests.cases.map((it) => receivedOf(it))
  const routes = (changed: Policy) =>
    tests.cases.map((it, index) => {
      const one = received[index] ?? expect.fail()
      return decide(one, factsOf(it, one, changed), changed, calibration, certificates).findings.map(({ code }) => code)
    })
  const whole = routes(policy)
  for (const { id } of policy.rules)
    expect(routes({ ...policy, rules: policy.rules.filter((rule) => rule.id !== id) }), id).not.toEqual(whole)
  for (const { name } of policy.context)
    expect(routes({ ...policy, context: policy.context.filter((need) => need.name !== name) }), name).not.toEqual(whole)
  for (const { id } of policy.limits.filter(({ id }) => id !== 'flags-per-model'))
    expect(routes({ ...policy, limits: policy.limits.filter((limit) => limit.id !== id) }), id).not.toEqual(whole)
})
