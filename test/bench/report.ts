import { styleText } from 'node:util'
import { isReached } from './figure.ts'
import type { Figure, Goal, Machine } from './figure.ts'

export type Report = {
  readonly measuredAt: string
  readonly machine: Machine
  readonly events: number
  readonly figures: readonly Figure[]
}

/** The report as lines for a terminal. */
export function tableOf({ machine, figures, events }: Report): readonly string[] {
  const rows = figures.map(rowOf)
  const widths = HEAD.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => (at === 0 || at >= 4 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
  return [
    `${machine.cores} cores (${machine.processor}), Node ${machine.node}, Kafka ${machine.kafka}, Redis ${machine.redis}; drains of ${events} events`,
    '',
    line(HEAD),
    ...figures.map((it, at) => paint(line(rows[at] ?? []), isReached(it))),
  ]
}

const HEAD = ['figure', 'median', 'lowest–highest', 'goal', '', 'load', 'note']

const rowOf = (it: Figure): readonly string[] => [
  it.name,
  `${shown(it.value)} ${it.unit}`.trim(),
  it.runs.length < 2 ? '' : `${shown(Math.min(...it.runs))}–${shown(Math.max(...it.runs))}`,
  goalOf(it.goal),
  { true: 'reached', false: 'MISSED', null: '' }[`${isReached(it)}`],
  it.load.join('–'),
  it.note,
]

const SIGNS: Readonly<Record<Goal['at'], string>> = { least: '≥', most: '≤', exactly: '=' }
const goalOf = (goal: Goal | null): string => (goal === null ? '' : `${SIGNS[goal.at]} ${shown(goal.value)}`)

const paint = (text: string, reached: boolean | null): string => (reached === false ? styleText('red', text) : text)

/** Three digits that count, thousands apart. */
function shown(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2)
}
