import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { calibrate } from '../../src/decision/calibrate.ts'
import { calibrateScores, type CalibrateOptions } from '../../src/commands/calibrate.ts'
import { certifyThreshold, type CertifyOptions } from '../../src/commands/certify.ts'
import { loadCalibration } from '../../src/policy/calibration-file.ts'
import { GOLDEN, rowsOf } from './series.ts'

let folder: string
const path = (name: string): string => join(folder, name)
const data = (name: string): string => new URL(`data/${name}`, import.meta.url).pathname

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-certify-'))
  const write = (name: string, rows: readonly string[]) => writeFile(path(name), `${rows.join('\n')}\n`)
  const stated = rowsOf('llm-mmlupro.csv').filter(({ model }) => model === 'gpt-4.1-mini')
  const lines = stated.map(({ segment, label, verbal, logit }) => `${segment},${label},${verbal},${logit}`)
  await write('stated.csv', ['segment,label,verbal,logit', ...lines])
  await write('few.csv', ['segment,label,verbal,logit', ...lines.slice(0, 143)])
  const vgg = rowsOf('cifar10-vgg.csv').map(({ label, score }) => `${label},${score}`)
  await write('even.csv', ['label,score', ...vgg.filter((_, row) => row % 2 === 0)])
  await write('odd.csv', ['label,score', ...vgg.filter((_, row) => row % 2 === 1)])
  await write('errors.csv', ['wrong,score', ...vgg.map((line) => `${line.startsWith('0') ? 1 : 0}${line.slice(1)}`)])
  await write('right.csv', ['label,score', ...Array.from({ length: 400 }, (_, row) => `1,${row / 400}`)])
  await write('dirty.csv', ['label,score', ...vgg.slice(0, 900), ...Array.from({ length: 100 }, () => '1,97')])
})
afterAll(() => rm(folder, { recursive: true }))

type Ran = { readonly code: number; readonly out: string }

/** What is said and what is complained about must never come together. */
async function runWith(run: (print: Print, complain: Print) => Promise<number>): Promise<Ran> {
  const said: string[] = []
  const complaints: string[] = []
  const code = await run(
    (line) => void said.push(line),
    (line) => void complaints.push(line),
  )
  expect(complaints.length > 0).toBe(code === 2)
  return { code, out: [...said, ...complaints].join('\n').replaceAll(`${folder}/`, '') }
}

type Print = (line: string) => void

const calibrated = (options: Partial<CalibrateOptions>): Promise<Ran> =>
  runWith((print, complain) =>
    calibrateScores({
      csv: path('even.csv'),
      score: 'score',
      label: 'label',
      labelMeans: 'right',
      model: 'vgg@2026-05',
      scoreKind: 'probability',
      seed: 1,
      json: false,
      print,
      complain,
      ...options,
    }),
  )

const certified = (options: Partial<CertifyOptions>): Promise<Ran> =>
  runWith((print, complain) =>
    certifyThreshold({
      labelled: path('even.csv'),
      unlabelled: path('odd.csv'),
      score: 'score',
      label: 'label',
      labelMeans: 'right',
      risk: 0.01,
      assurance: 0.95,
      budget: 'per-execution',
      jointly: false,
      scoreKind: 'probability',
      validFor: '90d',
      seed: 1,
      json: false,
      print,
      complain,
      ...options,
    }),
  )

