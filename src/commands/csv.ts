import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { suggestion } from '../policy/nearest.ts'

/** A CSV file with a head line: fields by column name, and the line each row begins in. `digest`: SHA-256, 16 bytes in hex. */
export type CsvTable = {
  readonly file: string
  readonly digest: string
  readonly columns: ReadonlyMap<string, readonly string[]>
  readonly lines: readonly number[]
}

/** Problems are whole sentences for people, each with the file and where it can the line. */
export type ReadCsv =
  | { readonly kind: 'table'; readonly table: CsvTable }
  | { readonly kind: 'problems'; readonly problems: readonly string[] }

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['EISDIR', 'it is a folder'],
  ['EACCES', 'this user may not read it'],
  ['ERR_ENCODING_INVALID_ENCODED_DATA', 'it is not UTF-8'],
  ['ERR_STRING_TOO_LONG', 'it is too long to be read at once; split it'],
])

/** Reads comma-separated UTF-8 as RFC 4180 has it, quoted fields included. Never throws. */
export async function readCsv(file: string): Promise<ReadCsv> {
  try {
    const bytes = await readFile(file)
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return tableOf(file, text, hash('sha256', bytes, 'hex').slice(0, 32))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    return { kind: 'problems', problems: [`${file}: ${REASONS.get(code) ?? `it cannot be read (${code})`}`] }
  }
}

function tableOf(file: string, text: string, digest: string): ReadCsv {
  const [head, ...records] = recordsOf(text)
  if (head === undefined)
    return { kind: 'problems', problems: [`${file}: the file is empty; a line of column names comes first`] }
  const names = head.fields.map((name) => name.trim())
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) return { kind: 'problems', problems: [`${file}:1: two columns are named \`${twice}\``] }
  const [only = ''] = names
  if (names.length === 1 && /[;\t]/.test(only))
    return {
      kind: 'problems',
      problems: [`${file}:1: columns are parted by ${only.includes(';') ? 'semicolons' : 'tabs'}; save it with commas`],
    }
  const uneven = records.filter(({ fields }) => fields.length !== names.length)
  if (uneven.length > 0)
    return {
      kind: 'problems',
      problems: uneven.map(
        ({ line, fields }) => `${file}:${line}: ${fields.length} fields, but ${names.length} columns`,
      ),
    }
  const columns = new Map(names.map((name, index) => [name, records.map(({ fields }) => fields[index] ?? '')]))
  return { kind: 'table', table: { file, digest, columns, lines: records.map(({ line }) => line) } }
}

type CsvRecord = { readonly line: number; readonly fields: readonly string[] }

/** A field: quoted, with doubled quotes inside, or plain; then a comma, the end of the line or the end of the text. */
const FIELD = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|$)/y

/** Empty lines are skipped. A quote in the wrong place makes the rest of the line one field, which the count betrays. */
function recordsOf(text: string): readonly CsvRecord[] {
  const records: CsvRecord[] = []
  let fields: string[] = []
  let line = 1
  let first = 1
  FIELD.lastIndex = 0
  while (FIELD.lastIndex < text.length || fields.length > 0) {
    const { field, end } = fieldAt(text)
    fields.push(field)
    line += field.split('\n').length - 1
    if (end === ',') continue
    line++
    if (fields.length > 1 || field !== '') records.push({ line: first, fields })
    fields = []
    first = line
  }
  return records
}

function fieldAt(text: string): { readonly field: string; readonly end: string } {
  const from = FIELD.lastIndex
  const match = FIELD.exec(text)
  if (match !== null) return { field: match[1]?.replaceAll('""', '"') ?? match[2] ?? '', end: match[3] ?? '' }
  const newline = text.indexOf('\n', from)
  FIELD.lastIndex = newline < 0 ? text.length : newline + 1
  return { field: text.slice(from, newline < 0 ? undefined : newline), end: '\n' }
}

/** The column's fields, or why there are none. */
export function columnOf(table: CsvTable, name: string): readonly string[] | string {
  const column = table.columns.get(name)
  return column ?? `${table.file}: it has no column \`${name}\`; ${suggestion(name, table.columns.keys())}`
}
