import type { Control, Context, Outcome, RecordOf } from '../../src/avro/record-types.ts'
import type { ModelOutput } from '../../src/decision/event.ts'
import type { Verdict } from '../../src/decision/verdict.ts'

/** One value of every kind with nothing left null, so that every field of every nested record appears. */

export const modelOutput: ModelOutput = {
  id: '0190f3c2-7d1e-7c3a-9f54-2b1a6d0e8a11',
  source: '/moderation/eu',
  tenant: 'default',
  time: 1_769_000_000_000,
  expiresAt: 1_769_000_600_000,
  model: { name: 'listing-moderation', version: '2026-01' },
  action: 'listing.remove',
  subject: { type: 'listing', id: 'l-8842', owner: 's-93' },
  actor: 's-93',
  confidence: 0.93,
  scoreKind: 'probability',
  attributes: {
    seller: 's-93',
    price: 12.5,
    category: 'Spielzeug für Kinder',
    flagged: true,
    note: null,
    constructor: 4,
  },
  payload: Buffer.from([0, 1, 2, 255]),
}

export const verdict: Verdict = {
  decisionId: 'model.outputs:3:1842',
  actionKey: '0123456789abcdef0123456789abcdef',
  route: 'review',
  code: 'limit.exceeded',
  findings: [{ route: 'review', code: 'limit.exceeded', subject: 'burst-per-seller', detail: '21 of 20 within 1 m' }],
  mode: 'normal',
  undo: 'irreversible',
  notAfter: 1_769_000_600_000,
  score: {
    raw: 0.93,
    calibrated: 0.71,
    execute: 0.8,
    reject: 0.3,
    margin: -0.09,
    calibrator: 'c1',
    certificate: 'cert-1',
    certified: {
      threshold: 0.9,
      risk: 0.01,
      assurance: 0.95,
      budget: 'per-execution',
      segment: 'toys',
      upperBound: 0.008,
    },
    low: 0.66,
    high: 0.74,
    costs: { wrongExecution: 200, wrongReject: 15, review: 4 },
  },
  changes: { without: ['limit.exceeded', 'policy.trusted_seller'], route: 'execute' },
  audit: { selected: false, propensity: 0.01 },
  policy: { name: 'marketplace-moderation', version: 7, digest: 'd1', calibration: 'd2', certificates: 'd3' },
  engine: '0.1.0',
  facts: {
    now: 1_769_000_000_050,
    clock: 'redis',
    state: 'ok',
    first: { decisionId: 'model.outputs:3:1', digest: 'e1' },
    context: [
      {
        name: 'seller',
        key: 's-93',
        value: {
          source: 'crm',
          version: 4,
          time: 1_768_999_000_000,
          attributes: { trusted: true, name: 'Zoë', n: null },
        },
      },
    ],
    counters: [{ limit: 'burst-per-seller', key: 'k1', before: 20, after: 21, granted: true }],
    control: [
      {
        id: 'c-1',
        kind: 'exempt',
        route: 'review',
        rule: 'burst-per-seller',
        author: 'ann',
        reason: 'sale',
        expiresAt: 1_769_100_000_000,
        certificate: 'cert-1',
      },
    ],
  },
  source: {
    topic: 'model.outputs',
    partition: 3,
    offset: 1842,
    timestamp: 1_769_000_000_010,
    keyed: true,
    schemaId: 7,
    digest: 'f1',
  },
  event: modelOutput,
}

const context: Context = {
  entity: 'seller',
  key: 's-93',
  version: 4,
  time: 1_768_999_000_000,
  source: 'crm',
  attributes: { trusted: true, rating: 4.5, name: 'Zoë', left: null },
}

const outcome: Outcome = {
  decisionId: 'model.outputs:3:1842',
  actionKey: 'a1',
  kind: 'label',
  right: true,
  time: 1_769_000_001_000,
  source: 'desk',
  propensity: 0.01,
  detail: 'looked at',
}

const control: Control = {
  id: 'c-1',
  kind: 'kill',
  route: 'reject',
  rule: 'r',
  tenant: 't',
  model: 'm',
  action: 'a',
  actor: 'b',
  author: 'ann',
  reason: 'incident 12',
  createdAt: 1_769_000_000_000,
  expiresAt: 1_769_100_000_000,
  certificate: 'cert-1',
}

export const SAMPLES: RecordOf = {
  ModelOutput: modelOutput,
  Verdict: verdict,
  Context: context,
  Outcome: outcome,
  Control: control,
}
