import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { NO_CALIBRATION } from '../../src/decision/calibration.ts'
import type { Calibration } from '../../src/decision/calibration.ts'
import { NO_CERTIFICATES, type Certificate } from '../../src/decision/certificate.ts'
import { decide } from '../../src/decision/decide.ts'
import type { ModelOutput } from '../../src/decision/event.ts'
import type { ActionRule, Policy } from '../../src/decision/policy.ts'
import {
  MINUTE,
  NOW,
  actionRule,
  sampleCalibration,
  sampleCertificate,
  sampleCertificates,
  sampleFacts,
  samplePolicy,
  sampleReceived,
  sampleRule,
  sampleTable,
} from './samples.ts'

const verdictOf = (
  event: Partial<ModelOutput>,
  policy: Policy = samplePolicy(),
  calibration: Calibration = NO_CALIBRATION,
) => {
  const received = sampleReceived(event)
  return decide(received, sampleFacts(received, policy), policy, calibration, NO_CERTIFICATES)
}
const flagging = (change: Partial<ActionRule>) =>
  samplePolicy({ actions: new Map([['listing.flag', actionRule('listing.flag', change)]]) })

it('a verdict carries its record', () => {
  const received = sampleReceived()
  const policy = samplePolicy()
  const facts = sampleFacts(received, policy)
  expect(decide(received, facts, policy, sampleCalibration(), NO_CERTIFICATES)).toMatchObject({
    decisionId: 'model.outputs:3:1842',
    actionKey: expect.stringMatching(/^[0-9a-f]{32}$/),
    mode: 'normal',
    undo: 'reversible',
    policy: {
      name: 'marketplace',
      version: 7,
      digest: policy.digest,
      calibration: 'dddddddddddddddddddddddddddddddd',
      certificates: null,
    },
    engine: 'sluice-decide/1',
    facts,
    source: received.source,
    event: received.event,
  })
})

describe('score', () => {
  it.each([
    [0.95, { raw: 0.95, calibrated: 0.95, margin: 0.15 }],
    [0.7, { raw: 0.7, calibrated: 0.7, margin: -0.1 }],
    [0.4, { raw: 0.4, calibrated: 0.4, margin: 0.2 }],
    [0.1, { raw: 0.1, calibrated: 0.1, margin: -0.1 }],
    [-0, { raw: 0, calibrated: 0, margin: -0.2 }],
    [Number.NaN, { raw: null, calibrated: null, margin: null }],
    [1.5, { raw: null, calibrated: null, margin: null }],
    [null, { raw: null, calibrated: null, margin: null }],
  ])('of %d', (confidence, expected) => {
    const { score } = verdictOf({ confidence })
    expect(score).toEqual({
      execute: 0.8,
      reject: 0.2,
      calibrator: null,
      certificate: null,
      certified: null,
      low: null,
      high: null,
      costs: null,
      ...expected,
      margin: expected.margin === null ? null : expect.closeTo(expected.margin, 12),
    })
  })

  it('names the table it was calibrated with', () => {
    const { score } = verdictOf({ confidence: 0.9 }, samplePolicy(), sampleCalibration(sampleTable()))
    expect(score).toMatchObject({ raw: 0.9, calibrated: 0.86, calibrator: 'cccccccccccccccccccccccccccccccc' })
  })

  describe('with a certificate', () => {
    const removal = (confidence: number | null, ...certificates: readonly Certificate[]) => {
      const received = sampleReceived({ action: 'listing.remove', confidence })
      const policy = samplePolicy()
      const calibration = sampleCalibration(sampleTable())
      return decide(received, sampleFacts(received, policy), policy, calibration, sampleCertificates(...certificates))
    }
    const promised = {
      threshold: 0.9,
      risk: 0.01,
      assurance: 0.95,
      budget: 'per-execution',
      segment: null,
      upperBound: 0.009,
    }

    it.each([
      [0.95, 0.05],
      [0.85, -0.05],
      [0.55, 0.07],
      [0.4, -0.06],
    ])('of %d: the margin is to the nearest edge, the certified one on the score as sent', (confidence, margin) => {
      const { score, policy } = removal(confidence, sampleCertificate())
      expect(score).toMatchObject({ execute: null, reject: 0.3, certificate: 'f'.repeat(32), certified: promised })
      expect(score.margin).toBeCloseTo(margin, 12)
      expect(policy.certificates).toBe('e'.repeat(32))
    })

    it('that is void, nothing is relied upon and nothing promised', () => {
      const { score, changes, findings } = removal(0.95, sampleCertificate({ expiresAt: NOW }))
      expect(score).toMatchObject({ certificate: null, certified: null })
      expect(changes).toEqual({ without: ['calibration.certificate_expired'], route: 'execute' })
      expect(findings[0]?.subject).toBe('f'.repeat(32))
    })

    it('that does not fit, it cannot be told what would have been', () => {
      expect(removal(0.95, sampleCertificate({ risk: 0.02 })).changes).toBeNull()
      expect(removal(0.95).changes).toBeNull()
    })
  })

  it('reaches a threshold that lies on the calibration line', () => {
    const confidence = { execute: 0.86, certified: null, reject: null, calibrated: 'required' } as const
    expect(verdictOf({ confidence: 0.9 }, flagging({ confidence }), sampleCalibration(sampleTable())).route).toBe(
      'execute',
    )
  })

  it('has no bands, and no calibrated value, for an unknown action', () => {
    const { score } = verdictOf({ action: 'burn' }, samplePolicy(), sampleCalibration(sampleTable()))
    expect(score).toMatchObject({
      raw: 0.95,
      calibrated: null,
      execute: null,
      reject: null,
      margin: null,
      calibrator: null,
    })
  })
})

