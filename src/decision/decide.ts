import assert from 'node:assert/strict'
import type { Calibration } from './calibration.ts'
import type { Certificates } from './certificate.ts'
import { checkAction } from './checks/action.ts'
import { auditOf, selected } from './checks/audit.ts'
import { checkCalibration } from './checks/calibration.ts'
import { checkConfidence, isHeld } from './checks/confidence.ts'
import { checkContext } from './checks/context.ts'
import { checkControl } from './checks/control.ts'
import { checkEvent } from './checks/event.ts'
import { checkLimits, checkReserved } from './checks/limits.ts'
import { checkRules } from './checks/rules.ts'
import { decisionIdOf } from './keys.ts'
import { checkState } from './checks/state.ts'
import { checkDesk, deskOf, worthwhileReviews } from './desk.ts'
import type { Received } from './event.ts'
import type { Facts } from './facts.ts'
import { actionKeyOf } from './keys.ts'
import { toMatter } from './matter.ts'
import type { Check, Matter } from './matter.ts'
import type { Policy } from './policy.ts'
import { inOrder, strictest } from './precedence.ts'
import { scoreOf } from './score.ts'
import type { Finding, Verdict } from './verdict.ts'

/** Changes whenever the same inputs would yield another verdict. */
export const ENGINE = 'sluice-decide/1'

const CHECKS: readonly Check[] = [
  checkControl,
  checkEvent,
  checkAction,
  checkState,
  checkContext,
  checkRules,
  checkLimits,
  checkCalibration,
  checkConfidence,
]

/** The score is what most often keeps an event from being executed. */
const LIKELY_FIRST = CHECKS.toReversed()

/**
 * The one decision: a pure function of its arguments, total, without an exception for bad input. All checks run, and the
 * strictest finding wins. `actionKey` is the event's, for who has it already.
 */
export function decide(
  received: Received,
  facts: Facts,
  policy: Policy,
  calibration: Calibration,
  certificates: Certificates,
  actionKey: string = actionKeyOf(received.event),
): Verdict {
  const matter = toMatter(received, facts, policy, calibration, certificates)
  const noticed: Finding[] = []
  for (const check of CHECKS) for (const it of check(matter)) noticed.push(it)
  const route = strictest(noticed)
  if (route === 'execute') noticed.push(...checkReserved(matter))
  if (route === 'review' && policy.desks.length > 0) noticed.push(...checkDesk(matter, noticed))
  return conclude(noticed, matter, actionKey, named(policy, calibration, certificates))
}

/**
 * Whether `decide` would execute if places in all execution limits were reserved: only then are they asked for. Stops at
 * the first objection.
 */
export function wouldExecute(
  received: Received,
  facts: Facts,
  policy: Policy,
  calibration: Calibration,
  certificates: Certificates,
): boolean {
  const matter = toMatter(received, facts, policy, calibration, certificates)
  return LIKELY_FIRST.every((check) => strictest(check(matter)) === 'execute')
}

/**
 * The desk at which `decide` would have this event reviewed, if it would, and the number of reviews up to which it is worth
 * one: only then a place is asked for.
 */
export function reviewPlace(
  received: Received,
  facts: Facts,
  policy: Policy,
  calibration: Calibration,
  certificates: Certificates,
): { readonly desk: string; readonly max: number } | null {
  const matter = toMatter(received, facts, policy, calibration, certificates)
  const desk = deskOf(matter)
  if (desk === null) return null
  const noticed = CHECKS.flatMap((check) => check(matter))
  return strictest(noticed) === 'review' ? { desk: desk.id, max: worthwhileReviews(noticed, matter, desk) } : null
}

type PolicyRef = Verdict['policy']

function conclude(noticed: readonly Finding[], matter: Matter, actionKey: string, rules: PolicyRef): Verdict {
  const { event, source, facts, policy, rule } = matter
  const route = strictest(noticed)
  const audit = auditOf(route === 'execute', actionKey, rule, policy)
  const findings = inOrder(audit.selected ? [...noticed, selected(audit)] : noticed)
  const score = scoreOf(matter)
  return {
    decisionId: decisionIdOf(source),
    actionKey,
    route,
    code: decidingCode(findings),
    findings,
    mode: facts.state === 'ok' ? 'normal' : 'degraded',
    undo: rule?.undo ?? null,
    notAfter: route === 'execute' ? notAfterOf(matter) : null,
    score,
    changes: route === 'execute' ? null : changesOf(findings, matter),
    audit,
    policy: rules,
    engine: ENGINE,
    facts,
    source,
    event,
  }
}

type Rules = { readonly policy: Policy; readonly calibration: Calibration; readonly certificates: Certificates }

/** The last one given: verdicts of the same rules share it, and are encoded faster for it. */
let last: { readonly rules: Rules; readonly ref: PolicyRef } | null = null

function named(policy: Policy, calibration: Calibration, certificates: Certificates): PolicyRef {
  const known = last
  const { rules } = known ?? {}
  const isSame = rules?.policy === policy && rules.calibration === calibration && rules.certificates === certificates
  if (known !== null && isSame) return known.ref
  const { name, version, digest } = policy
  const ref = { name, version, digest, calibration: calibration.digest, certificates: certificates.digest }
  last = { rules: { policy, calibration, certificates }, ref }
  return ref
}

/** INVARIANT: an unknown action has a finding, and a known one has at least one on its score or its calibration. */
function decidingCode([deciding]: readonly Finding[]): Verdict['code'] {
  assert.ok(deciding, 'every decision has a finding')
  return deciding.code
}

function notAfterOf({ event, facts, rule }: Matter): number {
  const deadline = facts.now + (rule?.executeWithinMs ?? 0)
  return event.expiresAt === null ? deadline : Math.min(event.expiresAt, deadline)
}

/**
 * The route without the deciding findings. null where that cannot be told: no finding is left, and it is not known either
 * whether the score would be enough, as when there is none.
 */
function changesOf(findings: readonly Finding[], matter: Matter): Verdict['changes'] {
  const decided = strictest(findings)
  const rest = findings.filter(({ route }) => route !== decided)
  const without = [...new Set(findings.filter(({ route }) => route === decided).map(({ code }) => code))]
  const route = strictest(rest)
  if (route !== 'execute') return { without, route }
  return isHeld(matter) ? { without, route } : null
}
