import { isInForce } from '../control.ts'
import type { ControlFact } from '../facts.ts'
import { NONE, finding } from '../matter.ts'
import type { Matter } from '../matter.ts'
import type { Finding } from '../verdict.ts'
import { isoTime, quote, shorten } from '../words.ts'

/** Kill switches and forced routes. Exemptions and withdrawn certificates show where they take effect. */
export function checkControl({ facts }: Matter): readonly Finding[] {
  if (facts.control.length === 0) return NONE
  const findings: Finding[] = []
  for (const order of facts.control) {
    if (order.certificate !== null || !isInForce(order, facts.now)) continue
    if (order.kind === 'kill') findings.push(killed(order))
    if (order.kind === 'force' && order.route !== 'execute') findings.push(forced(order))
  }
  return findings
}

/** A kill that says execute contradicts itself; the stricter reading holds. */
const killed = (order: ControlFact): Finding =>
  finding(
    order.route === 'execute' ? 'reject' : order.route,
    'control.killed',
    order.id,
    `kill switch ${quote(order.id)} of ${quote(order.author)} is on${reasonOf(order)}`,
  )

const forced = (order: ControlFact): Finding =>
  finding(
    order.route,
    'control.forced',
    order.id,
    `order ${quote(order.id)} of ${quote(order.author)} forces ${order.route} or stricter${reasonOf(order)}`,
  )

/** What stands in the place of a finding of a rule or limit that an operator exempted. */
export const exempted = (order: ControlFact, instead: Finding): Finding =>
  finding(
    'execute',
    'control.exempted',
    order.id,
    `exemption ${quote(order.id)} of ${quote(order.author)}, until ${isoTime(order.expiresAt ?? 0)}, sets aside ` +
      `${instead.code} (${instead.route}) of ${quote(order.rule ?? '')}${reasonOf(order)}`,
  )

const reasonOf = ({ reason }: ControlFact): string => (reason === '' ? '' : `: ${shorten(reason, 300)}`)
