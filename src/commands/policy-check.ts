import type { Calibration } from '../decision/calibration.ts'
import type { ActionRule, Policy } from '../decision/policy.ts'
import { loadCalibration } from '../policy/calibration-file.ts'
import { formatDuration } from '../policy/duration.ts'
import { loadPolicy } from '../policy/load-policy.ts'
import { formatProblem, type Problem } from '../policy/problem.ts'
import { readText } from '../policy/read-text.ts'

export type PolicyCheckOptions = {
  /** One JSON document instead of lines. */
  readonly json: boolean
  readonly print?: (line: string) => void
}

type Checked =
  | { readonly kind: 'policy'; readonly file: string; readonly policy: Policy }
  | { readonly kind: 'calibration'; readonly file: string; readonly calibration: Calibration }
  | { readonly kind: 'problems'; readonly file: string; readonly problems: readonly Problem[] }
  | { readonly kind: 'tests'; readonly file: string }
  | { readonly kind: 'missing'; readonly file: string; readonly why: string }

/**
 * `sluice policy check FILE...`: checks policies and calibration files (those that have `tables`). Answers the exit code:
 * 0 all fine, 1 something is wrong in a file, 2 a file cannot be read or none was named.
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
  const loaded = isCalibration(file, read.text) ? loadCalibration(read.text, file) : loadPolicy(read.text, file)
  return { ...loaded, file }
}

/** Calibration files are JSON, or have `tables` at the start of a line. */
const isCalibration = (file: string, text: string): boolean => file.endsWith('.json') || /^tables[ \t]*:/mu.test(text)

function inWords(checked: Checked): string {
  if (checked.kind === 'policy') return policyInWords(checked.file, checked.policy)
  if (checked.kind === 'calibration') return calibrationInWords(checked.file, checked.calibration)
  if (checked.kind === 'missing') return `${checked.file}: ${checked.why}`
  if (checked.kind === 'tests') return `${checked.file}: tests of a policy, run by its test suite and not checked here`
  return [...checked.problems.map(formatProblem), count(checked.problems.length, 'problem')].join('\n')
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`

function policyInWords(file: string, policy: Policy): string {
  const { actions, limits, context, rules } = policy
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
    ...rules.map(({ id, route, code }) => `  rule     ${id}: ${route}, ${code}`),
  ].join('\n')
}

const perInWords = (per: readonly { readonly name: string }[]): string =>
  per.length === 0 ? 'deployment' : per.map(({ name }) => name).join(' and ')

function actionInWords({ undo, confidence, stateless }: ActionRule): string {
  const { execute, certified, reject, calibrated } = confidence
  const parts = [
    undo,
    execute === null ? null : `executed from ${execute}`,
    certified === null ? null : `executed with a certificate of risk ${certified.risk} at ${certified.assurance}`,
    execute === null && certified === null ? 'never executed without a person' : null,
    reject === null ? null : `rejected below ${reject}`,
    calibrated === 'required' ? 'calibrated scores only' : null,
    stateless ? 'also while state is away' : null,
  ]
  return parts.filter((part) => part !== null).join(', ')
}

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
  if (checked.kind !== 'calibration') return checked
  const { tables, digest } = checked.calibration
  return { kind: checked.kind, file: checked.file, digest, tables: tables.length }
}

const policyToJson = (file: string, { name, version, digest, actions, limits, context, rules }: Policy) => ({
  kind: 'policy',
  file,
  name,
  version,
  digest,
  actions: [...actions.keys()],
  context: context.map((need) => need.name),
  limits: limits.map(({ id }) => id),
  rules: rules.map(({ id }) => id),
})
