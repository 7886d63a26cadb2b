import type { FitReport, Measures } from '../calibration/fit-report.ts'
import type { LoadedLabelled } from './labelled-csv.ts'

/** The report of `sluice calibrate`, line by line. */
export function fitLines(report: FitReport, { withoutScore, window, digest }: LoadedLabelled): readonly string[] {
  const { rows, right, before, after, noiseFloor, parts, map } = report
  const sample = `${rows} rows, ${withoutScore} more without a score; ${percent(right)} right, scores say ${percent(before.said)}`
  return [
    `data     ${sample}`,
    `         ${window === null ? 'no time column' : `from ${window.from} to ${window.to}`}, digest ${digest}`,
    `map      ${map.kind}${map.kind === 'identity' ? ': no map is better than the scores as they are' : ''}`,
    ...candidateLines(report),
    '',
    '                     before    after',
    ...measureLine('log loss', 'logLoss', before, after),
    ...measureLine('Brier score', 'brier', before, after),
    ...measureLine('calibration error', 'calibrationError', before, after),
    `  by chance alone             ${figure(noiseFloor.mean)}  (in 95 % of samples below ${figure(noiseFloor.p95).trim()})`,
    ...measureLine('smooth error', 'smoothError', before, after),
    `ranking (AUROC)      ${figure(report.auroc)}    a map cannot change it`,
    `Brier score = ${figure(parts.miscalibration).trim()} miscalibration − ${figure(parts.discrimination).trim()} ` +
      `discrimination + ${figure(parts.uncertainty).trim()} uncertainty`,
    'after: by maps fitted without the rows they are measured on',
    '',
    ...placeLines(report),
    ...segmentLines(report),
    '',
    'The map is for showing and costing. To execute on a score, certify it: sluice certify.',
  ]
}

const figure = (value: number): string => value.toFixed(4).padStart(7)
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

const measureLine = (name: string, of: keyof Measures, before: Measures, after: Measures): readonly string[] => [
  `${name.padEnd(20)} ${figure(before[of])}  ${figure(after[of])}`,
]

const candidateLines = ({ candidates, map }: FitReport): readonly string[] =>
  candidates.map(({ kind, logLoss, gain, gainError }) => {
    const better = kind === 'identity' ? '' : `, ${signed(gain)} ± ${gainError.toFixed(4)} against identity`
    return `  ${kind === map.kind ? '*' : ' '} ${kind.padEnd(9)} log loss ${logLoss.toFixed(4)}${better}`
  })

const signed = (gain: number): string => `${gain >= 0 ? '−' : '+'}${Math.abs(gain).toFixed(4)}`

const placeLines = ({ places }: FitReport): readonly string[] => [
  'rows up to  score          calibrated  Venn–Abers interval',
  ...places.map(
    ({ score, calibrated, low, high, rowsUpTo }) =>
      `${percent(rowsUpTo).padStart(9)}   ${String(score).padEnd(12)}   ${figure(calibrated)}   ${figure(low)} to${figure(high)}`,
  ),
]

/** The ten that are furthest off. */
function segmentLines({ segments }: FitReport): readonly string[] {
  if (segments.length === 0) return []
  const width = Math.max(7, ...segments.map(({ segment }) => segment.length))
  return [
    '',
    `${'segment'.padEnd(width)}     rows   calibrated   right     (furthest off first)`,
    ...segments
      .slice(0, 10)
      .map(
        ({ segment, rows, said, right }) =>
          `${segment.padEnd(width)}  ${String(rows).padStart(7)}      ${percent(said).padStart(7)}  ${percent(right).padStart(7)}`,
      ),
    ...(segments.length > 10 ? [`and ${segments.length - 10} more`] : []),
  ]
}
