import type { Observed, ObservedVerdict } from '../report/audit.ts'
import { columnOf, readCsv, type CsvTable } from './csv.ts'

export type LoadedVerdicts =
  | { readonly kind: 'verdicts'; readonly observed: Observed }
  | { readonly kind: 'problems'; readonly problems: readonly string[] }

const ROUTES = ['execute', 'review', 'reject'] as const

/**
 * Verdicts of a CSV file, one a row: `time` in ISO 8601, `route`, `code`; `propensity`, the chance of being audited, blank
 * where it was not to be; `label`, 1 right, 0 an error, blank where it is not known. In the order of their times.
 */
export async function loadVerdicts(file: string): Promise<LoadedVerdicts> {
  const read = await readCsv(file)
  if (read.kind === 'problems') return read
  const names = ['time', 'route', 'code', 'propensity', 'label'] as const
  const found = names.map((name) => columnOf(read.table, name))
  const missing = found.filter((it) => typeof it === 'string')
  if (missing.length > 0) return { kind: 'problems', problems: missing }
  const fields = (row: number): readonly string[] =>
    found.map((it) => (typeof it === 'string' ? '' : (it[row] ?? '').trim()))
  const rows = read.table.lines.map((_, row) => verdictOf(fields(row), place(read.table, row)))
  const problems = rows.filter((it) => typeof it === 'string')
  if (problems.length > 0) return { kind: 'problems', problems }
  const timed = rows.filter((it) => typeof it !== 'string').sort((a, b) => a.timeMs - b.timeMs)
  const [first, last] = [timed[0], timed.at(-1)]
  const spanMs = first === undefined || last === undefined ? 0 : last.timeMs - first.timeMs
  return {
    kind: 'verdicts',
    observed: { verdicts: timed.map(({ verdict }) => verdict), spanMs: spanMs > 0 ? spanMs : null },
  }
}

const place = ({ file, lines }: CsvTable, row: number): string => `${file}:${lines[row] ?? 0}`

type Timed = { readonly timeMs: number; readonly verdict: ObservedVerdict }

/** One row, or what is wrong with it. */
function verdictOf(
  [time = '', routeText = '', code = '', chance = '', label = '']: readonly string[],
  at: string,
): Timed | string {
  const timeMs = Date.parse(time)
  if (Number.isNaN(timeMs)) return `${at}: time is \`${time}\`; write it as 2026-05-01T12:00:00Z`
  const route = ROUTES.find((it) => it === routeText)
  if (route === undefined) return `${at}: route is \`${routeText}\`; it is execute, review or reject`
  const propensity = chance === '' ? null : Number(chance)
  if (propensity !== null && !(propensity > 0 && propensity <= 1))
    return `${at}: propensity is \`${chance}\`; it lies above 0 and at most at 1, or is blank where nothing was to be audited`
  if (label !== '' && label !== '0' && label !== '1') return `${at}: label is \`${label}\`; it is 1, 0 or blank`
  return { timeMs, verdict: { route, code, propensity, right: label === '' ? null : label === '1' ? 1 : 0 } }
}
