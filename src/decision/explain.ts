import type { Amounts } from './costs.ts'
import type { ControlFact, CounterFact, ContextFact, Facts } from './facts.ts'
import type { Route } from './route.ts'
import { renderSections } from './sections.ts'
import type { Row, Section } from './sections.ts'
import type { Finding, Promised, Score, Verdict } from './verdict.ts'
import { duration, isoTime, percent, quote } from './words.ts'

const DONE: Readonly<Record<Route, string>> = {
  execute: 'is to be executed',
  review: 'goes to review',
  reject: 'is rejected',
}

/** The decision in words, for a terminal of 100 columns. Text from outside is shown without control characters. */
export function explain(verdict: Verdict): string {
  const title = `Decision ${verdict.decisionId}: ${verdict.event.action} ${DONE[verdict.route]}, ${verdict.code}`
  return renderSections(title, [
    { heading: null, rows: proposalRows(verdict) },
    ...findingSections(verdict),
    { heading: 'What would have changed it', rows: changeRows(verdict) },
    { heading: 'Confidence', rows: scoreRows(verdict) },
    { heading: 'What was known', rows: factRows(verdict.facts) },
    { heading: 'Record', rows: recordRows(verdict) },
  ])
}

function proposalRows({ event, facts, notAfter, undo }: Verdict): readonly Row[] {
  const { subject, model } = event
  const owner = subject.owner === null ? '' : `, owner ${quote(subject.owner)}`
  const actor = event.actor === null ? '' : `, on behalf of ${quote(event.actor)}`
  const rows: Row[] = [
    ['proposal', `${quote(event.action)} of ${quote(subject.type)} ${quote(subject.id)}${owner}`],
    ['by', `model ${quote(model.name)} ${quote(model.version)} for tenant ${quote(event.tenant)}${actor}`],
    ['event', `${quote(event.id)} from ${quote(event.source)}, ${moment(event.time, facts.now)}`],
  ]
  if (event.expiresAt !== null) rows.push(['expires', moment(event.expiresAt, facts.now)])
  rows.push(['undo', undo ?? 'not known, as the policy does not know the action'])
  if (notAfter !== null) rows.push(['not after', moment(notAfter, facts.now)])
  return rows
}

function findingSections({ findings, route }: Verdict): readonly Section[] {
  const decided = findings.filter((it) => it.route === route)
  const others = findings.filter((it) => it.route !== route)
  const sections: Section[] = [{ heading: 'What decided it', rows: decided.map(findingRow) }]
  if (others.length > 0) sections.push({ heading: 'What was noticed besides', rows: others.map(findingRow) })
  return sections
}

const findingRow = ({ route, code, subject, detail }: Finding): Row => [
  route,
  `${code}${subject === null ? '' : ` (${subject})`}: ${detail}`,
]

function changeRows({ route, changes }: Verdict): readonly Row[] {
  if (route === 'execute') return [['', 'Nothing stood against it.']]
  if (changes === null) return [['', 'It cannot be told: the score could not be held against a threshold.']]
  return [['', `Without ${changes.without.join(', ')} it ${WOULD[changes.route]}.`]]
}

const WOULD: Readonly<Record<Route, string>> = {
  execute: 'would have been executed',
  review: 'would have gone to review',
  reject: 'would have been rejected',
}

function scoreRows({ score, event }: Verdict): readonly Row[] {
  const rows: Row[] = [['score', scoreInWords(score, event.confidence)]]
  if (score.low !== null && score.high !== null)
    rows.push(['right', `in ${percent(score.low)} to ${percent(score.high)} of cases like it`])
  if (score.costs !== null) rows.push(['costs', costsInWords(score.costs)])
  if (score.execute !== null) rows.push(['execute', `from ${score.execute}${distance(score, score.execute)}`])
  if (score.reject !== null) rows.push(['reject', `below ${score.reject}${distance(score, score.reject)}`])
  if (score.margin !== null) rows.push(['margin', `${signed(score.margin)} to the nearest of these`])
  if (score.certificate !== null && score.certified !== null) {
    rows.push(...certificateRows(score.certificate, score.certified, score.raw))
  }
  return rows
}

const costsInWords = ({ wrongExecution, wrongReject, review }: Amounts): string =>
  `${wrongExecution} for a wrong execution, ${wrongReject} for a wrong rejection, ${review} for a look`

function certificateRows(id: string, promised: Promised, raw: number | null): readonly Row[] {
  const { threshold, risk, assurance, budget, segment, upperBound } = promised
  const distance = raw === null ? '' : `; the score as sent is ${signed(raw - threshold)} from there`
  const events = segment === null ? 'events' : `events of segment ${quote(segment)}`
  const errors = budget === 'per-event' ? `of all ${events} executed and wrong` : `errors among executed ${events}`
  return [
    ['certified', `from ${threshold} as sent${distance}`],
    ['certificate', id],
    ['', `at most ${percent(risk)} ${errors}, with ${percent(assurance)}; upper bound ${percent(upperBound)}`],
  ]
}

