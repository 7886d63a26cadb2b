import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dimensionOf } from '../../src/policy/dimension.ts'
import { formatDuration, parseDuration } from '../../src/policy/duration.ts'
import { nearest } from '../../src/policy/nearest.ts'
import { sampleEvent } from '../decision/samples.ts'
import { policyOf, sampleScope } from './scope.ts'
import { policyText, ruleText } from './written.ts'

describe('a policy means what it says', () => {
  test('names, thresholds, limits and contexts, in the author’s order', () => {
    const policy = policyOf(policyText())
    expect(policy).toMatchObject({ name: 'shop', version: 1 })
    expect([...policy.actions.values()]).toEqual([
      {
        action: 'listing.flag',
        undo: 'reversible',
        confidence: { execute: 0.8, certified: null, reject: 0.2, calibrated: 'optional' },
        costs: null,
        executeWithinMs: 300_000,
        stateless: false,
        auditShare: 0,
      },
      {
        action: 'listing.remove',
        undo: 'irreversible',
        confidence: {
          execute: null,
          certified: { risk: 0.01, assurance: 0.95, budget: 'per-execution', segment: null },
          reject: null,
          calibrated: 'optional',
        },
        costs: null,
        executeWithinMs: 300_000,
        stateless: false,
        auditShare: 0,
      },
      {
        action: 'refund.issue',
        undo: 'compensable',
        confidence: { execute: null, certified: null, reject: null, calibrated: 'optional' },
        costs: null,
        executeWithinMs: 300_000,
        stateless: false,
        auditShare: 0,
      },
    ])
    expect(policy.limits).toMatchObject([
      { id: 'burst', count: 'proposals', max: 20, windowMs: 60_000, over: 'review', actions: null },
      { id: 'per-model', count: 'executions', max: 100, windowMs: 3_600_000, over: 'reject', actions: null },
    ])
    expect(policy.limits.map(({ per }) => per.map(({ name }) => name))).toEqual([
      ['subject.owner'],
      ['model.name', 'action'],
    ])
    expect(policy.context).toMatchObject([
      { name: 'seller', key: { name: 'attributes.seller' }, maxAgeMs: 3_600_000, missing: 'review', stale: 'review' },
      { name: 'free', key: { name: 'actor' }, maxAgeMs: 3_600_000, missing: 'review', stale: 'review' },
    ])
    expect(policy.rules).toMatchObject([
      { id: 'trusted', route: 'review', code: 'policy.trusted', because: 'a person looks at it', contexts: ['seller'] },
    ])
  })

  test('what is left out', () => {
    expect(policyOf('policy: p\nversion: 1\nactions: { a: { undo: reversible } }')).toMatchObject({
      limits: [],
      context: [],
      rules: [],
      maxFutureMs: 300_000,
      maxAgeMs: null,
      duplicatesMs: 86_400_000,
      auditSalt: 'p',
      longestWindowMs: 86_400_000,
    })
  })

  test('what is not left out', () => {
    const head = `policy: p
version: 3
event: { maxFuture: 0s, maxAge: 2h }
duplicates: { window: 1m }
audit: { share: 0.05, salt: s }
`
    const actions =
      'actions:\n  a: { undo: reversible, stateless: false, executeWithin: 90s, audit: 0 }\n  b: { undo: reversible }\n'
    const limits = 'limits: [{ id: l, count: proposals, per: [], max: 1, window: 31d, over: review, actions: [a] }]\n'
    const context =
      'context: { c: { key: event.actor, maxAge: 1s, missing: execute, stale: reject, actions: [b] }, d: { key: event.actor, maxAge: 1s, missing: reject } }\n'
    const policy = policyOf(policyText({ head, actions, limits, context, rules: '' }))
    expect(policy).toMatchObject({
      version: 3,
      maxFutureMs: 0,
      maxAgeMs: 7_200_000,
      duplicatesMs: 60_000,
      auditSalt: 's',
      longestWindowMs: 31 * 86_400_000,
      limits: [{ per: [], actions: new Set(['a']) }],
      context: [
        { key: { name: 'actor' }, missing: 'execute', stale: 'reject', actions: new Set(['b']) },
        { missing: 'reject', stale: 'reject', actions: null },
      ],
    })
    expect(policy.actions.get('a')).toMatchObject({ executeWithinMs: 90_000, auditShare: 0 })
    expect(policy.actions.get('b')).toMatchObject({ auditShare: 0.05 })
  })

  test('the digest is the text’s, so that a comment changes it too', () => {
    const text = policyText()
    expect(policyOf(text)).toMatchObject({ text, digest: createHash('sha256').update(text).digest('hex').slice(0, 32) })
    expect(policyOf(`${text}# a comment\n`).digest).not.toBe(policyOf(text).digest)
  })

  test('its rules keep events apart, in whatever order they are asked', () => {
    const policy = policyOf(
      policyText({
        rules: ruleText(
          'event.action == "a"',
          `  - { id: s, when: 'event.action == "b"', route: reject, code: policy.s, because: why }\n`,
        ),
      }),
    )
    const scopes = ['a', 'b', 'a'].map((action) => sampleScope({ event: sampleEvent({ action }) }))
    expect(scopes.map((scope) => policy.rules.map(({ evaluate }) => evaluate(scope)))).toEqual(
      [
        [true, false],
        [false, true],
        [true, false],
      ].map((row) => row.map((holds) => ({ kind: 'value', holds }))),
    )
  })
})

