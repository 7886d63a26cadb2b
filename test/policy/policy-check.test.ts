import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { policyCheck } from '../../src/commands/policy-check.ts'
import { calibrationText } from './bad-calibrations.ts'
import { certificatesText, written } from './certificates.ts'
import { policyOf } from './scope.ts'
import { policyText, ruleText } from './written.ts'

let folder: string
const audited = (): string => policyText({ head: 'policy: shop\nversion: 1\naudit: { share: 0.1 }\n' })
const path = (name: string): string => join(folder, name)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-check-'))
  await writeFile(path('good.yaml'), audited())
  await writeFile(path('unaudited.yaml'), policyText())
  await writeFile(
    path('bad.yaml'),
    policyText({ head: 'policy: Shop\nversion: 1\n', rules: ruleText('event.acton == "a"') }),
  )
  await writeFile(path('tables.yaml'), calibrationText())
  await writeFile(path('tables.json'), '{ "tables": [] }')
  await writeFile(path('certificates.json'), certificatesText())
  await writeFile(path('certificates.yaml'), 'certificates: {}\n')
  await writeFile(path('none-yet.yaml'), 'certificates: []\n')
  await writeFile(path('shop.test.yaml'), 'cases: []')
})
afterAll(() => rm(folder, { recursive: true }))

async function check(files: readonly string[], json = false): Promise<{ readonly code: number; readonly out: string }> {
  const lines: string[] = []
  const code = await policyCheck(files.map(path), { json, print: (line) => void lines.push(line) })
  return { code, out: lines.join('\n').replaceAll(`${folder}/`, '') }
}

test('a fine policy is summed up', async () => {
  const { code, out } = await check(['good.yaml'])
  expect(code).toBe(0)
  expect(out).toBe(`good.yaml: fine
  policy   shop version 1, digest ${policyOf(audited()).digest}
  action   listing.flag: reversible, executed from 0.8, rejected below 0.2
  action   listing.remove: irreversible, executed with a certificate of risk 0.01 at 0.95
  action   refund.issue: compensable, never executed without a person
  context  seller by attributes.seller, at most 1h old, else review
  context  free by actor, at most 1h old, else review
  limit    burst: 20 proposals in 1m per subject.owner, beyond that review
  limit    per-model: 100 executions in 1h per model.name and action, beyond that reject
  rule     trusted: review, policy.trusted`)
})

test('what is executed on certificates and never audited is warned of, and is no mistake', async () => {
  const { code, out } = await check(['unaudited.yaml'])
  expect(code).toBe(0)
  expect(out).toContain(
    'rule     trusted: review, policy.trusted\n  warning  `listing.remove` is executed on certificates',
  )
  expect(out).toContain('never audited (`audit` is 0), so nothing would notice when they no longer hold')
  const json = await check(['unaudited.yaml'], true)
  expect(JSON.parse(json.out)).toMatchObject([{ warnings: [expect.stringContaining('never audited') as unknown] }])
})

test('every problem is a line that editors can jump to, with what to do below it', async () => {
  const { code, out } = await check(['bad.yaml'])
  expect(code).toBe(1)
  expect(out).toBe(`bad.yaml:1:9: \`Shop\` cannot be \`policy\`
  Start with a small letter, then small letters, digits, \`-\` and \`_\`, at most 64.
bad.yaml:15:17: \`event\` has no \`acton\`
  Did you mean \`action\`?
2 problems`)
})

test('calibration files are known by their name or their content', async () => {
  const { code, out } = await check(['tables.yaml', 'tables.json'])
  expect(code).toBe(1)
  expect(out).toMatch(
    /^tables.yaml: fine\n {2}digest {3}[0-9a-f]{32}\n {2}table {4}m version 3, every action: probability, 2 points, does not lapse$/mu,
  )
  expect(out).toContain('tables.json:1:13: `tables` has 0 entries')
})

test('files of certificates are known by their content and summed up', async () => {
  const { code, out } = await check(['certificates.json', 'certificates.yaml', 'none-yet.yaml'])
  expect(code).toBe(1)
  expect(out).toMatch(/^certificates.json: fine\n {2}digest {3}[0-9a-f]{32}$/mu)
  expect(out).toContain(
    `  execute  ${written().id}: listing.remove by m version 3, all traffic, from 0.9123456789012345 at a risk of 0.01 with 0.95, lapses 2027-02-01T00:00:00.000Z`,
  )
  expect(out).toContain('certificates.yaml:1:15: `certificates` must be a list')
  expect(out).toMatch(/^none-yet.yaml: fine\n.*\n {2}nothing is certified yet$/mu)
  expect(JSON.parse((await check(['certificates.json'], true)).out)).toMatchObject([
    { kind: 'certificates', certificates: [written().id] },
  ])
})

test('a file that is not there is one line, and the others are still checked', async () => {
  const { code, out } = await check(['nope.yaml', 'bad.yaml', '.'])
  expect(code).toBe(2)
  expect(out.split('\n').filter((line) => !line.includes('bad.yaml') && !line.startsWith(' '))).toEqual([
    'nope.yaml: there is no such file',
    '2 problems',
    `${folder}: it is a folder`,
  ])
})

test('no file at all is a mistake; tests beside a policy are left alone', async () => {
  expect(await check([])).toEqual({ code: 2, out: 'no file named: write `sluice policy check FILE`' })
  expect(await check(['shop.test.yaml'])).toMatchObject({ code: 0 })
})

test('as JSON', async () => {
  const { code, out } = await check(['good.yaml', 'bad.yaml', 'nope.yaml', 'tables.yaml'], true)
  expect(code).toBe(2)
  expect(JSON.parse(out)).toMatchObject([
    {
      kind: 'policy',
      file: 'good.yaml',
      name: 'shop',
      version: 1,
      actions: ['listing.flag', 'listing.remove', 'refund.issue'],
      context: ['seller', 'free'],
      limits: ['burst', 'per-model'],
      rules: ['trusted'],
      warnings: [],
    },
    {
      kind: 'problems',
      file: 'bad.yaml',
      problems: [
        { line: 1, column: 9 },
        { line: 15, column: 17 },
      ],
    },
    { kind: 'missing', file: 'nope.yaml', why: 'there is no such file' },
    { kind: 'calibration', file: 'tables.yaml', tables: 1 },
  ])
})
