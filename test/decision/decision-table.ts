import { ROUTES } from '../../src/decision/route.ts'
import type { Route } from '../../src/decision/route.ts'

/** One line of a table: what is decided, in which situation, and what must come of it. */
export type DecisionRow = {
  readonly line: string
  readonly action: string
  readonly score: number | null
  readonly given: readonly string[]
  readonly route: Route
  readonly because: readonly string[]
}

const COLUMNS = ['action', 'score', 'given', 'route', 'because']

/**
 * Reads an aligned text table: columns are two or more spaces apart, the first line names them. `-` is an empty list or
 * no score; lists are joined by commas.
 */
export function decisionTable(text: string): readonly DecisionRow[] {
  const [header, ...lines] = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  if (header?.split(/ {2,}/).join() !== COLUMNS.join()) throw new Error(`columns must be ${COLUMNS.join(', ')}`)
  return lines.map(toRow)
}

function toRow(line: string): DecisionRow {
  const cells = line.split(/ {2,}/)
  const [action, score, given, route, because] = cells
  if (cells.length !== 5 || !action || !score || !given || !because) throw new Error(`not 5 cells: ${line}`)
  const known = ROUTES.find((it) => it === route)
  if (known === undefined) throw new Error(`no route: ${line}`)
  return {
    line: line.replaceAll(/ {2,}/g, '  '),
    action,
    score: scoreIn(score),
    given: list(given),
    route: known,
    because: list(because),
  }
}

const list = (cell: string): readonly string[] => (cell === '-' ? [] : cell.split(','))
const scoreIn = (cell: string): number | null => (cell === '-' ? null : Number(cell))
