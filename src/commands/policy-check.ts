import type { Calibration } from '../decision/calibration.ts'
import type { Certificates } from '../decision/certificate.ts'
import type { Costs } from '../decision/costs.ts'
import type { ActionRule, CertificateDemand, Policy } from '../decision/policy.ts'
import { loadCalibration, type LoadedCalibration } from '../policy/calibration-file.ts'
import { certificateInWords, loadCertificates, type LoadedCertificates } from '../policy/certificate-file.ts'
import { formatDuration } from '../policy/duration.ts'
import { loadPolicy, type LoadedPolicy } from '../policy/load-policy.ts'
import { formatProblem, type Problem } from '../policy/problem.ts'
import { readText } from '../policy/read-text.ts'
import { policyWarnings } from '../policy/warnings.ts'

export type PolicyCheckOptions = {
  /** One JSON document instead of lines. */
  readonly json: boolean
  readonly print?: (line: string) => void
}

type Checked =
  | { readonly kind: 'policy'; readonly file: string; readonly policy: Policy }
  | { readonly kind: 'calibration'; readonly file: string; readonly calibration: Calibration }
  | { readonly kind: 'certificates'; readonly file: string; readonly certificates: Certificates }
  | { readonly kind: 'problems'; readonly file: string; readonly problems: readonly Problem[] }
  | { readonly kind: 'tests'; readonly file: string }
  | { readonly kind: 'missing'; readonly file: string; readonly why: string }

/**
 * `sluice policy check FILE...`: checks policies, calibration files (those that have `tables`) and files of certificates
 * (those that have `certificates`). Answers the exit code: 0 all fine, 1 something is wrong in a file, 2 a file cannot be read or none was named.
 */
export async function policyCheck(files: readonly string[], options: PolicyCheckOptions): Promise<0 | 1 | 2> {
  const { json, print = console.log } = options
  if (files.length === 0) print('no file named: write `sluice policy check FILE`')
  const checked = await Promise.all(files.map(checkFile))
  if (json) print(JSON.stringify(checked.map(toJson), null, 2))
  else for (const result of checked) print(inWords(result))
  if (files.length === 0 || checked.some(({ kind }) => kind === 'missing')) return 2
  return checked.some(({ kind }) => kind === 'problems') ? 1 : 0
}

async function checkFile(file: string): Promise<Checked> {
  const read = await readText(file)
  if (read.kind === 'text' && /\.test\.ya?ml$/u.test(file)) return { kind: 'tests', file }
  if (read.kind !== 'text') return { ...read, file }
  return { ...load(read.text, file), file }
}

