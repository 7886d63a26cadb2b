import { partsOf } from '../calibration/certify-segments.ts'
import type { Demand } from '../calibration/certification.ts'
import { seededRandom } from '../calibration/random.ts'
import { dirtyRefusal, type Refusal } from '../calibration/refusal.ts'
import { tradeOff, type TradeOff } from '../calibration/trade-off.ts'
import type { Budget } from '../decision/certificate.ts'
import { AMOUNT_MAX, type Amounts } from '../decision/costs.ts'
import type { ActionRule } from '../decision/policy.ts'
import { loadPolicy } from '../policy/load-policy.ts'
import { formatProblem } from '../policy/problem.ts'
import { readText } from '../policy/read-text.ts'
import {
  loadLabelled,
  loadUnlabelled,
  problemLines,
  type LoadedLabelled,
  type LoadedUnlabelled,
} from './labelled-csv.ts'
import { thresholdLines } from './thresholds-report.ts'

export type ThresholdsOptions = {
  readonly labelled: string
  readonly unlabelled: string
  readonly score: string
  readonly label: string
  readonly labelMeans: 'right' | 'error'
  readonly segment?: string
  readonly cluster?: string
  /** What an action of this policy demands and what its mistakes cost; what is given beside it goes before. */
  readonly policy?: string
  readonly action?: string
  readonly risk?: number
  readonly assurance?: number
  readonly budget?: Budget
  readonly wrongExecution?: number
  readonly wrongReject?: number
  readonly review?: number
  readonly seed: number
  readonly json: boolean
  readonly print?: (line: string) => void
  /** For what the user must mend; standard error if not given. */
  readonly complain?: (line: string) => void
}

/** What is asked of every part: the promise to hold, and what is weighed. */
export type Terms = { readonly demand: Demand; readonly assurance: number; readonly costs: Amounts | null }

export type ThresholdsReport = Terms & {
  readonly parts: readonly (TradeOff & { readonly segment: string | null; readonly labels: number })[]
}

/**
 * `sluice thresholds`: what executing from each threshold on would execute, err, cost and leave to reviewers; which bands a
 * policy would choose, and what more labels would buy. Answers the exit code: 0, or 1 where the data are refused, or 2 where
 * the options or the data are not as they must be.
 */
export async function showThresholds(options: ThresholdsOptions): Promise<0 | 1 | 2> {
  const say = options.print ?? console.log
  const columns = { segment: null, cluster: null, time: null, ...options }
  const labelled = await loadLabelled(options.labelled, columns)
  const unlabelled = await loadUnlabelled(options.unlabelled, columns)
  const terms = await termsOf(options)
  const problems = [terms, labelled, unlabelled].flatMap((it) => ('problems' in it ? it.problems : []))
  if ('problems' in terms || labelled.kind === 'problems' || unlabelled.kind === 'problems') {
    for (const line of problemLines(problems)) (options.complain ?? console.error)(line)
    return 2
  }
  const report = reportOf(labelled, unlabelled, terms, options.seed)
  if ('code' in report) {
    say(options.json ? JSON.stringify({ parts: [], refusal: report }, null, 2) : `${report.detail} (${report.code})`)
    return 1
  }
  if (options.json) say(JSON.stringify({ ...report, refusal: null }, null, 2))
  else for (const line of thresholdLines(report)) say(line)
  return 0
}

function reportOf(
  labelled: LoadedLabelled,
  unlabelled: LoadedUnlabelled,
  terms: Terms,
  seed: number,
): ThresholdsReport | Refusal {
  const dirty =
    dirtyRefusal(labelled.withoutScore, labelled.rows, 'labelled') ??
    dirtyRefusal(unlabelled.withoutScore, unlabelled.rows, 'unlabelled')
  if (dirty !== null) return dirty
  const random = seededRandom(seed)
  const { whole, segments } = partsOf(labelled.data, unlabelled.data, random)
  const parts = (segments.length === 0 ? [whole] : segments).map(({ segment, sample, scores }) => ({
    segment,
    labels: sample.scores.length,
    ...tradeOff(sample, scores, terms.demand, terms.costs, random),
  }))
  return { ...terms, parts }
}

// ---- what is asked ----------------------------------------------------------------------------------------------

type Problems = { readonly problems: readonly string[] }

async function termsOf(options: ThresholdsOptions): Promise<Terms | Problems> {
  const rule = options.policy === undefined ? null : await ruleOf(options.policy, options.action)
  if (rule !== null && 'problems' in rule) return rule
  const demanded = rule?.confidence.certified ?? null
  const risk = options.risk ?? demanded?.risk
  const assurance = options.assurance ?? demanded?.assurance ?? 0.95
  const costs = costsOf(options, rule)
  if (risk === undefined)
    return { problems: ['--risk: say how many errors are allowed, or name a policy and an action that demands it'] }
  if (costs !== null && 'problems' in costs) return costs
  // 1 − 0.95 is 0.050000000000000044: what people write must decide, not how it is stored.
  const delta = Number((1 - assurance).toPrecision(12))
  return { demand: { risk, delta, budget: options.budget ?? demanded?.budget ?? 'per-execution' }, assurance, costs }
}

async function ruleOf(file: string, action: string | undefined): Promise<ActionRule | Problems> {
  const read = await readText(file)
  if (read.kind === 'missing') return { problems: [`${file}: ${read.why}`] }
  const loaded = read.kind === 'text' ? loadPolicy(read.text, file) : read
  if (loaded.kind === 'problems') return { problems: loaded.problems.map(formatProblem) }
  const rule = loaded.policy.actions.get(action ?? '')
  const known = [...loaded.policy.actions.keys()].join(', ')
  return rule ?? { problems: [`--action: name one of the policy's actions, which are ${known}`] }
}

function costsOf(options: ThresholdsOptions, rule: ActionRule | null): Amounts | null | Problems {
  const costs = rule?.costs ?? null
  const written = costs?.written
  const wrongExecution = options.wrongExecution ?? (typeof written === 'number' ? written : undefined)
  const wrongReject = options.wrongReject ?? costs?.wrongReject
  const review = options.review ?? costs?.review
  if (wrongExecution === undefined && typeof written === 'string')
    return { problems: [`--wrong-execution: the policy computes it by \`${written}\`; say for which amount to look`] }
  if (wrongExecution === undefined && wrongReject === undefined && review === undefined) return null
  if (wrongExecution === undefined || wrongReject === undefined || review === undefined)
    return { problems: ['--wrong-execution, --wrong-reject and --review go together'] }
  const amounts = { wrongExecution, wrongReject, review }
  const isFine = Object.values(amounts).every((it) => it >= 0 && it <= AMOUNT_MAX) && wrongReject > 0
  return isFine ? amounts : { problems: ['costs must be numbers from 0 up, and --wrong-reject above 0'] }
}
