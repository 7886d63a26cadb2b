import type { Calibration, CalibrationTable } from '../../src/decision/calibration.ts'
import { certificateTree, type Certificate, type Certificates } from '../../src/decision/certificate.ts'
import type { Costs } from '../../src/decision/costs.ts'
import { deskId } from '../../src/decision/desk.ts'
import type { ModelOutput, Received, SourcePosition } from '../../src/decision/event.ts'
import type { ControlFact, CounterFact, Facts } from '../../src/decision/facts.ts'
import { inquire } from '../../src/decision/inquire.ts'
import type { CounterInquiry } from '../../src/decision/inquiry.ts'
import type {
  ActionRule,
  CertificateDemand,
  ContextNeed,
  Dimension,
  Limit,
  Policy,
  Rule,
} from '../../src/decision/policy.ts'

/** The time at which every sample is decided. */
export const NOW = Date.UTC(2026, 10, 24, 12, 0, 0)
export const MINUTE = 60_000
export const HOUR = 60 * MINUTE

/** A moderation model that flags a listing: complete, fresh and sure of itself. */
export const sampleEvent = (change: Partial<ModelOutput> = {}): ModelOutput => ({
  id: 'e-1',
  source: '/moderation/eu',
  tenant: 'market',
  time: NOW - 2000,
  expiresAt: null,
  model: { name: 'moderator', version: '3' },
  action: 'listing.flag',
  subject: { type: 'listing', id: 'l-77', owner: 's-93' },
  actor: 'u-5',
  confidence: 0.95,
  scoreKind: 'probability',
  attributes: { seller: 's-93', price: 120, urgent: false },
  payload: null,
  ...change,
})

export const sampleSource = (change: Partial<SourcePosition> = {}): SourcePosition => ({
  topic: 'model.outputs',
  partition: 3,
  offset: 1842,
  timestamp: NOW - 1900,
  keyed: true,
  schemaId: 1,
  digest: '00112233445566778899aabbccddeeff',
  ...change,
})

export const sampleReceived = (event: Partial<ModelOutput> = {}, source: Partial<SourcePosition> = {}): Received => ({
  event: sampleEvent(event),
  source: sampleSource(source),
})

export const actionRule = (action: string, change: Partial<ActionRule> = {}): ActionRule => ({
  action,
  undo: 'reversible',
  confidence: { execute: 0.8, certified: null, reject: 0.2, calibrated: 'optional' },
  costs: null,
  executeWithinMs: MINUTE,
  stateless: false,
  auditShare: 0,
  ...change,
})

export const dimension = (name: string, read: Dimension['read']): Dimension => ({ name, read })
export const PER_OWNER = dimension('subject.owner', (event) => event.subject.owner)
export const PER_SELLER = dimension('attributes.seller', ({ attributes }) => {
  const value = Object.hasOwn(attributes, 'seller') ? attributes['seller'] : null
  return typeof value === 'string' ? value : null
})
export const PER_MODEL = dimension('model.name', (event) => event.model.name)

export const sampleLimit = (id: string, change: Partial<Limit> = {}): Limit => ({
  id,
  count: 'proposals',
  per: [PER_OWNER],
  max: 20,
  windowMs: MINUTE,
  over: 'review',
  actions: null,
  ...change,
})

/** Two reviews an hour, of every action. */
export const sampleDesk = (change: Partial<Limit> = {}): Limit =>
  sampleLimit(deskId(null), { count: 'executions', per: [], max: 2, windowMs: HOUR, ...change })

export const sampleNeed = (name: string, change: Partial<ContextNeed> = {}): ContextNeed => ({
  name,
  key: dimension(`attributes.${name}`, ({ attributes }) => {
    const value = Object.hasOwn(attributes, name) ? attributes[name] : null
    return typeof value === 'string' ? value : null
  }),
  maxAgeMs: HOUR,
  missing: 'review',
  stale: 'review',
  actions: null,
  ...change,
})

export const sampleRule = (id: string, change: Partial<Rule> = {}): Rule => ({
  id,
  route: 'review',
  code: `policy.${id.replaceAll('-', '_')}`,
  because: `because of ${id}`,
  when: 'false',
  contexts: [],
  actions: null,
  evaluate: () => ({ kind: 'value', holds: false }),
  ...change,
})

export const sampleDemand = (change: Partial<CertificateDemand> = {}): CertificateDemand => ({
  risk: 0.01,
  assurance: 0.95,
  budget: 'per-execution',
  segment: null,
  ...change,
})

