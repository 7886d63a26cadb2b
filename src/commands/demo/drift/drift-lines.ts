import { styleText } from 'node:util'
import { duration, percent } from '../../../decision/words.ts'
import type { DriftPlan } from './drift-plan.ts'
import { PROMISE, RAW_THRESHOLD } from './drift-plan.ts'
import { shareOf } from './drift-tally.ts'
import type { DriftTally, Executed } from './drift-tally.ts'

const WIDTH = 26
const RAW = `if (confidence > ${RAW_THRESHOLD})`

/** Above the running tally. */
export const headLines = (): readonly string[] => [
  `${''.padEnd(8)}  ${'by the certificate'.padEnd(WIDTH)}  ${RAW}`,
  `${'events'.padStart(8)}  ${sideHead().padEnd(WIDTH)}  ${sideHead()}`,
]

const sideHead = (): string => `${'executed'.padStart(8)} ${'wrong'.padStart(6)} ${'share'.padStart(8)}`

export const tallyLine = ({ sent, whole: { certified, raw } }: DriftTally, doing: string): string =>
  `${grouped(sent).padStart(8)}  ${sideOf(certified).padEnd(WIDTH)}  ${sideOf(raw).padEnd(WIDTH)} ${styleText('dim', doing)}`

const sideOf = (side: Executed): string =>
  `${grouped(side.executed).padStart(8)} ${grouped(side.wrong).padStart(6)} ${shareText(side).padStart(8)}`

const shareText = (side: Executed): string => (side.executed === 0 ? '–' : `${(100 * shareOf(side)).toFixed(2)} %`)

const grouped = (value: number): string => value.toLocaleString('en-US')

/** Something that happens only once. */
export const newsLine = (text: string): string => `\n${styleText('bold', `── ${text}`)}\n`

/** Whether more of what was executed on the certificate is wrong than it promised. */
export const isBroken = ({ whole: { certified } }: DriftTally): boolean => !(shareOf(certified) <= PROMISE.risk)

export function summaryLines(tally: DriftTally, plan: DriftPlan): readonly string[] {
  const { whole, sent, unanswered, repeated } = tally
  return [
    `${sent} events sent, ${sent - unanswered} decided, ${unanswered} without a verdict, ${repeated} answered twice`,
    '',
    `${''.padEnd(27)}${sideHead()}`,
    `${'by the certificate'.padEnd(27)}${sideOf(whole.certified)}   promised: at most ${percent(PROMISE.risk)}`,
    `${RAW.padEnd(27)}${sideOf(whole.raw)}`,
    '',
    ...driftLines(tally, plan),
    keptLine(tally),
  ]
}

function driftLines({ delay, drifted, afterwards, withdrawn, certificate, sent }: DriftTally, plan: DriftPlan) {
  if (certificate === null) return ['nothing was executed on a certificate']
  if (sent <= plan.driftAt) return [`certificate ${certificate} was in force; the model had not drifted yet`]
  if (delay === null || withdrawn === null) return [`certificate ${certificate} was not withdrawn after the drift`]
  const since = drifted.certified
  return [
    `drift at event ${grouped(plan.driftAt)}; certificate ${withdrawn.certificate} withdrawn ${grouped(delay.events)} events (${duration(delay.ms)}) later`,
    `between the two ${grouped(since.executed)} executed on it, ${grouped(since.wrong)} wrong (${shareText(since)})`,
    `after that ${grouped(afterwards.certified.executed)} executed on it; by the plain threshold ` +
      `${grouped(afterwards.raw.executed)}, ${grouped(afterwards.raw.wrong)} wrong (${shareText(afterwards.raw)})`,
  ]
}

const keptLine = (tally: DriftTally): string => {
  const share = shareText(tally.whole.certified)
  if (tally.whole.certified.executed === 0) return 'no promise was put to the test'
  const [colour, what] = isBroken(tally) ? (['red', 'broken'] as const) : (['green', 'kept'] as const)
  return styleText(colour, `the promise was ${what}: ${share} wrong, at most ${percent(PROMISE.risk)} promised`)
}
