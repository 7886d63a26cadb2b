import { readFileSync } from 'node:fs'
import type { Sample } from '../../src/calibration/sample.ts'

const text = (file: string): string => readFileSync(new URL(`data/${file}`, import.meta.url), 'utf8')

type Row = Readonly<Record<string, string>>

/** The rows of one of the data files; none of them quotes anything. */
export function rowsOf(file: string): readonly Row[] {
  const [head = '', ...lines] = text(file).trimEnd().split('\n')
  const names = head.split(',')
  return lines.map((line) => Object.fromEntries(line.split(',').map((field, index) => [names[index] ?? '', field])))
}

export type ThresholdFigures = {
  readonly grid_size: number
  readonly grid_first: number
  readonly grid_last: number
  readonly lambda: number | null
  readonly labelled_executed: number
  readonly labelled_errors: number
  readonly upper_95_alone: number | null
  readonly test_coverage: number
  readonly test_risk: number | null
  readonly e_process_on_test_executed_vs_alpha: PathFigures | null
  readonly e_detector_vs_half_alpha_ARL1000: PathFigures | null
}

export type PathFigures = { readonly last: number; readonly max: number; readonly first_at_or_over: number | null }

export type Figures = {
  readonly rows: number
  readonly left_out: number
  readonly first_score: number
  readonly metrics: Readonly<Record<string, number>>
  readonly fit: {
    readonly platt_logit_ab: readonly number[]
    readonly platt_raw_ab: readonly number[]
    readonly temperature: number
    readonly beta_abc: readonly number[]
    readonly 'isotonic_at_0_.05_1': readonly number[]
  }
  readonly threshold: Readonly<Record<string, ThresholdFigures>>
}

export const GOLDEN = JSON.parse(text('golden.json')) as {
  readonly tables: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly series: Readonly<Record<string, Figures>>
}

export const SERIES = Object.entries(GOLDEN.series)

type Source = {
  readonly file: string
  readonly only?: readonly [column: string, value: string]
  readonly score: string
}

function sourceOf(name: string): Source {
  const [file = '', which = '', score = 'score'] = name.split('/')
  switch (file) {
    case 'llm-mmlupro':
      return { file, only: ['model', which], score }
    case 'cifar10-vgg':
    case 'adult-rf':
    case 'elections-538-clustered':
      return { file, score: 'score' }
    case 'credit-default':
      return { file, score: `score_${which}` }
    case 'forecasts-538':
      return { file, only: ['segment', which], score: 'score' }
    default:
      return { file, only: ['model', which], score: 'score' }
  }
}

/** The usable rows of a series of golden.json, or of the elections, in file order, and how many were left out. */
export function seriesOf(name: string): { readonly sample: Sample; readonly leftOut: number } {
  const { file, only, score } = sourceOf(name)
  const all = rowsOf(`${file}.csv`).filter((row) => only === undefined || row[only[0]] === only[1])
  const usable = all.filter((row) => row[score] !== '' && Number(row[score]) >= 0 && Number(row[score]) <= 1)
  const scores = Float64Array.from(usable, (row) => Number(row[score]))
  const right = Uint8Array.from(usable, (row) => Number(row['label']))
  const sample = file === 'forecasts-538' ? fromFavourite({ scores, right }) : { scores, right }
  return { sample, leftOut: all.length - usable.length }
}

/** A forecast of 30 % is one of 70 % that the other side wins. */
const fromFavourite = ({ scores, right }: Sample): Sample => ({
  scores: scores.map((score) => Math.max(score, 1 - score)),
  right: right.map((it, row) => ((scores[row] ?? 0) >= 0.5 ? it : 1 - it)),
})
