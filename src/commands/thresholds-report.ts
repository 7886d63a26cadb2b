import type { Outlook } from '../calibration/next-labels.ts'
import type { Step, TradeOff } from '../calibration/trade-off.ts'
import { percent } from '../decision/words.ts'
import type { ThresholdsReport } from './thresholds.ts'

/** The report of `sluice thresholds`, line by line. */
export function thresholdLines(report: ThresholdsReport): readonly string[] {
  const { demand, assurance, costs, parts } = report
  const of = demand.budget === 'per-event' ? 'of all events' : 'among executed events'
  return [
    `demand     at most ${percent(demand.risk)} errors ${of}, with ${percent(assurance)}`,
    costs === null
      ? 'costs      none given: add --wrong-execution, --wrong-reject and --review'
      : `costs      ${costs.wrongExecution} for a wrong execution, ${costs.wrongReject} for a wrong rejection, ${costs.review} for a look`,
    ...parts.flatMap((part) => partLines(part, costs !== null)),
    '',
    'Errors and bounds are of the labels, each bound for its threshold alone; all else is of the unlabelled scores. Costs',
    'go by the map fitted to the labels. More labels: 40 samples of each size, drawn with replacement from those there are,',
    'are certified; the mean, and in brackets what nine in ten stay above and below, if errors stay as frequent.',
  ]
}

type Part = ThresholdsReport['parts'][number]

const partLines = (part: Part, isWeighed: boolean): readonly string[] => [
  '',
  ...(part.segment === null ? [] : [`segment ${part.segment}`]),
  `labels     ${part.labels}, ${part.map === null ? 'too few for a map' : `map ${part.map}`}`,
  `certified  ${certifiedLine(part)}`,
  ...(isWeighed ? [`chosen     ${chosenLine(part)}`] : []),
  `1000 more  ${moreLine(part)}`,
  '',
  ...curveLines(part),
]

function certifiedLine({ certification }: TradeOff): string {
  const { threshold, coverage, refusal } = certification
  return threshold === null
    ? `${refusal?.detail ?? 'nothing'} (${refusal?.code ?? ''})`
    : `from ${threshold}: ${percent(coverage)} of the traffic`
}

function chosenLine({ chosen, steps, map }: TradeOff): string {
  const { threshold, execute, reject } = chosen
  if (map === null) return 'without a map costs cannot be weighed'
  const edges = `where at least ${percent(execute ?? 0)} are right; rejected where at most ${percent(reject ?? 0)} are`
  const step = steps.find((it) => it.threshold === threshold)
  if (threshold === null || step === undefined) return `nothing is executed, ${edges}`
  return `executed from ${threshold}, ${edges}: ${shares(step)}, ${figure(step.cost)} an event`
}

const shares = ({ coverage, reviewed, rejected }: Step): string =>
  `${percent(coverage)} executed, ${percent(reviewed)} reviewed, ${percent(rejected)} rejected`

function moreLine({ outlook: { now, more } }: TradeOff): string {
  if (now === null || more === null) return 'labels: there are none yet to judge by'
  const gain = more.coverage.mean - now.coverage.mean
  return (
    `labels would let ${coverageInWords(more)} be executed on average instead of ${coverageInWords(now)}` +
    (gain > 0 ? `, ${percent(gain)} of the traffic more` : ', which is no gain')
  )
}

const coverageInWords = ({ coverage }: Outlook): string =>
  `${percent(coverage.mean)} (${percent(coverage.p10)} to ${percent(coverage.p90)})`

const LINES = 20

/** At most about 20 steps, strict to loose, the certified and the chosen one among them. */
function curveLines({ steps, certification, chosen }: TradeOff): readonly string[] {
  const step = Math.max(1, Math.ceil(steps.length / LINES))
  const marked = new Set([certification.threshold, chosen.threshold])
  const shown = steps.filter(
    ({ threshold }, index) => index % step === 0 || index === steps.length - 1 || marked.has(threshold),
  )
  const marks = (threshold: number): string =>
    [
      threshold === certification.threshold ? 'certified' : [],
      threshold === chosen.threshold && chosen.execute !== null ? 'chosen' : [],
    ]
      .flat()
      .join(', ')
  return [
    'threshold      executed  reviewed  rejected    labels  errors    share    bound      cost',
    ...shown.map((it) => `${rowOf(it)}  ${marks(it.threshold)}`.trimEnd()),
    ...(shown.length < steps.length ? [`${steps.length - shown.length} more in --json`] : []),
  ]
}

const rowOf = (it: Step): string =>
  [
    String(it.threshold).padEnd(13),
    ...[it.coverage, it.reviewed, it.rejected].map((share) => percent(share).padStart(9)),
    String(it.executed).padStart(9),
    String(it.errors).padStart(7),
    (it.executed === 0 ? '-' : percent(it.errors / it.executed)).padStart(8),
    percent(it.upperBound).padStart(8),
    figure(it.cost).padStart(9),
  ].join(' ')

const figure = (value: number | null): string => (value === null ? '-' : String(Number(value.toPrecision(4))))
