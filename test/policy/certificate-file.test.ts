import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { NO_CERTIFICATES, relatedTo } from '../../src/decision/certificate.ts'
import { loadCertificates } from '../../src/policy/certificate-file.ts'
import { sampleEvent } from '../decision/samples.ts'
import { certificatesText, written } from './certificates.ts'

const schema = JSON.parse(readFileSync(new URL('../../schemas/certificate.schema.json', import.meta.url), 'utf8'))
const isValid = new Ajv({ strictTypes: false, allErrors: true }).compile(schema)

function loaded(text: string) {
  const result = loadCertificates(text, 'c.json')
  if (result.kind === 'problems') throw new Error(JSON.stringify(result.problems))
  return result.certificates
}

const problems = (text: string): readonly string[] => {
  const result = loadCertificates(text, 'c.json')
  return result.kind === 'problems'
    ? result.problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`)
    : []
}

test('a certificate keeps what decisions need, to the last bit, and its text to be published', () => {
  const text = certificatesText()
  const certificates = loaded(text)
  expect(certificates.text).toBe(text)
  expect(certificates.digest).toMatch(/^[0-9a-f]{32}$/)
  expect(certificates.tree.certificates).toEqual([
    {
      id: written().id,
      model: { name: 'm', version: '3' },
      action: 'listing.remove',
      scoreKind: 'probability',
      segment: null,
      budget: 'per-execution',
      risk: 0.01,
      assurance: 0.95,
      threshold: 0.9123456789012345,
      upperBound: 0.0077,
      issuedAt: Date.UTC(2026, 10, 1),
      expiresAt: Date.UTC(2027, 1, 1),
    },
  ])
})

test('as YAML it is the same certificate', () => {
  expect(loaded(stringify({ certificates: [written()] })).tree.certificates[0]?.id).toBe(written().id)
})

test('a list that is still empty is fine, and holds nothing', () => {
  const text = '{ "certificates": [] }'
  expect(loaded(text).tree).toEqual({ certificates: [], below: new Map() })
  expect(isValid(JSON.parse(text))).toBe(true)
})

test('what a certificate is bound to finds it; everything else does not', () => {
  const two = [written({ segment: 'toys', threshold: 0.95 }), written({ segment: 'books', threshold: 0.9 })]
  const certificates = loaded(certificatesText(...two))
  const event = sampleEvent({ action: 'listing.remove', model: { name: 'm', version: '3' } })
  const found = relatedTo(event, certificates)
  expect(found?.certificates.map(({ segment }) => segment)).toEqual(['books', 'toys'])
  expect(found?.below.get('3')?.below.get('toys')?.certificates).toHaveLength(1)
  for (const other of [{ action: 'listing.flag' }, { model: { name: 'n', version: '3' } }, { scoreKind: 'verbal' }])
    expect(relatedTo({ ...event, ...other }, certificates)).toBeNull()
  expect(relatedTo(sampleEvent({ action: 'constructor' }), NO_CERTIFICATES)).toBeNull()
})

describe('a bad file is refused, and each mistake is named where it is', () => {
  const forged = { ...written(), threshold: 0.5 }
  const bad: readonly (readonly [name: string, text: string, schemaTakesIt: boolean, message: string])[] = [
    ['no certificates', '{}', false, 'c.json:1:1: the file needs `certificates`'],
    [
      'an unknown field',
      certificatesText(written({ colour: 'red' })),
      false,
      'c.json:48:7: an entry of `certificates` has no setting `colour`',
    ],
    [
      'a threshold above 1',
      certificatesText(written({ threshold: 1.5 })),
      false,
      'c.json:15:20: `threshold` cannot be 1.5',
    ],
    ['a risk of 0', certificatesText(written({ risk: 0 })), false, 'c.json:13:15: `risk` cannot be 0'],
    [
      'a number as version',
      certificatesText({ ...written(), model: { name: 'm', version: 3 } }),
      false,
      'c.json:7:20: `version` must be a text',
    ],
    [
      'a day that is no time',
      certificatesText(written({ expiresAt: '2027-02-01' })),
      false,
      'c.json:46:20: `2027-02-01` cannot be `expiresAt`',
    ],
    [
      'a certificate that was edited',
      certificatesText(forged),
      true,
      `c.json:4:13: \`${forged.id}\` is not the id of what this certificate says: it was changed after it was issued`,
    ],
    [
      'more errors than executions',
      certificatesText(written({ labelledErrors: 1001 })),
      true,
      'c.json:17:27: 1001 errors among 1000 of 4000 labels cannot be',
    ],
    [
      'a bound that does not hold the promise',
      certificatesText(written({ upperBound: 0.02 })),
      true,
      'c.json:19:21: the upper bound 0.02 is above the risk 0.01 it is to prove',
    ],
    [
      'the same one twice',
      certificatesText(written(), written()),
      true,
      'c.json:49:5: this certificate is listed twice',
    ],
  ]
  test.each(bad)('%s', (_, text, schemaTakesIt, message) => {
    expect(problems(text)).toEqual([message])
    expect(isValid(JSON.parse(text))).toBe(schemaTakesIt)
  })

  test('a field that is missing', () => {
    for (const name of Object.keys(written()).filter((it) => it !== 'made')) {
      const text = certificatesText(Object.fromEntries(Object.entries(written()).filter(([it]) => it !== name)))
      expect(problems(text).join('\n'), name).toContain(`needs \`${name}\``)
      expect(isValid(JSON.parse(text)), name).toBe(false)
    }
  })

  test('no JSON at all', () => {
    expect(problems('{ "certificates": [')[0]).toMatch(/^c\.json:1:\d+: /)
  })
})