describe('a dimension reads one value of the event', () => {
  const event = sampleEvent({ attributes: { seller: 's-1', level: 3, urgent: false, note: null, 'a.b': 'c' } })
  test.each([
    ['tenant', 'market'],
    ['event.tenant', 'market'],
    ['source', '/moderation/eu'],
    ['action', 'listing.flag'],
    ['actor', 'u-5'],
    ['model.name', 'moderator'],
    ['model.version', '3'],
    ['subject.type', 'listing'],
    ['event.subject.id', 'l-77'],
    ['subject.owner', 's-93'],
    ['attributes.seller', 's-1'],
    ['event.attributes.level', '3'],
    ['attributes.urgent', 'false'],
    ['attributes.note', null],
    ['attributes.a.b', 'c'],
    ['attributes.absent', null],
    ['attributes.constructor', null],
    ['attributes.__proto__', null],
  ])('%s is %s', (path, value) => {
    expect(dimensionOf(path)?.read(event)).toBe(value)
  })

  test.each([
    '',
    'event',
    'event.',
    'payload',
    'confidence',
    'attributes',
    'attributes.',
    'constructor',
    'event.event.tenant',
  ])('`%s` is none', (path) => {
    expect(dimensionOf(path)).toBeNull()
  })
})

describe('a duration', () => {
  test.each([
    ['0s', 0],
    ['500ms', 500],
    ['90s', 90_000],
    ['5m', 300_000],
    ['36h', 129_600_000],
    ['7d', 604_800_000],
  ])('%s is %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each(['', '5', 's', '-1s', '1.5h', '1h30m', '01s', '1 s', '1S', '1w', '9999999999999s', '١s'])(
    '`%s` is none',
    (text) => {
      expect(parseDuration(text)).toBeNull()
    },
  )

  test('is written so that it is read as the same', () => {
    fc.assert(fc.property(fc.nat({ max: 1e11 }), (ms) => parseDuration(formatDuration(ms)) === ms))
  })
})

describe('what was probably meant', () => {
  test.each([
    ['verson', 'version'],
    ['Version', 'version'],
    ['action', 'actions'],
    ['acitons', 'actions'],
    ['zzz', null],
    ['', null],
  ])('`%s`: %s', (word, meant) => {
    expect(nearest(word, ['policy', 'version', 'actions', 'rules'])).toBe(meant)
  })
})