/** A wrong execution costs 200, a wrong rejection 15, a look 4: executed from 0.98, rejected up to 0.2666…. */
export const sampleCosts = (change: Partial<Costs> = {}): Costs => ({
  wrongExecution: () => ({ kind: 'value', amount: 200 }),
  written: 200,
  wrongReject: 15,
  review: 4,
  ...change,
})

const flagging = new Set(['listing.flag', 'listing.remove'])

/**
 * Three actions with limits, context and rules, one (`cache.refresh`) that needs no state. `refund` has an execution
 * limit; `listing.remove` is irreversible and wants a certificate.
 */
export const samplePolicy = (change: Partial<Policy> = {}): Policy => ({
  name: 'marketplace',
  version: 7,
  digest: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
  text: 'policy: marketplace',
  actions: new Map(
    [
      actionRule('listing.flag'),
      actionRule('listing.remove', {
        undo: 'irreversible',
        confidence: {
          execute: null,
          certified: sampleDemand(),
          reject: 0.3,
          calibrated: 'required',
        },
      }),
      actionRule('refund', { undo: 'compensable' }),
      actionRule('cache.refresh', { stateless: true }),
    ].map((rule) => [rule.action, rule]),
  ),
  limits: [
    sampleLimit('burst-per-seller', { actions: new Set(['listing.flag', 'listing.remove', 'refund']) }),
    sampleLimit('refunds-per-model', {
      count: 'executions',
      per: [PER_MODEL],
      max: 3,
      windowMs: HOUR,
      actions: new Set(['refund']),
    }),
  ],
  desks: [],
  context: [sampleNeed('seller', { actions: flagging })],
  rules: [
    sampleRule('trusted-seller', {
      when: 'context.seller.trusted',
      contexts: ['seller'],
      actions: flagging,
      evaluate: ({ context }) => ({ kind: 'value', holds: context.get('seller')?.['trusted'] === true }),
    }),
  ],
  maxFutureMs: 5 * MINUTE,
  maxAgeMs: 24 * HOUR,
  duplicatesMs: 24 * HOUR,
  auditSalt: 'salt',
  longestWindowMs: 24 * HOUR,
  ...change,
})

/** The first of everything: no earlier event, all counters at 0, places reserved, context a minute old. */
export const sampleFacts = (received: Received, policy: Policy, change: Partial<Facts> = {}): Facts => {
  const inquiry = inquire(received, policy)
  return {
    now: NOW,
    clock: 'redis',
    state: 'ok',
    first: null,
    context: inquiry.context.map(({ name, key }) => ({
      name,
      key,
      value: key === null ? null : { source: 'crm', version: 4, time: NOW - MINUTE, attributes: { trusted: false } },
    })),
    counters: inquiry.counters.map(firstCount),
    control: [],
    ...change,
  }
}

const firstCount = ({ limit, key, count }: CounterInquiry): CounterFact => ({
  limit,
  key,
  before: 0,
  after: 1,
  granted: count === 'executions' ? true : null,
})

export const sampleOrder = (change: Partial<ControlFact> = {}): ControlFact => ({
  id: 'o-1',
  kind: 'kill',
  route: 'reject',
  rule: null,
  author: 'ada',
  reason: 'incident 12',
  expiresAt: NOW + HOUR,
  certificate: null,
  ...change,
})

export const sampleTable = (change: Partial<CalibrationTable> = {}): CalibrationTable => ({
  model: { name: 'moderator', version: '3' },
  action: null,
  scoreKind: 'probability',
  points: [
    [0, 0],
    [0.5, 0.3],
    [1, 1],
  ],
  interval: null,
  expiresAt: null,
  digest: 'cccccccccccccccccccccccccccccccc',
  ...change,
})

export const sampleCalibration = (...tables: readonly CalibrationTable[]): Calibration => ({
  tables,
  digest: 'dddddddddddddddddddddddddddddddd',
  text: 'tables',
})

export const sampleCertificate = (change: Partial<Certificate> = {}): Certificate => ({
  id: 'f'.repeat(32),
  model: { name: 'moderator', version: '3' },
  action: 'listing.remove',
  scoreKind: 'probability',
  segment: null,
  budget: 'per-execution',
  risk: 0.01,
  assurance: 0.95,
  threshold: 0.9,
  upperBound: 0.009,
  issuedAt: NOW - HOUR,
  expiresAt: NOW + HOUR,
  ...change,
})

export const sampleCertificates = (...certificates: readonly Certificate[]): Certificates => ({
  tree: certificateTree(certificates),
  digest: 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',
  text: 'certificates',
})
