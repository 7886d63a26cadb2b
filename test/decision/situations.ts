import { expect } from 'vitest'
import { NO_CALIBRATION } from '../../src/decision/calibration.ts'
import type { Calibration } from '../../src/decision/calibration.ts'
import { NO_CERTIFICATES, type Certificate, type Certificates } from '../../src/decision/certificate.ts'
import type { Costs } from '../../src/decision/costs.ts'
import type { ModelOutput, SourcePosition } from '../../src/decision/event.ts'
import type { ControlFact, Facts } from '../../src/decision/facts.ts'
import type { ActionRule, CertificateDemand, ContextNeed, Policy, Rule } from '../../src/decision/policy.ts'
import type { DecisionRow } from './decision-table.ts'
import {
  HOUR,
  MINUTE,
  NOW,
  PER_MODEL,
  PER_SELLER,
  actionRule,
  sampleCalibration,
  sampleCertificate,
  sampleCertificates,
  sampleCosts,
  sampleDemand,
  sampleDesk,
  sampleFacts,
  sampleLimit,
  sampleOrder,
  samplePolicy,
  sampleReceived,
  sampleRule,
  sampleTable,
} from './samples.ts'

/** One thing that is different from the samples. */
type Situation = {
  readonly event?: Partial<ModelOutput>
  readonly source?: Partial<SourcePosition>
  readonly facts?: (facts: Facts) => Partial<Facts>
  readonly policy?: (policy: Policy) => Partial<Policy>
  readonly calibration?: Calibration
  readonly certificates?: Certificates
}

const order = (change: Partial<ControlFact>): Situation => ({
  facts: ({ control }) => ({ control: [...control, sampleOrder(change)] }),
})
const need = (change: Partial<ContextNeed>): Situation => ({
  policy: ({ context }) => ({ context: context.map((it) => ({ ...it, ...change })) }),
})
const seller = (change: object): Situation => ({
  facts: ({ context }) => ({
    context: context.map((it) => (it.value === null ? it : { ...it, value: { ...it.value, ...change } })),
  }),
})
const rule = (id: string, change: Partial<Rule>): Situation => ({
  policy: ({ rules }) => ({ rules: [...rules, sampleRule(id, change)] }),
})
const counter = (limit: string, change: object): Situation => ({
  facts: ({ counters }) => ({ counters: counters.map((it) => (it.limit === limit ? { ...it, ...change } : it)) }),
})
const action = (name: string, change: Partial<ActionRule>): Situation => ({
  policy: ({ actions }) => ({ actions: new Map([...actions, [name, actionRule(name, change)]]) }),
})
const bands = (
  execute: number | null,
  certified: boolean,
  reject: number | null,
  calibrated: 'required' | 'optional',
) => ({
  confidence: { execute, certified: certified ? sampleDemand() : null, reject, calibrated },
})
const holds = () => ({ kind: 'value', holds: true }) as const

const certified = (...changes: readonly Partial<Certificate>[]): Situation => ({
  certificates: sampleCertificates(...changes.map((change) => sampleCertificate(change))),
})
const demand = (change: Partial<CertificateDemand>): Situation => ({
  policy: ({ actions }) => ({
    actions: new Map(
      [...actions.values()].map((it) =>
        it.confidence.certified === null
          ? [it.action, it]
          : [it.action, { ...it, confidence: { ...it.confidence, certified: sampleDemand(change) } }],
      ),
    ),
  }),
})
/** On every action, of a constant price for wrong executions unless it says otherwise. */
const costs = (change: Partial<Costs> = {}): Situation => ({
  policy: ({ actions }) => ({
    actions: new Map([...actions].map(([name, it]) => [name, { ...it, costs: sampleCosts(change) }])),
  }),
})
const costing = (amount: number): Situation => costs({ wrongExecution: () => ({ kind: 'value', amount }) })
const ID = 'f'.repeat(32)
const [LOOSE, STRICT] = ['1'.repeat(32), '2'.repeat(32)]
const two = [
  { id: LOOSE, threshold: 0.7 },
  { id: STRICT, threshold: 0.9 },
] as const

