import { spawnSync } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { certifyThreshold, type CertifyOptions } from '../../src/commands/certify.ts'
import { reportCertificate, type ReportOptions } from '../../src/commands/report.ts'
import { certificateId } from '../../src/policy/certificate-file.ts'
import type { Report } from '../../src/report/report.ts'
import { rowsOf } from '../calibration/series.ts'

let folder: string
let id: string
let oldId: string
const path = (name: string): string => join(folder, name)
const write = (name: string, text: string): Promise<void> => writeFile(path(name), text)
const quiet = { print: () => undefined, complain: () => undefined }

const certified = (options: Partial<CertifyOptions>): Promise<number> =>
  certifyThreshold({
    labelled: path('labelled.csv'),
    unlabelled: path('unlabelled.csv'),
    score: 'score',
    label: 'wrong',
    labelMeans: 'error',
    time: 'at',
    risk: 0.05,
    assurance: 0.95,
    budget: 'per-execution',
    jointly: false,
    scoreKind: 'probability',
    validFor: '90d',
    seed: 3,
    model: 'vgg@7',
    action: 'image.tag',
    now: () => Date.UTC(2026, 4, 1),
    out: path('certificates.json'),
    json: false,
    ...quiet,
    ...options,
  })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-report-'))
  const day = (row: number): string => new Date(Date.UTC(2026, 2, 1) + row * 600_000).toISOString()
  const rows = rowsOf('cifar10-vgg.csv').map(
    ({ label, score }, row) => `${day(row)},customer ${Math.floor(row / 4)},${label === '1' ? 0 : 1},${score}`,
  )
  const half = (from: 0 | 1): string =>
    `${['at,customer,wrong,score', ...rows.filter((_, row) => row % 2 === from)].join('\n')}\n`
  await write('labelled.csv', half(0))
  await write('unlabelled.csv', half(1))
  await write(
    'verdicts.csv',
    'time,route,code,propensity,label\n2026-05-02T00:00:00Z,execute,x,1,1\n2026-05-03T00:00:00Z,review,y,,\n',
  )
  expect(await certified({})).toBe(0)
  id = JSON.parse(await readFile(path('certificates.json'), 'utf8')).certificates[0].id
}, 60_000)
afterAll(() => rm(folder, { recursive: true }))

type Ran = { readonly code: number; readonly said: string; readonly complaint: string }

async function reported(options: Partial<ReportOptions>): Promise<Ran> {
  const [said, complaints]: [string[], string[]] = [[], []]
  const code = await reportCertificate({
    certificate: id,
    certificates: path('certificates.json'),
    json: false,
    print: (line) => void said.push(line),
    complain: (line) => void complaints.push(line),
    ...options,
  })
  const plain = (lines: readonly string[]): string => lines.join('\n').replaceAll(`${folder}/`, '').replaceAll(id, 'ID')
  return { code, said: plain(said), complaint: plain(complaints) }
}

