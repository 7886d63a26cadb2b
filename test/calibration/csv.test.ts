import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readCsv } from '../../src/commands/csv.ts'
import { loadLabelled, loadUnlabelled, problemLines } from '../../src/commands/labelled-csv.ts'

let folder: string
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'sluice-csv-'))))
afterAll(() => rm(folder, { recursive: true }))

async function written(text: string | Uint8Array): Promise<string> {
  const file = join(folder, 'f.csv')
  await writeFile(file, text)
  return file
}

const plain = (lines: readonly string[]): readonly string[] => lines.map((line) => line.replaceAll(`${folder}/`, ''))
const COLUMNS = { score: 's', label: 'l', labelMeans: 'right', segment: null, cluster: null, time: null } as const

const load = async (text: string, columns: Partial<Parameters<typeof loadLabelled>[1]> = {}) =>
  loadLabelled(await written(text), { ...COLUMNS, ...columns })

async function problemsOf(text: string | Uint8Array, columns: Parameters<typeof load>[1] = {}) {
  const loaded = await loadLabelled(await written(text), { ...COLUMNS, ...columns })
  return loaded.kind === 'problems' ? plain(loaded.problems) : []
}

describe('a CSV file', () => {
  const quoted = (field: string): string => `"${field.replaceAll('"', '""')}"`

  test('is read back as it was written, whatever stands in its fields', async () => {
    const fields = fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string()), { minLength: 1, maxLength: 8 })
    const endings = fc.constantFrom('\n', '\r\n')
    await fc.assert(
      fc.asyncProperty(fields, endings, fc.boolean(), async (rows, ending, isEnded) => {
        const safe = rows.map(([a, b]) => [a.toWellFormed(), b.toWellFormed()] as const)
        const lines = ['a,b', ...safe.map(([a, b]) => `${quoted(a)},${quoted(b)}`)]
        const read = await readCsv(await written(lines.join(ending) + (isEnded ? ending : '')))
        if (read.kind === 'problems') throw new Error(read.problems.join())
        expect(read.table.columns.get('a')).toEqual(safe.map(([a]) => a))
        expect(read.table.columns.get('b')).toEqual(safe.map(([, b]) => b))
      }),
      { numRuns: 60 },
    )
  })

  test('may begin with a byte order mark, have empty lines, and end in an empty field', async () => {
    const read = await readCsv(await written('\uFEFFs , l\n\n0.5,1\n\n0.6,'))
    expect(read).toMatchObject({ kind: 'table', table: { lines: [3, 5] } })
    if (read.kind === 'table')
      expect([...read.table.columns]).toEqual([
        ['s', ['0.5', '0.6']],
        ['l', ['1', '']],
      ])
  })

  test('counts lines within quoted fields', async () => {
    const read = await readCsv(await written('a,b\n"x\ny",1\nz,2\n'))
    expect(read).toMatchObject({ table: { lines: [2, 4] } })
  })
})

describe('labelled rows', () => {
  test('leave out blank, non-finite and out-of-range scores, counted and never clamped', async () => {
    const loaded = await load('s,l\n0,1\n1,0\n,1\nnan,1\n-inf,0\n1.0001,1\n-0.1,0\n95,1\n0.5,1.0\n')
    expect(loaded).toMatchObject({ kind: 'rows', rows: 9, withoutScore: 6 })
    if (loaded.kind === 'rows') {
      expect([...loaded.data.sample.scores]).toEqual([0, 1, 0.5])
      expect([...loaded.data.sample.right]).toEqual([1, 0, 1])
    }
  })

  test('keep segment and cluster beside the score, and the window of the times', async () => {
    const loaded = await load('s,l,g,c,t\n0.1,1,x,k,2026-02\n,1,y,k,2026-01\n0.3,0,z,m,2026-03\n', {
      segment: 'g',
      cluster: 'c',
      time: 't',
      labelMeans: 'error',
    })
    if (loaded.kind === 'problems') throw new Error(loaded.problems.join())
    expect(loaded.data.segments).toEqual(['x', 'z'])
    expect(loaded.data.clusters).toEqual(['k', 'm'])
    expect([...loaded.data.sample.right]).toEqual([0, 1])
    expect(loaded.window).toEqual({ from: '2026-01', to: '2026-03' })
  })

  test('need no label to lay out thresholds', async () => {
    const loaded = await loadUnlabelled(await written('s\n0.5\n0.25\n2\n'), { score: 's', segment: null })
    expect(loaded).toMatchObject({ kind: 'rows', rows: 3, withoutScore: 1 })
  })

  test.each<[string, string, readonly string[], Parameters<typeof load>[1]?]>([
    ['no column', 's,label\n0.5,1\n', ['f.csv: it has no column `l`; known are `s`, `label`']],
    [
      'two columns missing',
      'x,y\n0.5,1\n',
      ['f.csv: it has no column `sco`; known are `x`, `y`', 'f.csv: it has no column `lab`; known are `x`, `y`'],
      { score: 'sco', label: 'lab' },
    ],
    ['text in numbers', 's,l\n0.5,1\nhigh,1\n', ['f.csv:3: s is `high`, which is no number']],
    ['a comma as decimal point', 's,l\n0,5,1\n', ['f.csv:2: 3 fields, but 2 columns']],
    ['semicolons', 's;l\n0,5;1\n', ['f.csv:1: columns are parted by semicolons; save it with commas']],
    ['tabs', 's\tl\n0.5\t1\n', ['f.csv:1: columns are parted by tabs; save it with commas']],
    ['a percentage', 's,l\n97%,1\n', ['f.csv:2: s is `97%`, which is no number']],
    ['true and false', 's,l\n0.5,true\n', ['f.csv:2: l is `true`, but a label is 0 or 1']],
    [
      'other labels',
      's,l\n0.5,2\n0.5,yes\n0.5,\n',
      [
        'f.csv:2: l is `2`, but a label is 0 or 1',
        'f.csv:3: l is `yes`, but a label is 0 or 1',
        'f.csv:4: l is ``, but a label is 0 or 1',
      ],
    ],
    ['a row too short', 's,l\n0.5\n', ['f.csv:2: 1 fields, but 2 columns']],
    ['a stray quote', 's,l\n0.5,"1"x\n0.5,1\n', ['f.csv:2: l is `"1"x`, but a label is 0 or 1']],
    ['two columns of one name', 's,l,s\n1,1,1\n', ['f.csv:1: two columns are named `s`']],
    ['nothing at all', '', ['f.csv: the file is empty; a line of column names comes first']],
  ])('%s: one clear line each', async (_, text, lines, columns) => {
    expect(await problemsOf(text, columns)).toEqual(lines)
  })

  test('a file that is not there, a folder, or not UTF-8', async () => {
    const of = async (file: string) =>
      plain(await readCsv(file).then((it) => (it.kind === 'problems' ? it.problems : [])))
    expect(await of(join(folder, 'none.csv'))).toEqual(['none.csv: there is no such file'])
    expect((await of(folder))[0]).toMatch(/: it is a folder$/)
    expect(await of(await written(Uint8Array.of(0xff, 0xfe, 0x73)))).toEqual(['f.csv: it is not UTF-8'])
  })
})

test('of many problems ten are shown, and how many more there are', () => {
  const many = Array.from({ length: 25 }, (_, index) => `p${index}`)
  expect(problemLines(many)).toEqual([...many.slice(0, 10), 'and 15 more like these'])
  expect(problemLines(many.slice(0, 10))).toHaveLength(10)
})
