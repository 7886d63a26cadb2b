import type { LabelledRows, UnlabelledRows } from '../calibration/certify-segments.ts'
import { columnOf, readCsv, type CsvTable } from './csv.ts'

/** Which columns to read, and whether 1 in the label column says that executing was right, or that it was an error. */
type Columns = {
  readonly score: string
  readonly label: string
  readonly labelMeans: 'right' | 'error'
  readonly segment: string | null
  readonly cluster: string | null
  readonly time: string | null
}

type Loaded<T> = {
  readonly kind: 'rows'
  readonly data: T
  readonly rows: number
  /** Rows of these that have no score between 0 and 1, and so are not among the data. */
  readonly withoutScore: number
  readonly digest: string
  /** First and last value of the time column; null where there is none. */
  readonly window: { readonly from: string; readonly to: string } | null
}

type Problems = { readonly kind: 'problems'; readonly problems: readonly string[] }

export type LoadedLabelled = Loaded<LabelledRows>
export type LoadedUnlabelled = Loaded<UnlabelledRows>

/** The labelled rows of a CSV file. Blank, non-finite or out-of-range scores are left out and counted, never clamped. */
export async function loadLabelled(file: string, columns: Columns): Promise<LoadedLabelled | Problems> {
  const wanted = [columns.score, columns.label, columns.segment, columns.cluster, columns.time]
  const loaded = await loadColumns(file, wanted)
  if (loaded.kind === 'problems') return loaded
  const { table, values } = loaded
  const [scoreTexts = [], labelTexts = [], segments = null, clusters = null, times = null] = values
  const scores = numbersOf(table, columns.score, scoreTexts ?? [])
  const labels = labelsOf(table, columns.label, labelTexts ?? [])
  const problems = [...scores.problems, ...labels.problems]
  if (problems.length > 0) return { kind: 'problems', problems }
  const usable = usableRows(scores.numbers)
  const sample = {
    scores: Float64Array.from(usable, (row) => scores.numbers[row] ?? Number.NaN),
    right: Uint8Array.from(usable, (row) => (labels.numbers[row] === (columns.labelMeans === 'right' ? 1 : 0) ? 1 : 0)),
  }
  const data = { sample, segments: picked(segments, usable), clusters: picked(clusters, usable) }
  return { kind: 'rows', data, ...readOf(table, usable.length, times) }
}

/** The scores of a CSV file that need no label. It may lack the column of times. */
export async function loadUnlabelled(
  file: string,
  columns: Pick<Columns, 'score' | 'segment'> & { readonly time?: string | null },
): Promise<LoadedUnlabelled | Problems> {
  const loaded = await loadColumns(file, [columns.score, columns.segment])
  if (loaded.kind === 'problems') return loaded
  const { table, values } = loaded
  const [scoreTexts = [], segments = null] = values
  const scores = numbersOf(table, columns.score, scoreTexts ?? [])
  if (scores.problems.length > 0) return { kind: 'problems', problems: scores.problems }
  const usable = usableRows(scores.numbers)
  const data = {
    scores: Float64Array.from(usable, (row) => scores.numbers[row] ?? Number.NaN),
    segments: picked(segments, usable),
  }
  const times = columns.time === undefined || columns.time === null ? null : (table.columns.get(columns.time) ?? null)
  return { kind: 'rows', data, ...readOf(table, usable.length, times) }
}

type Values = readonly (readonly string[] | null)[]

async function loadColumns(file: string, wanted: readonly (string | null)[]) {
  const read = await readCsv(file)
  if (read.kind === 'problems') return read
  const found = wanted.map((name) => (name === null ? null : columnOf(read.table, name)))
  const problems = found.filter((it) => typeof it === 'string')
  if (problems.length > 0) return { kind: 'problems' as const, problems }
  const values: Values = found.map((it) => (typeof it === 'string' ? null : it))
  return { kind: 'rows' as const, table: read.table, values }
}

type Numbers = { readonly numbers: readonly number[]; readonly problems: readonly string[] }

/** NaN for what stands for "none": blank, or how programs write a missing number. */
const NONE: ReadonlySet<string> = new Set(['', 'nan', 'null', 'none', 'na', 'n/a'])
const INFINITE = /^[+-]?inf(inity)?$/

function numbersOf(table: CsvTable, column: string, texts: readonly string[]): Numbers {
  const problems: string[] = []
  const numbers = texts.map((text, row) => {
    const plain = text.trim().toLowerCase()
    if (NONE.has(plain) || INFINITE.test(plain)) return Number.NaN
    const number = Number(plain)
    if (Number.isNaN(number)) problems.push(`${placeOf(table, row)}: ${column} is \`${text}\`, which is no number`)
    return number
  })
  return { numbers, problems }
}

function labelsOf(table: CsvTable, column: string, texts: readonly string[]): Numbers {
  const problems: string[] = []
  const numbers = texts.map((text, row) => {
    const plain = text.trim()
    const number = plain === '' ? Number.NaN : Number(plain)
    if (number !== 0 && number !== 1)
      problems.push(`${placeOf(table, row)}: ${column} is \`${text}\`, but a label is 0 or 1`)
    return number
  })
  return { numbers, problems }
}

const placeOf = ({ file, lines }: CsvTable, row: number): string => `${file}:${lines[row] ?? 0}`

/** The rows whose score lies between 0 and 1. */
const usableRows = (scores: readonly number[]): readonly number[] =>
  scores.flatMap((score, row) => (score >= 0 && score <= 1 ? [row] : []))

const picked = (values: readonly string[] | null, rows: readonly number[]): readonly string[] | null =>
  values === null ? null : rows.map((row) => values[row] ?? '')

function readOf({ lines, digest }: CsvTable, usable: number, times: readonly string[] | null) {
  return { rows: lines.length, withoutScore: lines.length - usable, digest, window: windowOf(times) }
}

/** Times in one ISO 8601 form are in order when their texts are. */
function windowOf(times: readonly string[] | null): LoadedLabelled['window'] {
  const [first, ...others] = times ?? []
  if (first === undefined) return null
  let [from, to] = [first, first]
  for (const time of others) {
    if (time < from) from = time
    if (time > to) to = time
  }
  return { from, to }
}

/** The first ten problems, and how many more there are. */
export const problemLines = (problems: readonly string[]): readonly string[] =>
  problems.length <= 10 ? problems : [...problems.slice(0, 10), `and ${problems.length - 10} more like these`]
