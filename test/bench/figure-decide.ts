import { bundled } from '../../src/avro/schemas.ts'
import { inquire } from '../../src/decision/inquire.ts'
import { casesOf, cpuUs, decideWith, EVENTS, rulesOf } from './decide-cases.ts'
import type { Case, Rules } from './decide-cases.ts'
import { figure, most } from './figure.ts'
import type { Measured } from './figure.ts'
import type { Scene } from './scene.ts'

const TURN = 1000
const WARM_ROUNDS = 50
const ROUNDS_PER_RUN = 20

/** `inquire` and `decide` against avsc's own decode of the event and encode of the verdict, in turns in one process. */
export async function decideFigures(scene: Scene): Promise<readonly Measured[]> {
  const rules = rulesOf()
  const cases = casesOf(rules)
  measure(cases, rules, WARM_ROUNDS)
  const [ratios, decided, coded]: [number[], number[], number[]] = [[], [], []]
  for (let run = 0; run < scene.runs; run++) {
    const { decideUs, avroUs } = measure(cases, rules, ROUNDS_PER_RUN)
    ratios.push(decideUs / avroUs)
    decided.push(decideUs)
    coded.push(avroUs)
  }
  const sizes = cases.slice(0, 1000)
  const event = sizes.reduce((sum, { bytes }) => sum + bytes.length, 0) / sizes.length
  const verdict = sizes.reduce((sum, it) => sum + VERDICT.toBuffer(it.verdict).length, 0) / sizes.length
  return [
    figure(
      'decide() to avsc',
      '',
      ratios,
      most(0.5),
      `${Math.round(event)} bytes an event, ${Math.round(verdict)} a verdict`,
    ),
    figure('  inquire and decide', 'µs', decided),
    figure('  avsc decode and encode', 'µs', coded),
  ]
}

const EVENT = bundled('ModelOutput').type
const VERDICT = bundled('Verdict').type

/** In short turns, and by CPU time, so that what else runs on the machine counts for neither side. */
function measure(cases: readonly Case[], rules: Rules, rounds: number): { decideUs: number; avroUs: number } {
  let [decideUs, avroUs] = [0, 0]
  for (let turn = 0; turn < (rounds * EVENTS) / TURN; turn++) {
    const from = (turn * TURN) % EVENTS
    const some = cases.slice(from, from + TURN)
    const start = cpuUs()
    for (const it of some) decideOne(it, rules)
    const middle = cpuUs()
    for (const it of some) codeOne(it)
    decideUs += middle - start
    avroUs += cpuUs() - middle
  }
  return { decideUs: decideUs / rounds / EVENTS, avroUs: avroUs / rounds / EVENTS }
}

/** What was computed last, kept so that nothing is left out as unused. */
export let kept: unknown

function decideOne(it: Case, rules: Rules): void {
  kept = [inquire(it.received, rules.policy), decideWith(rules, it)]
}

function codeOne({ bytes, verdict }: Case): void {
  kept = [EVENT.fromBuffer(bytes), VERDICT.toBuffer(verdict)]
}
