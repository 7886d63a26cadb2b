import * as fc from 'fast-check'
import { NO_CALIBRATION } from '../../src/decision/calibration.ts'
import type { Calibration } from '../../src/decision/calibration.ts'
import type { Certificates } from '../../src/decision/certificate.ts'
import type { Costs } from '../../src/decision/costs.ts'
import type { Attributes, ModelOutput, Received } from '../../src/decision/event.ts'
import type { Facts, First, StateHealth } from '../../src/decision/facts.ts'
import type { Policy, Undo } from '../../src/decision/policy.ts'
import type { Route } from '../../src/decision/route.ts'
import {
  NOW,
  PER_MODEL,
  PER_SELLER,
  actionRule,
  sampleCalibration,
  sampleCertificate,
  sampleCertificates,
  sampleDemand,
  sampleFacts,
  sampleLimit,
  sampleNeed,
  sampleOrder,
  samplePolicy,
  sampleReceived,
  sampleRule,
  sampleTable,
} from './samples.ts'

/** Everything `decide` takes, in its order. */
export type Inputs = readonly [
  received: Received,
  facts: Facts,
  policy: Policy,
  calibration: Calibration,
  certificates: Certificates,
]

const unit = fc.double({ min: 0, max: 1, noNaN: true })
const route = fc.constantFrom<Route>('execute', 'review', 'reject')
/** `common` nine times out of ten. */
const mostly = <T>(common: T, rare: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(common) }, { weight: 1, arbitrary: rare })
const nullOr = <T>(it: fc.Arbitrary<T>) => fc.option(it, { nil: null })

/** Strictly rising raw scores with weakly rising calibrated ones, at least two. */
export const samplePoints = fc
  .array(fc.tuple(unit, unit), { minLength: 2, maxLength: 8 })
  .map((pairs) => {
    const raws = [...new Set(pairs.map(([raw]) => raw + 0))].sort((a, b) => a - b)
    const calibrated = pairs.map(([, it]) => it).sort((a, b) => a - b)
    return raws.map((raw, at) => [raw, calibrated[at] ?? 1] as const)
  })
  .filter((points) => points.length >= 2)

const ACTIONS = ['listing.flag', 'listing.remove', 'refund', 'cache.refresh'] as const

const wildText = fc.oneof(
  fc.constantFrom('', '__proto__', 'constructor', 'toString', 'x'.repeat(5000), '\u001B[2J', '\u0000', ...ACTIONS),
  fc.string({ unit: 'binary' }),
)
const wildNumber = fc.oneof(
  fc.constantFrom(Number.NaN, Infinity, -Infinity, 1e300, -1e300, -0, 0, 0.5, NOW, NOW - 1, NOW + 1),
  fc.double(),
  fc.integer(),
)
const wildAttributes: fc.Arbitrary<Attributes> = fc
  .array(
    fc.tuple(
      fc.oneof(fc.constantFrom('seller', '__proto__', 'constructor'), wildText),
      fc.oneof(fc.boolean(), wildNumber, wildText, fc.constant(null)),
    ),
    { maxLength: 4 },
  )
  .map((entries) => Object.fromEntries(entries))

/** Events in which any field may hold anything its type allows. */
const wildEvent: fc.Arbitrary<ModelOutput> = fc.record({
  id: wildText,
  source: wildText,
  tenant: wildText,
  time: wildNumber,
  expiresAt: nullOr(wildNumber),
  model: fc.record({
    name: fc.oneof(wildText, fc.constant('moderator')),
    version: fc.oneof(wildText, fc.constant('3')),
  }),
  action: fc.oneof(fc.constantFrom(...ACTIONS), wildText),
  subject: fc.record({ type: wildText, id: wildText, owner: nullOr(wildText) }),
  actor: nullOr(wildText),
  confidence: nullOr(fc.oneof(unit, wildNumber)),
  scoreKind: fc.oneof(fc.constant('probability'), wildText),
  attributes: wildAttributes,
  payload: nullOr(fc.uint8Array()),
})

/** Mostly sound events, so that executions are among what is drawn. */
const likelyEvent: fc.Arbitrary<Partial<ModelOutput>> = fc.record({
  action: fc.constantFrom(...ACTIONS),
  confidence: fc.oneof(unit, fc.constantFrom(0.95, 1), mostly<number | null>(0.9, fc.constant(null))),
  time: mostly(NOW - 2000, fc.constantFrom(NOW + 1e9, 0)),
  expiresAt: fc.constantFrom(null, null, NOW + 500, NOW + 1e6, NOW - 500),
})

const band = nullOr(unit)
const amount = fc.oneof(fc.constantFrom(0, 1, 4, 15, 200, Number.NaN, -1, Infinity), fc.double({ min: 0, max: 1e6 }))
const anyCosts: fc.Arbitrary<Costs> = fc
  .record({ loss: amount, wrongReject: fc.constantFrom(1, 15, 200), review: fc.constantFrom(0, 4, 50) })
  .map(({ loss, ...it }) => ({ ...it, written: loss, wrongExecution: () => ({ kind: 'value', amount: loss }) }))