describe('sluice report', () => {
  test('writes one page, the same bytes each time, with the certificate’s figures', async () => {
    expect(await reported({ out: path('a.html') })).toEqual({
      code: 0,
      said: 'wrote a.html: certificate ID',
      complaint: '',
    })
    await reported({ out: path('b.html'), certificate: id.slice(0, 8) })
    const page = await readFile(path('a.html'), 'utf8')
    expect(await readFile(path('b.html'), 'utf8')).toBe(page)
    expect(page).toContain(`Certificate ${id}`)
    expect(page.replaceAll('\u00A0', ' ')).toContain('labelled rows from 2026-03-01T00:00:00.000Z to 2026-04-04')
  })

  test('prints the same figures as JSON', async () => {
    const { code, said } = await reported({
      json: true,
      verdicts: path('verdicts.csv'),
      costWrong: 30,
      costReview: 2,
      previous: 0.5,
    })
    const report = JSON.parse(said.replaceAll('"ID"', `"${id}"`)) as Report
    const { certificates } = JSON.parse(await readFile(path('certificates.json'), 'utf8'))
    const { made, ...certificate } = certificates[0]
    expect(code).toBe(0)
    expect(made.labelMeans).toBe('error')
    expect(report.certificate).toEqual(certificate)
    const chosen = report.risk.points.find(({ threshold }) => threshold === certificate.threshold)
    expect(chosen).toMatchObject({
      executed: certificate.labelledExecuted,
      errors: certificate.labelledErrors,
      result: 'certified',
    })
    expect(report.mix.observed?.reviewsPerDay).toBe(1)
    // 2,498 rows over nearly 35 days.
    expect(report.mix.reviewsPerDay).toBeCloseTo(report.mix.expected.review / 34.7, 1)
    expect(report.costs.rows.find(({ policy }) => policy === 'previous policy')?.threshold).toBe(0.5)
    expect(report.audit?.strata).toHaveLength(1)
  })

  test('makes a certificate by cluster again with the same row of each', async () => {
    expect(await certified({ cluster: 'customer', out: path('clusters.json') })).toBe(0)
    const { certificates } = JSON.parse(await readFile(path('clusters.json'), 'utf8'))
    const { code, said } = await reported({
      certificates: path('clusters.json'),
      certificate: certificates[0].id,
      json: true,
    })
    expect(code).toBe(0)
    const { reliability, quality } = JSON.parse(said) as Report
    expect(reliability.rows).toBe(certificates[0].clusters)
    expect(quality.find(({ what }) => what === 'independence')?.state).toBe('fine')
  })

  test('takes files that have moved, if they are the same', async () => {
    await copyFile(path('labelled.csv'), path('moved.csv'))
    expect((await reported({ labelled: path('moved.csv'), out: path('c.html') })).code).toBe(0)
  })

  test.each<[string, () => Partial<ReportOptions>, RegExp]>([
    [
      'no way out',
      () => ({}),
      /^where should the report go\? -o report\.html writes a page, --json prints the figures$/,
    ],
    [
      'no certificates',
      () => ({ certificates: path('none.json'), json: true }),
      /^none\.json: it cannot be read; `sluice certify -o` writes certificates, --certificates says where$/,
    ],
    [
      'something else',
      () => ({ certificates: path('labelled.csv'), json: true }),
      /^labelled\.csv:1:1: the file must be a mapping/,
    ],
    [
      'another kind of JSON',
      () => ({ certificates: path('other.json'), json: true }),
      /^other\.json:1:1: the file needs `certificates`/,
    ],
    [
      'an id that it does not have',
      () => ({ certificate: 'ffff', json: true }),
      /^certificates\.json: it has no certificate `ffff`; it has ID$/,
    ],
    [
      'an empty id',
      () => ({ certificate: '', json: true }),
      /^certificates\.json: it has no certificate ``; it has ID$/,
    ],
    [
      'an id that two have',
      () => ({ certificates: path('twice.json'), json: true }),
      /^twice\.json:\d+:\d+: this certificate is listed twice/,
    ],
    [
      'a certificate of no known origin',
      () => ({ certificates: path('old.json'), certificate: oldId, json: true }),
      /^old\.json: certificate \w{32} does not say what it was made from; certify anew with this release$/,
    ],
    [
      'a certificate changed by hand',
      () => ({ certificates: path('changed.json'), json: true }),
      /^changed\.json:\d+:\d+: `ID` is not the id of what this certificate says: it was changed after it was issued/,
    ],
    [
      'another file',
      () => ({ labelled: path('unlabelled.csv'), json: true }),
      /^unlabelled\.csv: this is not the labelled file the certificate was made from \(digest [0-9a-f]{32}, not [0-9a-f]{32}\); name that one with --labelled$/,
    ],
    ['a file that is gone', () => ({ unlabelled: path('gone.csv'), json: true }), /^gone\.csv: there is no such file$/],
    [
      'a column that is not there',
      () => ({ segment: 'country', json: true }),
      /^labelled\.csv: it has no column `country`; .*\nunlabelled\.csv: it has no column `country`; /,
    ],
    [
      'one cost only',
      () => ({ costWrong: 3, json: true }),
      /^--cost-wrong and --cost-review go together: only their ratio decides$/,
    ],
    ['no score', () => ({ previous: 90, json: true }), /^--previous 90: a score lies between 0 and 1$/],
    [
      'verdicts without columns',
      () => ({ verdicts: path('labelled.csv'), json: true }),
      /^labelled\.csv: it has no column `time`; .*\n(labelled\.csv: it has no column `\w+`; .*\n?){4}$/,
    ],
    [
      'unfit verdicts',
      () => ({ verdicts: path('bad.csv'), json: true }),
      /^bad\.csv:2: time is `today`; write it as 2026-05-01T12:00:00Z\nbad\.csv:3: route is `go`; it is execute, review or reject\nbad\.csv:4: propensity is `0`; .*\nbad\.csv:5: label is `yes`; it is 1, 0 or blank$/,
    ],
    [
      'a folder that is not there',
      () => ({ out: path('none/r.html') }),
      /^none\/r\.html: it cannot be written \(ENOENT/,
    ],
  ])('%s: one clear line each, exit code 2', async (_, options, complaint) => {
    const file = JSON.parse(await readFile(path('certificates.json'), 'utf8'))
    const [{ made: _made, id: _id, ...old }] = file.certificates
    await write('other.json', '{"tables": []}')
    await write('twice.json', JSON.stringify({ certificates: [...file.certificates, ...file.certificates] }))
    oldId = certificateId(old)
    await write('old.json', JSON.stringify({ certificates: [{ id: oldId, ...old }] }))
    await write('changed.json', JSON.stringify({ certificates: [{ ...file.certificates[0], threshold: 0.5 }] }))
    await write(
      'bad.csv',
      'time,route,code,propensity,label\ntoday,execute,,,\n2026-05-01,go,,,\n2026-05-01,execute,,0,\n2026-05-01,execute,,,yes\n',
    )
    const ran = await reported(options())
    expect(ran.complaint).toMatch(complaint)
    expect([ran.code, ran.said]).toEqual([2, ''])
  })

  test('from the command line, whoever reads only its first line still has the page written', () => {
    const cli = new URL('../../src/cli.ts', import.meta.url).pathname
    const command = `"${process.execPath}" "${cli}" report --certificate ${id} --json -o piped.html | head -n 1`
    const { stdout, stderr } = spawnSync('sh', ['-c', command], { cwd: folder, encoding: 'utf8' })
    expect([stdout, stderr]).toEqual(['{\n', ''])
    const { status } = spawnSync('sh', ['-c', 'cmp piped.html a.html'], { cwd: folder })
    expect(status).toBe(0)
  }, 120_000)

  test('a mistyped option ends with 2, a refusal with 1', () => {
    const cli = new URL('../../src/cli.ts', import.meta.url).pathname
    const codeOf = (...args: string[]): number | null =>
      spawnSync(process.execPath, [cli, ...args], { cwd: folder, encoding: 'utf8' }).status
    expect(codeOf('report', '--certificat', id)).toBe(2)
    const files = [
      '--labelled',
      'labelled.csv',
      '--unlabelled',
      'unlabelled.csv',
      '--score',
      'score',
      '--label',
      'wrong',
    ]
    expect(codeOf('certify', ...files, '--risk', '5')).toBe(2)
    expect(codeOf('certify', ...files, '--risk', '0.01')).toBe(1)
  }, 120_000)
})
