import { describe, expect, it } from 'vitest'
import { NO_CALIBRATION } from '../../src/decision/calibration.ts'
import { NO_CERTIFICATES } from '../../src/decision/certificate.ts'
import { decide } from '../../src/decision/decide.ts'
import { explain } from '../../src/decision/explain.ts'
import { recompute } from '../../src/decision/recompute.ts'
import {
  MINUTE,
  actionRule,
  NOW,
  sampleCalibration,
  sampleCertificate,
  sampleCertificates,
  sampleCosts,
  sampleFacts,
  sampleOrder,
  samplePolicy,
  sampleReceived,
  sampleTable,
} from './samples.ts'

const policy = samplePolicy()
const calibration = sampleCalibration(sampleTable())

describe('explain', () => {
  it('tells a review in full', () => {
    const received = sampleReceived({ confidence: 0.95, expiresAt: NOW + 30_000 })
    const [counter] = sampleFacts(received, policy).counters
    const facts = sampleFacts(received, policy, {
      counters: counter === undefined ? [] : [{ ...counter, before: 20, after: 21 }],
      control: [sampleOrder({ kind: 'exempt', rule: 'trusted-seller', reason: '' })],
    })
    expect(explain(decide(received, facts, policy, calibration, NO_CERTIFICATES))).toBe(
      `Decision model.outputs:3:1842: listing.flag goes to review, limit.exceeded

  proposal    \`listing.flag\` of \`listing\` \`l-77\`, owner \`s-93\`
  by          model \`moderator\` \`3\` for tenant \`market\`, on behalf of \`u-5\`
  event       \`e-1\` from \`/moderation/eu\`, 2026-11-24T11:59:58.000Z, 2 s before the decision
  expires     2026-11-24T12:00:30.000Z, 30 s after the decision
  undo        reversible

What decided it
  review      limit.exceeded (burst-per-seller): this would be number 21 of at most 20 proposals per
              subject.owner in 1 min

What was noticed besides
  execute     confidence.sufficient: the score 0.93 reaches 0.8

What would have changed it
              Without limit.exceeded it would have been executed.

Confidence
  score       0.95 as sent, 0.93 by calibration table cccccccccccccccccccccccccccccccc
  execute     from 0.8; the score is +0.13 from there
  reject      below 0.2; the score is +0.73 from there
  margin      +0.13 to the nearest of these

What was known
  time        2026-11-24T12:00:00.000Z by the clock of the state store
  state       answered
  earlier     no event of this id is known
  context     \`seller\` \`s-93\`: version 4 from \`crm\`, 2026-11-24T11:59:00.000Z, 1 min before the
              decision
              trusted = false
  counter     \`burst-per-seller\`: 20 before this event, 21 after
  order       \`o-1\` of \`ada\` exempts \`trusted-seller\`, until 2026-11-24T13:00:00.000Z, 1 h after the
              decision

Record
  mode        normal
  policy      \`marketplace\` version 7, digest aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  calibration file with digest dddddddddddddddddddddddddddddddd
  engine      sluice-decide/1
  action key  7f44a2a857575a988e854a886b3b154b
  audit       not picked for labelling, chance 0
  input       model.outputs partition 3 offset 1842, keyed, 2026-11-24T11:59:58.100Z
              schema 1, digest 00112233445566778899aabbccddeeff
`,
    )
  })

  it.each([
    ['nothing stood against it', { confidence: 0.95 }, 'Nothing stood against it.'],
    ['no score', { confidence: null }, 'none was sent'],
    ['a score that is none', { confidence: Number.NaN }, 'NaN was sent, which is not a score'],
    [
      'what cannot be told',
      { confidence: null },
      'It cannot be told: the score could not be held against a threshold.',
    ],
    ['an unknown action', { action: 'burn' }, 'not known, as the policy does not know the action'],
    ['the end of an execution', { confidence: 0.95 }, 'not after   2026-11-24T12:01:00.000Z, 1 min after the decision'],
    ['a context the event does not name', { attributes: {} }, '`seller`: the event names none'],
  ])('says %s', (_, event, sentence) => {
    const received = sampleReceived(event)
    const text = explain(decide(received, sampleFacts(received, policy), policy, NO_CALIBRATION, NO_CERTIFICATES))
    expect(text.replaceAll(/\s+/g, ' ')).toContain(sentence.replaceAll(/\s+/g, ' '))
  })

  it('says what the certificate promises, and how far the score is from it', () => {
    const received = sampleReceived({ action: 'listing.remove', confidence: 0.96 })
    const certificates = sampleCertificates(sampleCertificate())
    const text = explain(decide(received, sampleFacts(received, policy), policy, calibration, certificates))
    expect(text).toContain(`
Confidence
  score       0.96 as sent, 0.944 by calibration table cccccccccccccccccccccccccccccccc
  reject      below 0.3; the score is +0.644 from there
  margin      +0.06 to the nearest of these
  certified   from 0.9 as sent; the score as sent is +0.06 from there
  certificate ffffffffffffffffffffffffffffffff
              at most 1 % errors among executed events, with 95 %; upper bound 0.9 %
`)
    expect(text).toContain('\n  certified   by the file of certificates with digest eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\n')
  })

  it('says between which shares the score lies, and what was weighed', () => {
    const received = sampleReceived({ confidence: 0.75 })
    const rule = actionRule('listing.flag', { costs: sampleCosts() })
    const weighing = samplePolicy({ actions: new Map([[rule.action, rule]]) })
    const low = sampleTable().points
    const interval = { low, high: low.map(([raw, it]) => [raw, Math.min(1, it + 0.1)] as const) }
    const verdict = decide(
      received,
      sampleFacts(received, weighing),
      weighing,
      sampleCalibration(sampleTable({ interval })),
      NO_CERTIFICATES,
    )
    expect(verdict.score).toMatchObject({
      calibrated: 0.65,
      low: 0.65,
      high: 0.7,
      execute: 0.98,
      reject: 0.266666666667,
    })
    expect(explain(verdict)).toContain(`
Confidence
  score       0.75 as sent, 0.65 by calibration table cccccccccccccccccccccccccccccccc
  right       in 65 % to 70 % of cases like it
  costs       200 for a wrong execution, 15 for a wrong rejection, 4 for a look
  execute     from 0.98; the score is -0.33 from there
  reject      below 0.266666666667; the score is +0.383 from there
  margin      -0.33 to the nearest of these
`)
  })

  it('says what a withdrawal withdraws', () => {
    const received = sampleReceived()
    const order = sampleOrder({ kind: 'force', route: 'review', certificate: 'f'.repeat(32), expiresAt: null })
    const text = explain(
      decide(received, sampleFacts(received, policy, { control: [order] }), policy, NO_CALIBRATION, NO_CERTIFICATES),
    )
    expect(text.replaceAll(/\s+/g, ' ')).toContain(
      `order \`o-1\` of \`ada\` withdraws certificate \`${'f'.repeat(32)}\`, until it is lifted: incident 12`,
    )
  })

  it('shows text from outside without letting it move the cursor, colour or reorder', () => {
    const received = sampleReceived({ actor: '\u001B[31mred\u202Eder\n' })
    const text = explain(decide(received, sampleFacts(received, policy), policy, calibration, NO_CERTIFICATES))
    expect(text).toContain(String.raw`\u{1b}[31mred\u{202e}der\u{a}`)
  })
})