describe('sluice calibrate', () => {
  test('writes what the processor loads, the same bytes every time, and reports what it does', async () => {
    const first = await calibrated({ out: path('c.json'), action: 'image.tag' })
    const text = await readFile(path('c.json'), 'utf8')
    const loaded = loadCalibration(text, 'c.json')
    if (loaded.kind === 'problems') throw new Error(JSON.stringify(loaded.problems))
    const [table] = loaded.calibration.tables
    expect(table).toMatchObject({ model: { name: 'vgg', version: '2026-05' }, action: 'image.tag', expiresAt: null })
    // Of scores near 0.8 in this file about half are right.
    expect(calibrate(table?.points ?? [], 0.8)).toBeCloseTo(0.5, 1)
    const { low = [], high = [] } = table?.interval ?? {}
    expect(low.length).toBeGreaterThan(50)
    expect(calibrate(high, 0.8)).toBeGreaterThan(calibrate(low, 0.8))
    expect(calibrate(high, 0.8) - calibrate(low, 0.8)).toBeLessThan(0.2)
    expect(first.code).toBe(0)
    expect(first.out).toContain(`wrote c.json, digest ${loaded.calibration.digest}`)
    expect(first.out).toMatch(/^map {6}(beta|platt|isotonic)$/m)
    await calibrated({ out: path('again.json'), action: 'image.tag' })
    expect(await readFile(path('again.json'), 'utf8')).toBe(text)
    const schema = JSON.parse(await readFile(new URL('../../schemas/calibration.schema.json', import.meta.url), 'utf8'))
    expect(new Ajv({ strictTypes: false }).compile(schema)(JSON.parse(text))).toBe(true)
  })

  test('says where the map came from, inside the file', async () => {
    await calibrated({ csv: data('forecasts-538.csv'), time: 'date', out: path('c.json') })
    const { tables } = JSON.parse(await readFile(path('c.json'), 'utf8'))
    expect(tables[0].fit).toMatchObject({
      rows: 10_737,
      withoutScore: 0,
      window: { from: '2015-10-27', to: '2022-09-18' },
      labelMeans: 'right',
      seed: 1,
    })
    expect(tables[0].fit.dataDigest).toMatch(/^[0-9a-f]{32}$/)
    const loaded = loadCalibration(JSON.stringify({ tables }), 'c.json')
    expect(loaded).toMatchObject({ calibration: { tables: [{ digest: tables[0].fit.digest }] } })
  })

  test('names the segments it serves worst first', async () => {
    const { out } = await calibrated({ csv: path('stated.csv'), score: 'verbal', segment: 'segment' })
    expect(out.split('\n').find((line) => line.startsWith('law'))).toMatch(/^law +562 +62\.\d % +50\.0 %$/)
    expect(out.indexOf('\nlaw ')).toBeLessThan(out.indexOf('\nbiology '))
    expect(out).toContain('and 4 more')
  })

  test('gives the same in JSON', async () => {
    const { code, out } = await calibrated({ csv: path('stated.csv'), score: 'verbal', json: true })
    const report = JSON.parse(out)
    expect(code).toBe(0)
    expect(report).toMatchObject({ rows: 5_852, withoutScore: 82, map: { kind: 'isotonic' }, refusal: null })
    const golden = GOLDEN.series['llm-mmlupro/gpt-4.1-mini/verbal']
    expect(report.before.logLoss).toBeCloseTo(golden?.metrics['logloss_clip1e-6'] ?? NaN, 9)
    expect(report.after.calibrationError).toBeLessThan(0.02)
  })

  test('takes labels that mean error the other way round', async () => {
    const plain = await calibrated({ csv: data('cifar10-vgg.csv'), json: true })
    const turned = await calibrated({ csv: path('errors.csv'), label: 'wrong', labelMeans: 'error', json: true })
    expect(JSON.parse(turned.out).points).toEqual(JSON.parse(plain.out).points)
  })

  test.each<[string, Partial<CalibrateOptions>, number, string]>([
    [
      'too few rows',
      { csv: 'few.csv', score: 'logit' },
      1,
      'few.csv: no map: 143 independent rows with a score, 200 needed (labels.too_few)',
    ],
    [
      'one class',
      { csv: 'right.csv' },
      1,
      'right.csv: no map: all 400 labels say right, and a map is learnt from both (labels.one_class)',
    ],
    [
      'dirty scores',
      { csv: 'dirty.csv' },
      1,
      'dirty.csv: 100 of 1000 labelled rows have no score between 0 and 1, and at most 5 % may lack one (scores.dirty)',
    ],
    ['a missing column', { score: 'scores' }, 2, 'even.csv: it has no column `scores`; did you mean `score`?'],
    [
      'a model without version',
      { model: 'vgg' },
      2,
      '--model vgg: write NAME@VERSION as the events do, e.g. moderator@2026-05; scores of another version mean something else',
    ],
    ['a missing file', { csv: 'none.csv' }, 2, 'none.csv: there is no such file'],
  ])('%s: one line', async (_, options, code, out) => {
    const csv = path(options.csv ?? 'even.csv')
    expect(await calibrated({ ...options, csv })).toEqual({ code, out: out.replaceAll(`${folder}/`, '') })
  })

  test('clusters count once each, so repeated forecasts of 83 races are too few', async () => {
    const { code, out } = await calibrated({ csv: data('elections-538-clustered.csv'), cluster: 'cluster' })
    expect(code).toBe(1)
    expect(out).toContain('83 independent rows with a score, 200 needed (labels.too_few)')
  })

  test('a folder that is not there is said, and the exit code tells', async () => {
    const { code, out } = await calibrated({ out: path('none/c.json') })
    expect(code).toBe(2)
    expect(out).toMatch(/none\/c\.json: it cannot be written \(ENOENT/)
  })
})

describe('sluice certify', () => {
  test('gives the golden threshold with its promise', async () => {
    const { code, out } = await certified({})
    expect(code).toBe(0)
    expect(out).toContain(
      'execute from 0.99757212: 80.1 % of the traffic, 12 errors among 1982 labels, upper bound 0.979 %',
    )
    expect(out).toContain('With probability of at least 95 % over the labelled sample')
    expect(out).toContain('0.29707268')
  })

  test('gives every field in JSON', async () => {
    const golden = GOLDEN.series['cifar10-vgg/top1']?.threshold['0.01']
    const { out } = await certified({ json: true })
    const report = JSON.parse(out)
    expect(report).toMatchObject({
      threshold: golden?.lambda,
      labelledExecuted: golden?.labelled_executed,
      labelledErrors: golden?.labelled_errors,
      coverage: golden?.test_coverage,
      grid: { size: golden?.grid_size },
      segments: [],
      refusal: null,
    })
    expect(report.upperBound).toBeCloseTo(golden?.upper_95_alone ?? NaN, 12)
    expect(report.grid.hash).toMatch(/^[0-9a-f]{32}$/)
    expect(report.tests).toHaveLength(golden?.grid_size ?? 0)
  })

  test.each<[string, Partial<CertifyOptions>, string, string]>([
    [
      'stated confidence at 1 %',
      { labelled: 'stated.csv', unlabelled: 'stated.csv', score: 'verbal' },
      'labels.too_many_errors',
      'not certifiable at 1 %: the best threshold, 1, has 21 errors among 716 labels (2.93 %); no number of labels would do while errors are as frequent',
    ],
    [
      'too few labels',
      { labelled: 'few.csv', unlabelled: 'stated.csv', score: 'logit' },
      'labels.too_few',
      'not certifiable at 1 %: 143 labels above any threshold, 299 needed without an error',
    ],
    [
      'dirty scores',
      { labelled: 'dirty.csv' },
      'scores.dirty',
      '100 of 1000 labelled rows have no score between 0 and 1, and at most 5 % may lack one',
    ],
    [
      'dirty unlabelled scores',
      { unlabelled: 'dirty.csv' },
      'scores.dirty',
      '100 of 1000 unlabelled rows have no score between 0 and 1, and at most 5 % may lack one',
    ],
  ])('%s: refused with its code and what would be needed', async (_, options, refusal, detail) => {
    const files = { labelled: path(options.labelled ?? 'even.csv'), unlabelled: path(options.unlabelled ?? 'odd.csv') }
    const inWords = await certified({ ...options, ...files, out: path('refused.json'), model: 'm@1', action: 'a' })
    const inJson = await certified({ ...options, ...files, json: true })
    expect([inWords.code, inJson.code]).toEqual([1, 1])
    expect(inWords.out).toContain(`${detail} (${refusal})`)
    expect(JSON.parse(inJson.out)).toMatchObject({ threshold: null, segments: [], refusal: { code: refusal, detail } })
    await expect(readFile(path('refused.json'))).rejects.toThrow('ENOENT')
  })

  test('rows of the same races are certified when taken as independent, and refused by cluster', async () => {
    const file = data('elections-538-clustered.csv')
    const files = { labelled: file, unlabelled: file, risk: 0.05 }
    expect((await certified(files)).out).toContain('labels, taken as independent')
    const clustered = await certified({ ...files, cluster: 'cluster' })
    expect(clustered.code).toBe(1)
    expect(clustered.out).toContain('83 labels, one random row of each cluster')
  })

  test('each segment stands for itself, the worst first', async () => {
    const files = { labelled: path('stated.csv'), unlabelled: path('stated.csv'), score: 'verbal', risk: 0.1 }
    const { code, out } = await certified({ ...files, segment: 'segment' })
    expect(code).toBe(0)
    expect(out).toMatch(/^math +execute from 0\.95: 88\.2 % of the traffic/m)
    expect(out).toMatch(/^law +not certifiable at 10 %/m)
    expect(out.indexOf('\nlaw ')).toBeLessThan(out.indexOf('\nmath '))
    const report = JSON.parse((await certified({ ...files, segment: 'segment', json: true })).out)
    expect(report.segments).toHaveLength(14)
    expect(report.segments.find((it: { segment: string }) => it.segment === 'math')).toMatchObject({
      threshold: 0.95,
      refusal: null,
    })
  })

  test('writes certificates as the schema has them, one for each certified segment', async () => {
    const schema = JSON.parse(await readFile(new URL('../../schemas/certificate.schema.json', import.meta.url), 'utf8'))
    const isValid = new Ajv({ strictTypes: false, allErrors: true }).compile(schema)
    const bound = {
      model: 'm@7',
      action: 'listing.flag',
      out: path('c.json'),
      now: () => Date.UTC(2026, 4, 1),
      validFor: '30d',
    }
    const read = async () => {
      const file = JSON.parse(await readFile(path('c.json'), 'utf8'))
      expect(isValid(file), JSON.stringify(isValid.errors)).toBe(true)
      return file.certificates
    }
    expect((await certified(bound)).code).toBe(0)
    const [alone] = await read()
    expect(alone).toMatchObject({
      model: { name: 'm', version: '7' },
      action: 'listing.flag',
      segment: null,
      threshold: 0.99757212,
      made: {
        labelled: path('even.csv'),
        unlabelled: path('odd.csv'),
        columns: { score: 'score', cluster: null },
        seed: 1,
      },
      issuedAt: '2026-05-01T00:00:00.000Z',
      expiresAt: '2026-05-31T00:00:00.000Z',
    })
    const files = { labelled: path('stated.csv'), unlabelled: path('stated.csv'), score: 'verbal', risk: 0.1 }
    await certified({ ...bound, ...files, segment: 'segment' })
    expect((await read()).map(({ segment }: { segment: string }) => segment)).toEqual(['business', 'math'])
    await certified({ ...bound, action: 'listing.remove' })
    expect((await read())[0].id).not.toBe(alone.id)
  })

  test.each<[string, Partial<CertifyOptions>, string]>([
    ['a risk of 5', { risk: 5 }, '--risk 5: write a number between 0 and 1, e.g. 0.01 for 1 % errors'],
    [
      'a risk that is no number',
      { risk: Number.NaN },
      '--risk NaN: write a number between 0 and 1, e.g. 0.01 for 1 % errors',
    ],
    ['an assurance of 1', { assurance: 1 }, '--assurance 1: write a number between 0 and 1, e.g. 0.95'],
    [
      'no model to bind to',
      { out: 'c.json' },
      '-o: a certificate is bound to a model and an action; add --model NAME@VERSION and --action NAME',
    ],
    ['no duration', { validFor: 'long' }, '--valid-for long is no duration; write 30d or 12h'],
    [
      'a missing column',
      { score: 'confidence' },
      'even.csv: it has no column `confidence`; known are `label`, `score`\nodd.csv: it has no column `confidence`; known are `label`, `score`',
    ],
  ])('%s: one line each', async (_, options, out) => {
    expect(await certified(options)).toEqual({ code: 2, out })
  })

  test('no error at all is certified, with a word of warning', async () => {
    const { code, out } = await certified({ labelled: path('right.csv'), unlabelled: path('right.csv') })
    expect(code).toBe(0)
    expect(out).toContain('No label above the threshold is an error')
    expect(out).toContain('Both files are the same')
  })
})

/** What is wrong with a file is said the same way whichever command reads it. */
describe('a file that is not as it must be', () => {
  test.each<[string, string | null, number, string]>([
    ['missing', null, 2, 'bad.csv: there is no such file'],
    ['empty', '', 2, 'bad.csv: the file is empty; a line of column names comes first'],
    ['without the column', 'score,truth\n0.5,1\n', 2, 'bad.csv: it has no column `label`; known are `score`, `truth`'],
    ['with two columns of one name', 'label,score,score\n1,0.5,0.5\n', 2, 'bad.csv:1: two columns are named `score`'],
    ['with text in numbers', 'label,score\n1,0.5\n1,sure\n', 2, 'bad.csv:3: score is `sure`, which is no number'],
    ['with labels other than 0 and 1', 'label,score\n2,0.5\n', 2, 'bad.csv:2: label is `2`, but a label is 0 or 1'],
    ['with a row too long', 'label,score\n1,0.5,7\n', 2, 'bad.csv:2: 3 fields, but 2 columns'],
    ['with semicolons', 'label;score\n1;0,5\n', 2, 'bad.csv:1: columns are parted by semicolons; save it with commas'],
  ])('%s: one clear line, exit code 2', async (_, text, code, out) => {
    await rm(path('bad.csv'), { force: true })
    if (text !== null) await writeFile(path('bad.csv'), text)
    expect(await calibrated({ csv: path('bad.csv') })).toEqual({ code, out })
    expect(await certified({ labelled: path('bad.csv') })).toEqual({ code, out })
    expect(await certified({ labelled: path('bad.csv'), json: true })).toEqual({ code, out })
  })

  test('without a row is refused, not failed on', async () => {
    await writeFile(path('bad.csv'), 'label,score\n')
    expect(await calibrated({ csv: path('bad.csv') })).toEqual({
      code: 1,
      out: 'bad.csv: no map: 0 independent rows with a score, 200 needed (labels.too_few)',
    })
    const labelled = await certified({ labelled: path('bad.csv') })
    expect(labelled.code).toBe(1)
    expect(labelled.out).toContain('not certifiable at 1 %: 0 labels above any threshold, 299 needed without an error')
    const unlabelled = await certified({ unlabelled: path('bad.csv') })
    expect(unlabelled.code).toBe(1)
    expect(unlabelled.out).toContain('there is no unlabelled score to lay out thresholds with (scores.missing)')
  })

  test('with errors only is refused a map and a certificate', async () => {
    const wrong = Array.from({ length: 400 }, (_, row) => `0,${row / 400}`)
    await writeFile(path('bad.csv'), `${['label,score', ...wrong].join('\n')}\n`)
    expect((await calibrated({ csv: path('bad.csv') })).out).toContain('all 400 labels say error')
    const refused = await certified({ labelled: path('bad.csv'), json: true })
    expect(refused.code).toBe(1)
    expect(JSON.parse(refused.out)).toMatchObject({ threshold: null, refusal: { code: 'labels.too_few' } })
  })

  test('but a byte order mark, Windows line ends and quotes are no fault', async () => {
    const plain = await readFile(path('even.csv'), 'utf8')
    const [head = '', ...lines] = plain.trimEnd().split('\n')
    const quoted = lines.map((line) => line.replaceAll(/[^,]+/g, '"$&"'))
    await writeFile(path('bad.csv'), `\uFEFF${[head, ...quoted].join('\r\n')}\r\n`)
    const figures = ({ out }: Ran) => ({ ...JSON.parse(out), dataDigest: null })
    expect(figures(await certified({ labelled: path('bad.csv'), json: true }))).toEqual(
      figures(await certified({ json: true })),
    )
  })
})