export const SITUATIONS: Readonly<Record<string, Situation>> = {
  kill: order({ kind: 'kill', route: 'reject' }),
  'kill-review': order({ kind: 'kill', route: 'review' }),
  'kill-execute': order({ kind: 'kill', route: 'execute' }),
  'kill-over': order({ kind: 'kill', expiresAt: NOW }),
  'kill-forever': order({ kind: 'kill', expiresAt: null }),
  'force-review': order({ kind: 'force', route: 'review' }),
  'force-reject': order({ kind: 'force', route: 'reject' }),
  'force-execute': order({ kind: 'force', route: 'execute' }),
  'withdraw-other': order({ kind: 'force', route: 'review', certificate: '0'.repeat(32) }),
  'exempt-burst': order({ kind: 'exempt', rule: 'burst-per-seller' }),
  'exempt-refunds': order({ kind: 'exempt', rule: 'refunds-per-model' }),
  'exempt-trusted': order({ kind: 'exempt', rule: 'trusted-seller' }),
  'exempt-broken': order({ kind: 'exempt', rule: 'broken' }),
  'exempt-seller': order({ kind: 'exempt', rule: 'seller' }),
  'exempt-no-author': order({ kind: 'exempt', rule: 'trusted-seller', author: '' }),
  'exempt-for-ever': order({ kind: 'exempt', rule: 'trusted-seller', expiresAt: null }),
  'exempt-over': order({ kind: 'exempt', rule: 'trusted-seller', expiresAt: NOW }),

  'expires-now': { event: { expiresAt: NOW } },
  'expires-soon': { event: { expiresAt: NOW + 1 } },
  'expires-never': { event: { expiresAt: Infinity } },
  'expires-nan': { event: { expiresAt: Number.NaN } },
  'day-old': { event: { time: NOW - 24 * HOUR } },
  older: { event: { time: NOW - 24 * HOUR - 1 } },
  'any-age': { policy: () => ({ maxAgeMs: null }) },
  ahead: { event: { time: NOW + 5 * MINUTE } },
  'further-ahead': { event: { time: NOW + 5 * MINUTE + 1 } },
  'time-nan': { event: { time: Number.NaN } },
  'time-huge': { event: { time: -1e300 } },
  'now-infinite': { facts: () => ({ now: Infinity }) },
  replay: {
    facts: () => ({ first: { decisionId: 'model.outputs:3:1842', digest: '00112233445566778899aabbccddeeff' } }),
  },
  repeat: { facts: () => ({ first: { decisionId: 'model.outputs:3:7', digest: '00112233445566778899aabbccddeeff' } }) },
  conflict: { facts: () => ({ first: { decisionId: 'model.outputs:3:7', digest: 'other' } }) },
  unkeyed: { source: { keyed: false } },
  'no-id': { event: { id: '' } },
  'no-model': { event: { model: { name: 'moderator', version: '' } } },

  away: { facts: () => ({ state: 'unavailable', clock: 'processor', counters: [] }) },
  lost: { facts: () => ({ state: 'lost' }) },
  irreversible: action('cache.refresh', { stateless: true, undo: 'irreversible' }),

  'no-context': { facts: ({ context }) => ({ context: context.map((it) => ({ ...it, value: null })) }) },
  'no-facts': { facts: () => ({ context: [] }) },
  'no-seller': { event: { attributes: {} } },
  'missing-rejects': need({ missing: 'reject' }),
  'missing-passes': need({ missing: 'execute' }),
  'stale-rejects': need({ stale: 'reject' }),
  'stale-passes': need({ stale: 'execute' }),
  'hour-old': seller({ time: NOW - HOUR }),
  stale: seller({ time: NOW - HOUR - 1 }),
  'stale-nan': seller({ time: Number.NaN }),
  'stale-ahead': seller({ time: NOW + 5 * MINUTE + 1 }),
  trusted: seller({ attributes: { trusted: true } }),

  broken: rule('broken', { evaluate: () => ({ kind: 'failed', why: 'no such key' }) }),
  watch: rule('watch', { route: 'execute', evaluate: holds }),
  ban: rule('ban', { route: 'reject', evaluate: holds }),
  look: rule('look', { evaluate: holds }),
  undeclared: rule('undeclared', { contexts: ['weather'], evaluate: holds }),
  'about-refunds': rule('about-refunds', { evaluate: holds, actions: new Set(['refund']) }),
  'no-rules': { policy: () => ({ rules: [] }) },

  'burst-last': counter('burst-per-seller', { before: 19, after: 20 }),
  burst: counter('burst-per-seller', { before: 20, after: 21 }),
  'burst-nan': counter('burst-per-seller', { before: Number.NaN, after: Number.NaN }),
  'burst-rejects': {
    policy: ({ limits }) => ({
      limits: limits.map((it) => (it.id === 'burst-per-seller' ? { ...it, over: 'reject' as const } : it)),
    }),
  },
  uncounted: { facts: () => ({ counters: [] }) },
  'second-limit': { policy: ({ limits }) => ({ limits: [...limits, sampleLimit('second', { per: [PER_MODEL] })] }) },
  'refunds-last': counter('refunds-per-model', { before: 2, after: 3 }),
  'refunds-full': counter('refunds-per-model', { before: 3, after: 3, granted: false }),
  'refunds-full-held': counter('refunds-per-model', { before: 3, after: 4, granted: true }),
  unasked: counter('refunds-per-model', { before: 0, after: 0, granted: null }),
  refused: counter('refunds-per-model', { before: 0, after: 0, granted: false }),

  table: { calibration: sampleCalibration(sampleTable()) },
  'table-lapsed': { calibration: sampleCalibration(sampleTable({ expiresAt: NOW })) },
  'table-lasting': { calibration: sampleCalibration(sampleTable({ expiresAt: NOW + 1 })) },
  'table-other': { calibration: sampleCalibration(sampleTable({ model: { name: 'moderator', version: '2' } })) },
  'table-foreign': { calibration: sampleCalibration(sampleTable({ model: { name: 'another', version: '3' } })) },
  'table-verbal': { calibration: sampleCalibration(sampleTable({ scoreKind: 'verbal' })) },
  'table-action': {
    calibration: sampleCalibration(sampleTable({ expiresAt: NOW }), sampleTable({ action: 'listing.flag' })),
  },
  'static-remove': action('listing.remove', { undo: 'irreversible', ...bands(0.8, false, null, 'optional') }),
  'both-remove': action('listing.remove', { undo: 'irreversible', ...bands(0.8, true, null, 'optional') }),
  'certified-flag': action('listing.flag', bands(null, true, 0.2, 'optional')),
  'required-flag': action('listing.flag', bands(0.8, false, 0.2, 'required')),
  'never-flag': action('listing.flag', bands(null, false, null, 'optional')),
  'zero-flag': action('listing.flag', bands(0, false, 0, 'optional')),
  costs: costs(),
  'costs-cheap': costing(5),
  'costs-none': costing(0),
  'costs-huge': costing(1e15),
  'costs-nan': costing(Number.NaN),
  'costs-negative': costing(-1),
  'costs-infinite': costing(Infinity),
  'costs-failing': costs({ wrongExecution: () => ({ kind: 'failed', why: 'there is no `amount`' }) }),
  'costs-dear-review': costs({ review: 12, wrongExecution: () => ({ kind: 'value', amount: 20 }) }),
  'costs-by-price': costs({
    wrongExecution: ({ attributes }) => ({ kind: 'value', amount: Number(attributes['price']) }),
  }),
  desk: { policy: () => ({ desks: [sampleDesk()] }) },
  'desk-busy': counter('review:*', { before: 1, after: 2, granted: true }),
  'desk-full': counter('review:*', { before: 2, after: 3, granted: true }),
  'desk-fuller': counter('review:*', { before: 3, after: 3, granted: false }),
  'desk-unasked': counter('review:*', { before: 9, after: 9, granted: null }),
  'desk-nan': counter('review:*', { before: Number.NaN, after: Number.NaN, granted: false }),
  cheap: { event: { attributes: { seller: 's-93', price: 20 } } },
  cert: certified({}),
  'cert-loose': certified({ threshold: 0 }),
  'cert-lapsed': certified({ expiresAt: NOW }),
  'cert-lasting': certified({ expiresAt: NOW + 1 }),
  'cert-weak': certified({ risk: 0.02 }),
  'cert-unsure': certified({ assurance: 0.9 }),
  'cert-stronger': certified({ risk: 0.001, assurance: 0.99 }),
  'cert-events': certified({ budget: 'per-event' }),
  'cert-other-action': certified({ action: 'refund' }),
  'cert-other-model': certified({ model: { name: 'another', version: '3' } }),
  'cert-other-version': certified({ model: { name: 'moderator', version: '2' } }),
  'cert-verbal': certified({ scoreKind: 'verbal' }),
  'cert-seller': certified({ segment: 's-93' }),
  'cert-other-seller': certified({ segment: 's-94' }),
  'cert-two': certified(...two),
  'cert-two-lapsed': certified({ ...two[0], expiresAt: NOW }, two[1]),
  'cert-weak-and-version': certified({ risk: 0.02 }, { id: LOOSE, model: { name: 'moderator', version: '2' } }),
  'per-seller': demand({ segment: PER_SELLER }),
  'per-event': demand({ budget: 'per-event' }),
  withdrawn: order({ kind: 'force', route: 'review', certificate: ID }),
  'withdrawn-over': order({ kind: 'force', route: 'review', certificate: ID, expiresAt: NOW }),
  'withdrawn-loose': order({ kind: 'force', route: 'review', certificate: LOOSE }),
  'withdrawn-strict': order({ kind: 'force', route: 'review', certificate: STRICT }),
  audited: action('listing.flag', { auditShare: 1 }),
}

/** What a row is decided from: the samples, changed by its situations in their order. */
export function inputs(row: DecisionRow) {
  const situations = row.given.map((name) => SITUATIONS[name] ?? expect.fail(`no situation ${name}`))
  const event = situations.reduce<Partial<ModelOutput>>((it, { event }) => ({ ...it, ...event }), {})
  const source = situations.reduce<Partial<SourcePosition>>((it, { source }) => ({ ...it, ...source }), {})
  const received = sampleReceived({ action: row.action, confidence: row.score, ...event }, source)
  const policy = situations.reduce((it, { policy }) => ({ ...it, ...policy?.(it) }), samplePolicy())
  const facts = situations.reduce((it, { facts }) => ({ ...it, ...facts?.(it) }), sampleFacts(received, policy))
  const calibration = situations.findLast(({ calibration }) => calibration)?.calibration ?? NO_CALIBRATION
  const certificates = situations.findLast(({ certificates }) => certificates)?.certificates ?? NO_CERTIFICATES
  return [received, facts, policy, calibration, certificates] as const
}