/** Files of certificates have `certificates` at the start of a line; calibration files `tables`, or are JSON. */
function load(text: string, file: string): LoadedPolicy | LoadedCalibration | LoadedCertificates {
  if (/^[ \t{]*["']?certificates["']?[ \t]*:/mu.test(text)) return loadCertificates(text, file)
  const isCalibration = file.endsWith('.json') || /^tables[ \t]*:/mu.test(text)
  return isCalibration ? loadCalibration(text, file) : loadPolicy(text, file)
}

function inWords(checked: Checked): string {
  if (checked.kind === 'policy') return policyInWords(checked.file, checked.policy)
  if (checked.kind === 'calibration') return calibrationInWords(checked.file, checked.calibration)
  if (checked.kind === 'certificates') return certificatesInWords(checked.file, checked.certificates)
  if (checked.kind === 'missing') return `${checked.file}: ${checked.why}`
  if (checked.kind === 'tests') return `${checked.file}: tests of a policy, run by its test suite and not checked here`
  return [...checked.problems.map(formatProblem), count(checked.problems.length, 'problem')].join('\n')
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`

function policyInWords(file: string, policy: Policy): string {
  const { actions, limits, desks, context, rules } = policy
  return [
    `${file}: fine`,
    `  policy   ${policy.name} version ${policy.version}, digest ${policy.digest}`,
    ...[...actions.values()].map((rule) => `  action   ${rule.action}: ${actionInWords(rule)}`),
    ...context.map(
      ({ name, key, maxAgeMs, missing }) =>
        `  context  ${name} by ${key.name}, at most ${formatDuration(maxAgeMs)} old, else ${missing}`,
    ),
    ...limits.map(
      ({ id, max, count, windowMs, per, over }) =>
        `  limit    ${id}: ${max} ${count} in ${formatDuration(windowMs)} per ${perInWords(per)}, beyond that ${over}`,
    ),
    ...desks.map(
      ({ actions, max, windowMs }) =>
        `  desk     ${max} reviews in ${formatDuration(windowMs)} of ${[...(actions ?? [])].join(', ')}`,
    ),
    ...rules.map(({ id, route, code }) => `  rule     ${id}: ${route}, ${code}`),
    ...policyWarnings(policy).map((warning) => `  warning  ${warning}`),
  ].join('\n')
}

const perInWords = (per: readonly { readonly name: string }[]): string =>
  per.length === 0 ? 'deployment' : per.map(({ name }) => name).join(' and ')

function actionInWords({ undo, confidence, costs, stateless }: ActionRule): string {
  const { execute, certified, reject, calibrated } = confidence
  const parts = [
    undo,
    execute === null ? null : `executed from ${execute}`,
    certified === null ? null : demandInWords(certified),
    execute === null && certified === null ? 'never executed without a person' : null,
    reject === null ? null : `rejected below ${reject}`,
    calibrated === 'required' ? 'calibrated scores only' : null,
    costs === null ? null : costsInWords(costs),
    stateless ? 'also while state is away' : null,
  ]
  return parts.filter((part) => part !== null).join(', ')
}

const costsInWords = ({ written, wrongReject, review }: Costs): string =>
  `a look at ${review} weighed against ${written} for a wrong execution and ${wrongReject} for a wrong rejection`

const demandInWords = ({ risk, assurance, budget, segment }: CertificateDemand): string =>
  `executed with a certificate of risk ${risk} at ${assurance}` +
  (budget === 'per-event' ? ' of all events' : '') +
  (segment === null ? '' : ` per ${segment.name}`)

const certificatesInWords = (file: string, { tree, digest }: Certificates): string =>
  [
    `${file}: fine`,
    `  digest   ${digest}`,
    ...(tree.certificates.length === 0 ? ['  nothing is certified yet'] : []),
    ...tree.certificates.map((it) => `  execute  ${certificateInWords(it)}`),
  ].join('\n')

const calibrationInWords = (file: string, { tables, digest }: Calibration): string =>
  [
    `${file}: fine`,
    `  digest   ${digest}`,
    ...tables.map(
      ({ model, action, scoreKind, points, expiresAt }) =>
        `  table    ${model.name} version ${model.version}, ${action ?? 'every action'}: ${scoreKind}, ` +
        `${points.length} points, ${expiresAt === null ? 'does not lapse' : `lapses ${new Date(expiresAt).toISOString()}`}`,
    ),
  ].join('\n')

function toJson(checked: Checked): unknown {
  if (checked.kind === 'policy') return policyToJson(checked.file, checked.policy)
  if (checked.kind === 'certificates') return certificatesToJson(checked.file, checked.certificates)
  if (checked.kind !== 'calibration') return checked
  const { tables, digest } = checked.calibration
  return { kind: checked.kind, file: checked.file, digest, tables: tables.length }
}

const policyToJson = (file: string, policy: Policy) => ({
  kind: 'policy',
  file,
  name: policy.name,
  version: policy.version,
  digest: policy.digest,
  actions: [...policy.actions.keys()],
  context: policy.context.map((need) => need.name),
  limits: policy.limits.map(({ id }) => id),
  rules: policy.rules.map(({ id }) => id),
  warnings: policyWarnings(policy),
})

const certificatesToJson = (file: string, { tree, digest }: Certificates) => ({
  kind: 'certificates',
  file,
  digest,
  certificates: tree.certificates.map(({ id }) => id),
})
