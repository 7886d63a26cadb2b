import type { Certification, Tested } from '../calibration/certification.ts'
import { percent } from '../decision/words.ts'
import type { CertificationReport } from './certify.ts'

/** The report of `sluice certify`, line by line. */
export function certificationLines(report: CertificationReport): readonly string[] {
  const { segments, labels, withoutScore, clusters, grid, dataDigest, window } = report
  const unit = clusters === null ? 'labels, taken as independent' : 'labels, one random row of each cluster'
  return [
    `data       ${labels} ${unit}; without a score: ${withoutScore.labelled} labelled, ${withoutScore.unlabelled} unlabelled`,
    `           ${window === null ? 'no time column' : `from ${window.from} to ${window.to}`}, digest ${dataDigest.labelled}`,
    `grid       ${grid.size} thresholds from unlabelled scores, hash ${grid.hash}`,
    ...(segments.length === 0 ? wholeLines(report) : segmentedLines(report)),
    ...(dataDigest.labelled === dataDigest.unlabelled
      ? ['Both files are the same: the promise wants thresholds from scores seen before those that are labelled.']
      : []),
    ...(report.labelledErrors === 0 && report.threshold !== null
      ? ['No label above the threshold is an error: make sure that this column can show one.']
      : []),
  ]
}

const wholeLines = (report: CertificationReport): readonly string[] => [
  resultLine('result', 10, report),
  ...(report.promise === null ? [] : ['', report.promise]),
  '',
  ...tableLines(report.tests),
]

function segmentedLines(report: CertificationReport): readonly string[] {
  const width = Math.max(10, ...report.segments.map(({ segment }) => segment.length))
  const assured = report.jointly
    ? `all of them at once with ${percent(report.assurance)}`
    : `each by itself with ${percent(report.assurance)}`
  return [
    `segments   ${report.segments.length}, certified ${assured}`,
    '',
    ...worstFirst(report.segments).map((it) => resultLine(it.segment, width, it)),
    '',
    resultLine('all rows', width, report),
    'The line for all rows holds for their mix only: a segment may be far worse than it says.',
  ]
}

/** Refused first, then by coverage. */
const worstFirst = <T extends Certification>(parts: readonly T[]): readonly T[] =>
  parts.toSorted((a, b) => a.coverage - b.coverage)

function resultLine(name: string, width: number, part: Certification): string {
  const { threshold, coverage, labelledExecuted, labelledErrors, upperBound, refusal } = part
  const result =
    threshold === null || upperBound === null
      ? `${refusal?.detail ?? 'refused'} (${refusal?.code ?? ''})`
      : `execute from ${threshold}: ${percent(coverage)} of the traffic, ${labelledErrors} errors among ` +
        `${labelledExecuted} labels, upper bound ${percent(upperBound)}`
  return `${name.padEnd(width)} ${result}`
}

/** At most 20 lines of the grid, the failures among them, strict to loose. */
function tableLines(tests: readonly Tested[]): readonly string[] {
  const step = Math.max(1, Math.ceil(tests.length / 20))
  const last = tests.findLastIndex(({ certified }) => certified)
  const shown = tests.filter((_, index) => index % step === 0 || index === last || index === tests.length - 1)
  return [
    'threshold      executed   errors    share   p-value    held to',
    ...shown.map(
      ({ threshold, executed, errors, pValue, level, certified }) =>
        `${String(threshold).padEnd(13)} ${String(executed).padStart(9)} ${String(errors).padStart(8)}  ` +
        `${(executed === 0 ? '-' : percent(errors / executed)).padStart(7)}  ${pValue.toExponential(1).padStart(8)}  ` +
        `${(level === 0 ? '-' : level.toPrecision(2)).padStart(9)}  ${certified ? 'certified' : ''}`.trimEnd(),
    ),
    ...(shown.length < tests.length ? [`${tests.length - shown.length} more in --json`] : []),
  ]
}
