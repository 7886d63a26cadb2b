import { styleText } from 'node:util'
import type { Route } from '../decision/route.ts'
import type { Verdict } from '../decision/verdict.ts'

const COLOURS: Readonly<Record<Route, 'green' | 'yellow' | 'red'>> = {
  execute: 'green',
  review: 'yellow',
  reject: 'red',
}

/** One verdict on one line: when, route, what would be done to what, the score, and the reasons, the deciding one first. */
export function verdictLine(verdict: Verdict): string {
  const { event, route, facts } = verdict
  const time = new Date(facts.now).toISOString().slice(11, 23)
  const what = `${event.action} ${event.subject.type}/${event.subject.id}`
  return [
    time,
    styleText(COLOURS[route], route.padEnd(7)),
    what.padEnd(30),
    scoreOf(verdict).padEnd(11),
    reasonsOf(verdict),
    styleText('dim', verdict.decisionId),
  ].join('  ')
}

/** Raw and, where a table changed it, calibrated score. */
function scoreOf({ score }: Verdict): string {
  if (score.raw === null) return 'no score'
  const raw = score.raw.toFixed(2)
  return score.calibrated === null || score.calibrated === score.raw ? raw : `${raw} → ${score.calibrated.toFixed(2)}`
}

/** The deciding finding in words, then the codes of the others that are as strict or noteworthy. */
function reasonsOf({ findings, route }: Verdict): string {
  const [first, ...rest] = findings.filter((it) => it.route === route)
  const also = rest.map((it) => it.code)
  const more = also.length === 0 ? '' : ` (also ${[...new Set(also)].join(', ')})`
  return first === undefined ? '' : `${first.code}: ${first.detail}${more}`
}