function scoreInWords({ raw, calibrated, calibrator }: Score, sent: number | null): string {
  if (raw === null) return sent === null ? 'none was sent' : `${sent} was sent, which is not a score`
  if (calibrated === null) return `${raw} as sent, not calibrated and not held against any band`
  return calibrator === null
    ? `${raw} as sent, no calibration applies`
    : `${raw} as sent, ${calibrated} by calibration table ${calibrator}`
}

const distance = ({ calibrated }: Score, edge: number): string =>
  calibrated === null ? '' : `; the score is ${signed(calibrated - edge)} from there`

/** To three significant digits. */
const signed = (value: number): string => `${value < 0 ? '' : '+'}${Number(value.toPrecision(3))}`

function factRows(facts: Facts): readonly Row[] {
  const clock = facts.clock === 'redis' ? 'the state store' : 'the processor'
  const { first } = facts
  return [
    ['time', `${isoTime(facts.now)} by the clock of ${clock}`],
    ['state', STATE[facts.state]],
    [
      'earlier',
      first === null ? 'no event of this id is known' : `decision ${quote(first.decisionId)}, digest ${first.digest}`,
    ],
    ...facts.context.flatMap((it) => contextRows(it, facts.now)),
    ...facts.counters.map(counterRow),
    ...facts.control.map((it) => controlRow(it, facts.now)),
  ]
}

const STATE: Readonly<Record<Facts['state'], string>> = {
  ok: 'answered',
  unavailable: 'did not answer in time',
  lost: 'answered, but had lost what it should remember',
}

function contextRows({ name, key, value }: ContextFact, now: number): readonly Row[] {
  if (key === null) return [['context', `${quote(name)}: the event names none`]]
  const which = `${quote(name)} ${quote(key)}`
  if (value === null) return [['context', `${which}: nothing known`]]
  const attributes = Object.entries(value.attributes).map(([attribute, it]) => `${attribute} = ${shown(it)}`)
  return [
    ['context', `${which}: version ${value.version} from ${quote(value.source)}, ${moment(value.time, now)}`],
    ...attributes.map((it): Row => ['', it]),
  ]
}

const shown = (value: boolean | number | string | null): string =>
  typeof value === 'string' ? quote(value) : `${value}`

function counterRow({ limit, before, after, granted }: CounterFact): Row {
  const place = granted === null ? '' : granted ? ', place reserved' : ', no place given'
  return ['counter', `${quote(limit)}: ${before} before this event, ${after} after${place}`]
}

function controlRow(order: ControlFact, now: number): Row {
  const { id, author, reason, expiresAt } = order
  const what = orderInWords(order)
  const until = expiresAt === null ? 'until it is lifted' : `until ${moment(expiresAt, now)}`
  return ['order', `${quote(id)} of ${quote(author)} ${what}, ${until}${reason === '' ? '' : `: ${reason}`}`]
}

function orderInWords({ kind, route, rule, certificate }: ControlFact): string {
  if (certificate !== null) return `withdraws certificate ${quote(certificate)}`
  if (kind === 'exempt') return `exempts ${quote(rule ?? '')}`
  return kind === 'kill' ? `stops, to ${route}` : `forces ${route}`
}

function recordRows(verdict: Verdict): readonly Row[] {
  const { source, policy, audit, mode } = verdict
  return [
    ['mode', mode === 'normal' ? 'normal' : 'degraded: decided without trustworthy state'],
    ['policy', `${quote(policy.name)} version ${policy.version}, digest ${policy.digest}`],
    ['calibration', policy.calibration === null ? 'no file in force' : `file with digest ${policy.calibration}`],
    ...(policy.certificates === null ? [] : [certificatesRow(policy.certificates)]),
    ['engine', verdict.engine],
    ['action key', verdict.actionKey],
    ['audit', `${audit.selected ? 'picked' : 'not picked'} for labelling, chance ${audit.propensity}`],
    [
      'input',
      `${source.topic} partition ${source.partition} offset ${source.offset}, ${source.keyed ? 'keyed' : 'without key'}, ${isoTime(source.timestamp)}`,
    ],
    ['', `schema ${source.schemaId}, digest ${source.digest}`],
  ]
}

const certificatesRow = (digest: string): Row => ['certified', `by the file of certificates with digest ${digest}`]

/** A time and where it lies seen from the decision. */
function moment(time: number, now: number): string {
  const age = now - time
  if (!Number.isFinite(age)) return isoTime(time)
  if (age === 0) return `${isoTime(time)}, the time of the decision`
  return `${isoTime(time)}, ${age > 0 ? `${duration(age)} before` : `${duration(-age)} after`} the decision`
}
