import { writeFile } from 'node:fs/promises'
import type { Observed } from '../report/audit.ts'
import type { Costs } from '../report/costs.ts'
import { pageOf } from '../report/page.ts'
import { reportOf } from '../report/report-of.ts'
import { findCertificate, type Certificate, type Made } from './certificate-file.ts'
import {
  loadLabelled,
  loadUnlabelled,
  problemLines,
  type LoadedLabelled,
  type LoadedUnlabelled,
} from './labelled-csv.ts'
import { loadVerdicts } from './verdicts-csv.ts'

export type ReportOptions = {
  /** Its id, or how it begins. */
  readonly certificate: string
  /** The file it is in. */
  readonly certificates: string
  /** Where the data are now, if not where they were. */
  readonly labelled?: string
  readonly unlabelled?: string
  /** What to split a certificate for all events by. */
  readonly segment?: string
  readonly verdicts?: string
  readonly costWrong?: number
  readonly costReview?: number
  /** From which score on the policy before executed. */
  readonly previous?: number
  readonly out?: string
  readonly json: boolean
  readonly print?: (line: string) => void
  readonly complain?: (line: string) => void
}

/**
 * `sluice report`: everything about one certificate as a page or as JSON, computed again from the data it is bound to. The
 * same input gives the same bytes. Answers the exit code: 0, or 2 when the options or the data are not as they must be.
 */
export async function reportCertificate(options: ReportOptions): Promise<0 | 2> {
  const { print = console.log, complain = console.error } = options
  const refuse = (problems: readonly string[]): 2 => {
    for (const line of problemLines(problems)) complain(line)
    return 2
  }
  const wrong = optionProblems(options)
  const found = await findCertificate(options.certificates, options.certificate)
  if (!('id' in found)) return refuse([...wrong, ...found])
  if (wrong.length > 0) return refuse(wrong)
  const loaded = await load(found, options)
  if ('problems' in loaded) return refuse(loaded.problems)
  const { labelled, unlabelled, observed, made } = loaded
  const report = reportOf({
    certificate: found,
    labelled,
    unlabelled: { ...unlabelled, spanMs: spanOf(unlabelled.window) },
    jointly: made.jointly,
    seed: made.seed,
    costs: costsOf(options),
    previousThreshold: options.previous ?? null,
    observed,
  })
  if (typeof report === 'string') return refuse([`certificate ${found.id}: ${report}`])
  if (options.json) print(JSON.stringify(report, null, 2))
  if (options.out === undefined) return 0
  try {
    await writeFile(options.out, pageOf(report))
  } catch (error) {
    return refuse([`${options.out}: it cannot be written (${error instanceof Error ? error.message : String(error)})`])
  }
  if (!options.json) print(`wrote ${options.out}: certificate ${found.id}`)
  return 0
}

function optionProblems({ out, json, costWrong, costReview, previous }: ReportOptions): readonly string[] {
  const isMissing = (costWrong === undefined) !== (costReview === undefined)
  return [
    out === undefined && !json
      ? 'where should the report go? -o report.html writes a page, --json prints the figures'
      : [],
    isMissing ? '--cost-wrong and --cost-review go together: only their ratio decides' : [],
    previous !== undefined && !(previous >= 0 && previous <= 1)
      ? `--previous ${previous}: a score lies between 0 and 1`
      : [],
  ].flat()
}

const costsOf = ({ costWrong, costReview }: ReportOptions): Costs | null =>
  costWrong === undefined || costReview === undefined ? null : { wrongExecution: costWrong, review: costReview }

/** From the first to the last time; null where they are no times, or all the same. */
function spanOf(window: LoadedUnlabelled['window']): number | null {
  const span = window === null ? Number.NaN : Date.parse(window.to) - Date.parse(window.from)
  return span > 0 ? span : null
}

type Data = {
  readonly made: Made
  readonly labelled: LoadedLabelled
  readonly unlabelled: LoadedUnlabelled
  readonly observed: Observed | null
}

async function load(it: Certificate, options: ReportOptions): Promise<Data | { readonly problems: readonly string[] }> {
  const { made, segment } = it
  if (segment !== null && options.segment !== undefined && options.segment !== made.columns.segment)
    return { problems: [`--segment: the certificate is for \`${segment}\` of \`${made.columns.segment ?? ''}\` alone`] }
  const columns = { ...made.columns, segment: options.segment ?? made.columns.segment, labelMeans: made.labelMeans }
  const files = { labelled: options.labelled ?? made.labelled, unlabelled: options.unlabelled ?? made.unlabelled }
  const labelled = await loadLabelled(files.labelled, columns)
  const unlabelled = await loadUnlabelled(files.unlabelled, columns)
  const observed = options.verdicts === undefined ? null : await loadVerdicts(options.verdicts)
  const problems = [labelled, unlabelled, observed].flatMap((read) =>
    read !== null && read.kind === 'problems' ? read.problems : [],
  )
  if (problems.length > 0 || labelled.kind === 'problems' || unlabelled.kind === 'problems') return { problems }
  const others = (['labelled', 'unlabelled'] as const).flatMap((which) => {
    const digest = which === 'labelled' ? labelled.digest : unlabelled.digest
    return digest === it.dataDigest[which]
      ? []
      : [
          `${files[which]}: this is not the ${which} file the certificate was made from (digest ${digest}, ` +
            `not ${it.dataDigest[which]}); name that one with --${which}`,
        ]
  })
  if (others.length > 0) return { problems: others }
  return { made, labelled, unlabelled, observed: observed?.kind === 'verdicts' ? observed.observed : null }
}
