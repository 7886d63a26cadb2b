import { writeFile } from 'node:fs/promises'
import { oneRowPerCluster } from '../calibration/clusters.ts'
import { fitReport, type FitReport } from '../calibration/fit-report.ts'
import { seededRandom } from '../calibration/random.ts'
import { dirtyRefusal, type Refusal } from '../calibration/refusal.ts'
import { rowsAt } from '../calibration/sample.ts'
import type { CalibrationTable } from '../decision/calibration.ts'
import { tableDigest } from '../policy/calibration-file.ts'
import { digestOf } from '../policy/digest.ts'
import { fitLines } from './calibrate-report.ts'
import { loadLabelled, problemLines, type LoadedLabelled } from './labelled-csv.ts'
import { modelOf, type ModelVersion } from './model-version.ts'

export type CalibrateOptions = {
  readonly csv: string
  readonly score: string
  readonly label: string
  readonly labelMeans: 'right' | 'error'
  readonly segment?: string
  readonly cluster?: string
  /** A column of ISO 8601 times; the first and the last become the window. */
  readonly time?: string
  /** NAME@VERSION. */
  readonly model: string
  /** Every action of the model when not given. */
  readonly action?: string
  readonly scoreKind: string
  readonly seed: number
  readonly out?: string
  readonly json: boolean
  readonly print?: (line: string) => void
  /** For what the user must mend; standard error if not given. */
  readonly complain?: (line: string) => void
}

/**
 * `sluice calibrate`: fits the map from raw score to the share of right rows, prints a report and writes a calibration file.
 * Answers the exit code: 0 fitted, 1 refused, 2 the options or the data are not as they must be.
 */
export async function calibrateScores(options: CalibrateOptions): Promise<0 | 1 | 2> {
  const say = options.print ?? console.log
  const model = modelOf(options.model)
  const loaded = await loadLabelled(options.csv, { segment: null, cluster: null, time: null, ...options })
  const problems = [
    ...(typeof model === 'string' ? [model] : []),
    ...(loaded.kind === 'problems' ? loaded.problems : []),
  ]
  if (typeof model === 'string' || loaded.kind === 'problems') {
    for (const line of problemLines(problems)) (options.complain ?? console.error)(line)
    return 2
  }
  const report = fitted(loaded, options)
  if ('code' in report) {
    say(
      options.json ? JSON.stringify({ refusal: report }, null, 2) : `${options.csv}: ${report.detail} (${report.code})`,
    )
    return 1
  }
  return await writeFitted({ report, loaded, model }, options, say)
}

/** Of each cluster only one random row counts. */
function fitted({ data, rows, withoutScore }: LoadedLabelled, { seed }: CalibrateOptions): FitReport | Refusal {
  const random = seededRandom(seed)
  const dirty = dirtyRefusal(withoutScore, rows, 'labelled')
  if (dirty !== null) return dirty
  const { sample, segments, clusters } = data
  if (clusters === null) return fitReport(sample, segments, random)
  const kept = oneRowPerCluster(clusters, random)
  return fitReport(
    rowsAt(sample, kept),
    segments === null ? null : Array.from(kept, (row) => segments[row] ?? ''),
    random,
  )
}

type Fitted = { readonly report: FitReport; readonly loaded: LoadedLabelled; readonly model: ModelVersion }

async function writeFitted(it: Fitted, options: CalibrateOptions, say: (line: string) => void): Promise<0 | 2> {
  const text = calibrationFile(it, options)
  if (options.json) say(JSON.stringify(inJson(it, digestOf(text)), null, 2))
  else for (const line of fitLines(it.report, it.loaded)) say(line)
  if (options.out === undefined) return 0
  try {
    await writeFile(options.out, text)
  } catch (error) {
    const complain = options.complain ?? console.error
    complain(`${options.out}: it cannot be written (${error instanceof Error ? error.message : String(error)})`)
    return 2
  }
  if (!options.json) say(`wrote ${options.out}, digest ${digestOf(text)}`)
  return 0
}

/** The calibration file, as `loadCalibration` reads it. */
function calibrationFile({ report, loaded, model }: Fitted, options: CalibrateOptions): string {
  const { action, scoreKind, seed, labelMeans } = options
  const { points, intervals, map, rows, right, before, after, noiseFloor } = report
  // All scores may be the same, and one place is no line.
  const interval = intervals.length < 2 ? null : endsOf(intervals)
  const digest = tableDigest({ model, action: action ?? null, scoreKind, points, interval, expiresAt: null })
  const fit = { digest, method: map.kind, parameters: map.parameters, rows, right, before, after, noiseFloor }
  const data = { labelMeans, withoutScore: loaded.withoutScore, window: loaded.window, dataDigest: loaded.digest, seed }
  const bound = { model, ...(action === undefined ? {} : { action }), scoreKind }
  const table = { ...bound, points, ...(interval === null ? {} : { intervals }), fit: { ...fit, ...data } }
  const text = JSON.stringify({ tables: [table] }, null, 2)
  return `${text.replaceAll(TRIPLE, '[$1, $2, $3]').replaceAll(PAIR, '[$1, $2]')}\n`
}

const endsOf = (intervals: FitReport['intervals']): NonNullable<CalibrationTable['interval']> => ({
  low: intervals.map(([raw, low]) => [raw, low]),
  high: intervals.map(([raw, , high]) => [raw, high]),
})

/** A list of two or three numbers over as many lines, which belong into one. */
const TRIPLE = /\[\s+([^\s[\]]+),\s+([^\s[\]]+),\s+([^\s[\]]+)\s+\]/g
const PAIR = /\[\s+([^\s[\]]+),\s+([^\s[\]]+)\s+\]/g

const inJson = ({ report, loaded, model }: Fitted, digest: string) => {
  const { withoutScore, window, digest: dataDigest } = loaded
  return { model, digest, dataDigest, window, withoutScore, ...report, refusal: null }
}