describe('recompute', () => {
  const received = sampleReceived({ confidence: Number.NaN, payload: new Uint8Array([1, 2]) })
  const verdict = decide(received, sampleFacts(received, policy), policy, calibration, NO_CERTIFICATES)

  it('finds a verdict equal to itself, NaN and all', () => {
    expect(recompute(structuredClone(verdict), policy, calibration, NO_CERTIFICATES)).toEqual({
      equal: true,
      differences: [],
    })
  })

  it('names every field that differs', () => {
    const [first] = verdict.findings
    const tampered = { ...verdict, route: 'execute', findings: [{ ...first!, route: 'execute' }], notAfter: 5 } as const
    expect(recompute(tampered, policy, calibration, NO_CERTIFICATES)).toEqual({
      equal: false,
      differences: ['route', 'findings.0.route', 'notAfter'],
    })
  })

  it('sees another policy, calibration, or changed facts', () => {
    expect(recompute(verdict, { ...policy, digest: 'b' }, calibration, NO_CERTIFICATES).differences).toEqual([
      'policy.digest',
    ])
    expect(recompute(verdict, policy, NO_CALIBRATION, NO_CERTIFICATES).differences).toEqual(['policy.calibration'])
    const older = { ...verdict, facts: { ...verdict.facts, now: NOW + 48 * 60 * MINUTE } }
    expect(recompute(older, policy, calibration, NO_CERTIFICATES).differences).toContain('code')
  })

  it('sees a finding that is missing or added', () => {
    expect(recompute({ ...verdict, findings: [] }, policy, calibration, NO_CERTIFICATES).differences).toEqual([
      'findings.0',
    ])
    const doubled = { ...verdict, findings: [...verdict.findings, ...verdict.findings] }
    expect(recompute(doubled, policy, calibration, NO_CERTIFICATES).differences).toEqual(['findings.1'])
  })
})