const policies: fc.Arbitrary<Policy> = fc
  .record({
    undo: mostly<Undo>('reversible', fc.constant('irreversible')),
    execute: mostly<number | null>(0.8, band),
    reject: mostly<number | null>(0.2, band),
    certified: fc.constantFrom(null, sampleDemand(), sampleDemand(), sampleDemand({ segment: PER_SELLER })),
    calibrated: mostly<'required' | 'optional'>('optional', fc.constant('required')),
    stateless: fc.boolean(),
    costs: mostly<Costs | null>(null, anyCosts),
    auditShare: unit,
    isDefault: fc.boolean(),
    over: fc.constantFrom('review' as const, 'reject' as const),
    ruleRoute: route,
    answer: fc.constantFrom('holds' as const, 'not' as const, 'not' as const, 'not' as const, 'fails' as const),
    missing: route,
    stale: route,
    parts: fc.subarray(['proposals', 'executions', 'context', 'rule'] as const),
  })
  .map((it) => {
    if (it.isDefault) return samplePolicy()
    const { execute, reject, certified, calibrated } = it
    const confidence = { execute: certified === null ? execute : null, reject, certified, calibrated }
    const rule = { undo: it.undo, stateless: it.stateless, auditShare: it.auditShare, costs: it.costs, confidence }
    const has = (part: (typeof it.parts)[number]) => it.parts.includes(part)
    const answers = {
      holds: { kind: 'value', holds: true },
      not: { kind: 'value', holds: false },
      fails: { kind: 'failed', why: 'no such key' },
    } as const
    return samplePolicy({
      actions: new Map(ACTIONS.map((action) => [action, actionRule(action, rule)])),
      limits: [
        ...(has('proposals') ? [sampleLimit('p', { max: 5, over: it.over })] : []),
        ...(has('executions')
          ? [sampleLimit('x', { count: 'executions', per: [PER_MODEL], max: 5, over: it.over })]
          : []),
      ],
      context: has('context') ? [sampleNeed('seller', { missing: it.missing, stale: it.stale })] : [],
      rules: has('rule')
        ? [
            sampleRule('r', {
              route: it.ruleRoute,
              contexts: has('context') ? ['seller'] : [],
              evaluate: () => answers[it.answer],
            }),
          ]
        : [],
    })
  })

const orders = fc.array(
  fc
    .record({
      kind: fc.constantFrom('kill' as const, 'force' as const, 'exempt' as const),
      route,
      rule: fc.constantFrom(null, 'p', 'x', 'r', 'refunds-per-model'),
      author: fc.constantFrom('', 'ada'),
      expiresAt: fc.constantFrom(null, NOW - 1, NOW + 1),
      certificate: mostly<string | null>(null, fc.constantFrom('a'.repeat(32), 'b'.repeat(32))),
    })
    .map((it) => sampleOrder(it)),
  { maxLength: 2 },
)

const changes = fc.record({
  now: mostly(NOW, wildNumber),
  state: mostly<StateHealth>('ok', fc.constantFrom('unavailable', 'lost')),
  first: mostly<First | null>(null, fc.constant({ decisionId: 'a:0:1', digest: 'other' })),
  control: mostly<Facts['control']>([], orders),
  count: fc.constantFrom(0, 1, 2, 4, 5, 6, Number.NaN),
  granted: mostly<boolean | null>(true, fc.constantFrom(false, null)),
  contextTime: mostly<number | null>(NOW - 1000, fc.constantFrom(NOW - 1e9, NOW + 1e9, Number.NaN, null)),
  keep: fc.boolean(),
})

type Change = typeof changes extends fc.Arbitrary<infer T> ? T : never

const factsFor = (received: Received, policy: Policy, change: Change): Facts => {
  const { counters, context, ...first } = sampleFacts(received, policy)
  const { now, state, first: earlier, control, count, granted, contextTime, keep } = change
  return {
    ...first,
    now,
    state,
    first: earlier,
    control,
    counters: counters
      .filter(() => keep || state === 'ok')
      .map((it) => ({ ...it, before: count, after: count + 1, granted: it.granted === null ? null : granted })),
    context: context.map((it) =>
      it.value === null || contextTime === null
        ? { ...it, value: null }
        : { ...it, value: { ...it.value, time: contextTime } },
    ),
  }
}

const calibrations: fc.Arbitrary<Calibration> = fc.oneof(
  fc.constant(NO_CALIBRATION),
  fc
    .record({
      points: samplePoints,
      expiresAt: fc.constantFrom(null, NOW - 1, NOW + 1),
      version: fc.constantFrom('2', '3'),
    })
    .map(({ points, expiresAt, version }) =>
      sampleCalibration(sampleTable({ points, expiresAt, model: { name: 'moderator', version } })),
    ),
)

const certificate = fc.record({
  action: fc.constantFrom(...ACTIONS),
  model: mostly({ name: 'moderator', version: '3' }, fc.constant({ name: 'moderator', version: '2' })),
  segment: fc.constantFrom(null, 's-93', 's-94'),
  threshold: fc.oneof(unit, fc.constantFrom(0.5, 0.9)),
  risk: mostly(0.01, fc.constant(0.05)),
  expiresAt: mostly(NOW + 1, fc.constant(NOW - 1)),
})
const certificates: fc.Arbitrary<Certificates> = fc
  .array(certificate, { maxLength: 6 })
  .map((all) => sampleCertificates(...all.map((it, at) => sampleCertificate({ ...it, id: IDS[at % 2] ?? '' }))))
const IDS = ['a'.repeat(32), 'b'.repeat(32)]

const inputsWith = (received: fc.Arbitrary<Received>): fc.Arbitrary<Inputs> =>
  fc
    .tuple(received, policies, changes, calibrations, certificates)
    .map(([received, policy, change, calibration, certificates]) => [
      received,
      factsFor(received, policy, change),
      policy,
      calibration,
      certificates,
    ])

const sources = fc.record({ keyed: mostly(true, fc.constant(false)), offset: fc.nat() })

/** Any event at all. */
export const wildInputs = inputsWith(
  fc.tuple(wildEvent, sources).map(([event, source]) => sampleReceived(event, source)),
)

/** Events of which a good part is executed. */
export const likelyInputs = inputsWith(
  fc.tuple(likelyEvent, sources).map(([event, source]) => sampleReceived(event, source)),
)
