import { expect, test } from 'vitest'
import { certificateTree, NO_CERTIFICATES, type Certificate } from '../../src/decision/certificate.ts'
import { policyWarnings, rulebookWarnings } from '../../src/policy/warnings.ts'
import { written } from './certificates.ts'
import { policyOf } from './scope.ts'
import { policyText } from './written.ts'

const head = (share: number): string => `policy: shop\nversion: 1\naudit: { share: ${share} }\n`
const [audited, unaudited] = [policyOf(policyText({ head: head(0.1) })), policyOf(policyText({ head: head(0) }))]

const inForce = (...certificates: readonly Certificate[]) => ({
  ...NO_CERTIFICATES,
  tree: certificateTree(certificates),
})
const { issuedAt, expiresAt, ...rest } = written()
const removal = { ...rest, issuedAt: Date.parse(issuedAt), expiresAt: Date.parse(expiresAt) }

const AUDIT = expect.stringContaining('`listing.remove` is executed on certificates and never audited') as string
const NONE = '`listing.remove` is executed only on a certificate, and none is in force: it goes to review'

test('only what is executed on certificates must be audited', () => {
  expect(policyWarnings(audited)).toEqual([])
  expect(policyWarnings(unaudited)).toEqual([AUDIT])
})

test('an action without a certificate that it needs is named', () => {
  expect(rulebookWarnings(audited, NO_CERTIFICATES)).toEqual([NONE])
  expect(rulebookWarnings(unaudited, NO_CERTIFICATES)).toEqual([AUDIT, NONE])
  expect(rulebookWarnings(audited, inForce(removal))).toEqual([])
  expect(rulebookWarnings(audited, inForce({ ...removal, action: 'refund.issue' }))).toEqual([NONE])
})

test('a certificate that is relied on and not watched is named', () => {
  const perEvent = { ...removal, budget: 'per-event' } as const
  expect(rulebookWarnings(audited, inForce(perEvent))).toEqual([])
  const text = policyText({ head: head(0.1) })
  const relying = policyOf(text.replace('assurance: 0.95', 'assurance: 0.95, budget: per-event'))
  expect(relying.actions.get('listing.remove')?.confidence.certified?.budget).toBe('per-event')
  expect(rulebookWarnings(relying, inForce(removal))).toEqual([])
  expect(rulebookWarnings(relying, inForce(removal, perEvent))).toEqual([
    expect.stringContaining(`\`listing.remove\`: the certificate ${perEvent.id} is not watched`),
  ])
})
