import { writeFile } from 'node:fs/promises'
import { deltaOf, type Certification } from '../calibration/certification.ts'
import { certifySegments, type SegmentCertification } from '../calibration/certify-segments.ts'
import { promiseOf } from '../calibration/promise.ts'
import { seededRandom } from '../calibration/random.ts'
import { dirtyRefusal, type Refusal } from '../calibration/refusal.ts'
import type { Budget } from '../decision/certificate.ts'
import { parseDuration } from '../policy/duration.ts'
import { certificatesOf, type Binding, type Made } from './certificate-file.ts'
import { certificationLines } from './certify-report.ts'
import {
  loadLabelled,
  loadUnlabelled,
  problemLines,
  type LoadedLabelled,
  type LoadedUnlabelled,
} from './labelled-csv.ts'
import { modelOf } from './model-version.ts'

export type CertifyOptions = {
  readonly labelled: string
  readonly unlabelled: string
  readonly score: string
  readonly label: string
  readonly labelMeans: 'right' | 'error'
  readonly segment?: string
  readonly cluster?: string
  readonly time?: string
  /** The largest share of errors, and how sure the promise is; both between 0 and 1. */
  readonly risk: number
  readonly assurance: number
  readonly budget: Budget
  /** All segments' promises hold at once with the assurance, instead of each by itself. */
  readonly jointly: boolean
  /** What the certificates are bound to; needed to write them. */
  readonly model?: string
  readonly action?: string
  readonly scoreKind: string
  readonly validFor: string
  readonly seed: number
  readonly out?: string
  readonly json: boolean
  readonly print?: (line: string) => void
  /** For what the user must mend; standard error if not given. */
  readonly complain?: (line: string) => void
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** All of one run: the rows as a whole, and each segment, in whose place it does not stand. */
export type CertificationReport = Certification & {
  readonly risk: number
  readonly assurance: number
  readonly budget: Budget
  readonly jointly: boolean
  readonly clusters: number | null
  readonly withoutScore: { readonly labelled: number; readonly unlabelled: number }
  readonly promise: string | null
  readonly segments: readonly (SegmentCertification & { readonly promise: string | null })[]
  readonly window: LoadedLabelled['window']
  readonly dataDigest: { readonly labelled: string; readonly unlabelled: string }
  readonly seed: number
}

/**
 * `sluice certify`: the loosest threshold above which the error rate stays under a bound, or why there is none. Answers the
 * exit code: 0 certified (with segments: at least one of them), 1 refused, 2 the options or the data are not as they must be.
 */
export async function certifyThreshold(options: CertifyOptions): Promise<0 | 1 | 2> {
  const say = options.print ?? console.log
  const columns = { segment: null, cluster: null, time: null, ...options }
  const labelled = await loadLabelled(options.labelled, columns)
  const unlabelled = await loadUnlabelled(options.unlabelled, columns)
  const problems = [
    ...optionProblems(options),
    ...(labelled.kind === 'problems' ? labelled.problems : []),
    ...(unlabelled.kind === 'problems' ? unlabelled.problems : []),
  ]
  if (problems.length > 0 || labelled.kind === 'problems' || unlabelled.kind === 'problems') {
    for (const line of problemLines(problems)) (options.complain ?? console.error)(line)
    return 2
  }
  const report = reportOf(labelled, unlabelled, options)
  if ('code' in report) {
    say(
      options.json ? JSON.stringify({ threshold: null, segments: [], refusal: report }, null, 2) : refusalLine(report),
    )
    return 1
  }
  if (options.json) say(JSON.stringify(report, null, 2))
  else for (const line of certificationLines(report)) say(line)
  const isGranted = granted(report).length > 0
  const written = isGranted && options.out !== undefined ? await writeCertificates(report, options, say) : 0
  return isGranted ? written : 1
}

const refusalLine = ({ detail, code }: Refusal): string => `${detail} (${code})`

function optionProblems({ risk, assurance, out, model, action, validFor }: CertifyOptions): readonly string[] {
  const isShare = (value: number): boolean => value > 0 && value < 1
  const named = model === undefined ? null : modelOf(model)
  return [
    isShare(risk) ? [] : `--risk ${risk}: write a number between 0 and 1, e.g. 0.01 for 1 % errors`,
    isShare(assurance) ? [] : `--assurance ${assurance}: write a number between 0 and 1, e.g. 0.95`,
    typeof named === 'string' ? named : [],
    out !== undefined && (model === undefined || action === undefined)
      ? '-o: a certificate is bound to a model and an action; add --model NAME@VERSION and --action NAME'
      : [],
    parseDuration(validFor) === null ? `--valid-for ${validFor} is no duration; write 30d or 12h` : [],
  ].flat()
}

function reportOf(
  labelled: LoadedLabelled,
  unlabelled: LoadedUnlabelled,
  { risk, assurance, budget, jointly, seed }: CertifyOptions,
): CertificationReport | Refusal {
  const dirty =
    dirtyRefusal(labelled.withoutScore, labelled.rows, 'labelled') ??
    dirtyRefusal(unlabelled.withoutScore, unlabelled.rows, 'unlabelled')
  if (dirty !== null) return dirty
  const delta = deltaOf(assurance)
  const demand = { risk, delta, budget }
  const { whole, segments } = certifySegments(
    labelled.data,
    unlabelled.data,
    { ...demand, jointly },
    seededRandom(seed),
  )
  return {
    risk,
    assurance,
    budget,
    jointly,
    clusters: labelled.data.clusters === null ? null : new Set(labelled.data.clusters).size,
    ...whole,
    promise: promiseOf(whole, null, demand),
    segments: segments.map((it) => ({ ...it, promise: promiseOf(it, it.segment, demand) })),
    withoutScore: { labelled: labelled.withoutScore, unlabelled: unlabelled.withoutScore },
    window: labelled.window,
    dataDigest: { labelled: labelled.digest, unlabelled: unlabelled.digest },
    seed,
  }
}

/** What is promised: where there are segments, each for itself, since the whole would hide the worst of them. */
const granted = (report: CertificationReport): readonly Certification[] =>
  (report.segments.length > 0 ? report.segments : [report]).filter(({ threshold }) => threshold !== null)

async function writeCertificates(
  report: CertificationReport,
  options: CertifyOptions,
  say: (line: string) => void,
): Promise<0 | 2> {
  const { out = '', model = '', action = '', scoreKind, validFor, json, now = Date.now } = options
  const named = modelOf(model)
  if (typeof named === 'string') return 2
  const issuedAt = now()
  const binding: Binding = {
    model: named,
    action,
    scoreKind,
    issuedAt,
    expiresAt: issuedAt + (parseDuration(validFor) ?? 0),
  }
  const certificates = certificatesOf(report, binding, madeOf(options))
  try {
    await writeFile(out, `${JSON.stringify({ certificates }, null, 2)}\n`)
  } catch (error) {
    const complain = options.complain ?? console.error
    complain(`${out}: it cannot be written (${error instanceof Error ? error.message : String(error)})`)
    return 2
  }
  if (!json) say(`wrote ${out}: ${certificates.map(({ id }) => id).join(', ')}`)
  return 0
}

function madeOf(options: CertifyOptions): Made {
  const { labelled, unlabelled, score, label, segment, cluster, time, labelMeans, jointly, seed } = options
  const columns = { score, label, segment: segment ?? null, cluster: cluster ?? null, time: time ?? null }
  return { labelled, unlabelled, columns, labelMeans, jointly, seed }
}