describe('notAfter', () => {
  it.each([
    [null, NOW + MINUTE],
    [NOW + 1000, NOW + 1000],
    [NOW + 2 * MINUTE, NOW + MINUTE],
  ])('of an event that expires at %d', (expiresAt, expected) => {
    expect(verdictOf({ expiresAt }).notAfter).toBe(expected)
  })

  it('is for executions only', () => expect(verdictOf({ confidence: 0.5 }).notAfter).toBeNull())
})

describe('changes', () => {
  const failing = samplePolicy({
    rules: [
      sampleRule('a', { evaluate: () => ({ kind: 'failed', why: 'x' }) }),
      sampleRule('b', { evaluate: () => ({ kind: 'failed', why: 'x' }) }),
    ],
  })
  it.each([
    ['an execution', {}, samplePolicy(), null],
    ['a low score', { confidence: 0.5 }, samplePolicy(), { without: ['confidence.below_execute'], route: 'execute' }],
    ['a lower score', { confidence: 0.1 }, samplePolicy(), { without: ['confidence.below_reject'], route: 'review' }],
    ['one code twice', {}, failing, { without: ['rule.failed'], route: 'execute' }],
    [
      'two codes',
      { confidence: 0.5, time: NOW + 1e9 },
      samplePolicy(),
      { without: ['event.time_in_future', 'confidence.below_execute'], route: 'execute' },
    ],
    ['no score', { confidence: null }, samplePolicy(), null],
    ['an unknown action', { action: 'burn' }, samplePolicy(), null],
    [
      'an unknown action without a score',
      { action: 'burn', confidence: null },
      samplePolicy(),
      { without: ['action.unknown'], route: 'review' },
    ],
    ['a missing certificate', { action: 'listing.remove' }, samplePolicy(), null],
  ])('of %s', (_, event, policy, expected) => expect(verdictOf(event, policy).changes).toEqual(expected))
})

describe('audit', () => {
  it('picks by a hash of salt and action key, and records the chance', () => {
    const { audit, actionKey } = verdictOf({}, flagging({ auditShare: 0.5 }))
    const drawn = createHash('sha256').update(`salt${actionKey}`).digest().readBigUInt64BE()
    expect(audit).toEqual({ selected: Number(drawn) / 2 ** 64 < 0.5, propensity: 0.5 })
  })

  it('picks the declared share of what is executed', () => {
    const policy = flagging({ auditShare: 0.1 })
    const picked = Array.from({ length: 5000 }, (_, n) => verdictOf({ id: `e-${n}` }, policy).audit.selected)
    const share = picked.filter(Boolean).length / 5000
    // Five standard deviations of a binomial share of 0.1 in 5000.
    expect(Math.abs(share - 0.1)).toBeLessThan(5 * Math.sqrt((0.1 * 0.9) / 5000))
  })

  it('picks nothing that is not executed', () => {
    expect(verdictOf({ confidence: 0.5 }, flagging({ auditShare: 1 })).audit).toEqual({
      selected: false,
      propensity: 0,
    })
  })
})
