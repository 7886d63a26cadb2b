import assert from 'node:assert/strict'
import { certificateTree, type Certificate } from '../../src/decision/certificate.ts'
import { casesOf, cpuUs, decideWith, EVENTS, rulesOf } from './decide-cases.ts'
import type { Case, Rules } from './decide-cases.ts'
import { figure, median, most } from './figure.ts'
import type { Measured } from './figure.ts'
import type { Scene } from './scene.ts'

const WARM_TURNS = 200
const TURNS_PER_RUN = 200
/** The raw score that the bench's table turns into the 0.60 of its policy, so that both policies execute the same events. */
const THRESHOLD = 0.84
/** In force beside the one that counts: other actions, models and versions. */
const OTHERS = 30
/** Of the time of a decision; as much lies between two turns that do the same. */
const GOAL_SHARE = 0.02

/**
 * What a certificate adds to `decide`: the same events under a threshold and under a certificate that says the same, in turns
 * of one process and by CPU time. Each is the fastest of its turns, since whatever else the machine does only adds. Two kinds
 * of turns do the same, which says how much of a difference means nothing.
 */
export async function certificateFigures(scene: Scene): Promise<readonly Measured[]> {
  const plain = rulesOf()
  const cases = casesOf(plain)
  const certified = certifiedRules(cases)
  assert.deepEqual(routesOf(cases, certified), routesOf(cases, plain))
  const measured = []
  for (let turn = 0; turn < WARM_TURNS; turn++) measure(cases, plain, certified)
  for (let run = 0; run < scene.runs; run++) measured.push(fastest(cases, plain, certified))
  const added = measured.map((it) => it.certified - it.before)
  const same = measured.map((it) => Math.abs(it.after - it.before))
  const whole = measured.map((it) => it.before)
  const share = ((100 * median(added)) / median(whole)).toFixed(1)
  const note = `${share} % of decide(), at most ${100 * GOAL_SHARE} % wanted`
  return [
    figure('certificate look-up', 'µs', added, most(GOAL_SHARE * median(whole)), note),
    figure('  between turns that do the same', 'µs', same),
    figure('  decide() without', 'µs', whole),
  ]
}

type Turn = { readonly before: number; readonly certified: number; readonly after: number }

function fastest(cases: readonly Case[], plain: Rules, certified: Rules): Turn {
  const turns = Array.from({ length: TURNS_PER_RUN }, () => measure(cases, plain, certified))
  const least = (kind: keyof Turn): number => Math.min(...turns.map((it) => it[kind]))
  return { before: least('before'), certified: least('certified'), after: least('after') }
}

/** What was decided last, kept so that nothing is left out as unused. */
export let kept: unknown

/** Microseconds a decision. */
function measure(cases: readonly Case[], plain: Rules, certified: Rules): Turn {
  const before = usOf(cases, plain)
  const between = usOf(cases, certified)
  return { before, certified: between, after: usOf(cases, plain) }
}

function usOf(cases: readonly Case[], rules: Rules): number {
  const start = cpuUs()
  for (const it of cases) kept = decideWith(rules, it)
  return (cpuUs() - start) / EVENTS
}

const routesOf = (cases: readonly Case[], rules: Rules): readonly string[] =>
  cases.map((it) => decideWith(rules, it).route)

function certifiedRules([first]: readonly Case[]): Rules {
  const demand = 'certified: { risk: 0.05, assurance: 0.95 }'
  const { policy, calibration } = rulesOf((text) => text.replace('execute: 0.60', demand))
  const event = first?.received.event
  assert.ok(event !== undefined && policy.text.includes(demand))
  const { name, version } = event.model
  const counts = certificateOf(0, name, version, event.action)
  const others = Array.from({ length: OTHERS }, (_, at) =>
    certificateOf(
      at + 1,
      at % 2 === 0 ? name : `${name}-${at}`,
      String(100 + at),
      at % 3 === 0 ? 'other' : event.action,
    ),
  )
  return { policy, calibration, certificates: { tree: certificateTree([...others, counts]), digest: null, text: null } }
}

const certificateOf = (at: number, name: string, version: string, action: string): Certificate => ({
  id: String(at).padStart(32, '0'),
  model: { name, version },
  action,
  scoreKind: 'probability',
  segment: null,
  budget: 'per-execution',
  risk: 0.05,
  assurance: 0.95,
  threshold: THRESHOLD,
  upperBound: 0.04,
  issuedAt: 0,
  expiresAt: Number.MAX_SAFE_INTEGER,
})
