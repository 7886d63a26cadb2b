import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundled } from '../../src/avro/schemas.ts'
import type { Calibration } from '../../src/decision/calibration.ts'
import { NO_CERTIFICATES } from '../../src/decision/certificate.ts'
import { decide } from '../../src/decision/decide.ts'
import type { Received } from '../../src/decision/event.ts'
import type { Facts } from '../../src/decision/facts.ts'
import { inquire } from '../../src/decision/inquire.ts'
import type { Policy } from '../../src/decision/policy.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { loadCalibration } from '../../src/policy/calibration-file.ts'
import { loadPolicy } from '../../src/policy/load-policy.ts'
import { benchEvents, sellers } from './events.ts'
import { figure, most } from './figure.ts'
import type { Measured } from './figure.ts'
import type { Scene } from './scene.ts'

/** Two batches' worth: a processor, too, has what it decides in the caches. */
const EVENTS = 2000
const TURN = 1000
const WARM_ROUNDS = 50
const ROUNDS_PER_RUN = 20

type Case = { readonly received: Received; readonly facts: Facts; readonly bytes: Buffer; readonly verdict: Verdict }
type Rules = { readonly policy: Policy; readonly calibration: Calibration }

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

function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** What was computed last, kept so that nothing is left out as unused. */
export let kept: unknown

function decideOne({ received, facts }: Case, { policy, calibration }: Rules): void {
  const inquiry = inquire(received, policy)
  kept = [inquiry, decide(received, facts, policy, calibration, NO_CERTIFICATES)]
}

function codeOne({ bytes, verdict }: Case): void {
  kept = [EVENT.fromBuffer(bytes), VERDICT.toBuffer(verdict)]
}

function rulesOf(): Rules {
  const read = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8')
  const policy = loadPolicy(read('policy.yaml'), 'policy.yaml')
  const calibration = loadCalibration(read('calibration.json'), 'calibration.json')
  if (policy.kind === 'problems' || calibration.kind === 'problems') throw new Error('the bench’s policy is not fine')
  return { policy: policy.policy, calibration: calibration.calibration }
}

function casesOf(rules: Rules): readonly Case[] {
  const now = Date.now()
  const events = benchEvents(7, now)
  const contexts = new Map(sellers(now).map(({ key, value }) => [key, value]))
  return Array.from({ length: EVENTS }, (_, offset) => {
    const bytes = EVENT.toBuffer(events.next().value)
    const event = EVENT.fromBuffer(bytes) as Received['event']
    const source = {
      topic: 'bench',
      partition: 0,
      offset,
      timestamp: now,
      keyed: true,
      schemaId: 1,
      digest: 'd'.repeat(32),
    }
    const received = { event, source }
    const facts = factsOf(received, rules.policy, contexts, now)
    return {
      received,
      facts,
      bytes,
      verdict: decide(received, facts, rules.policy, rules.calibration, NO_CERTIFICATES),
    }
  })
}

/** As state would answer: a few proposals before, and a place in the execution limit. */
function factsOf(
  received: Received,
  policy: Policy,
  contexts: ReadonlyMap<string, Facts['context'][number]['value']>,
  now: number,
): Facts {
  const inquiry = inquire(received, policy)
  const { offset } = received.source
  return {
    now,
    clock: 'redis',
    state: 'ok',
    first: null,
    context: inquiry.context.map(({ name, key }) => ({ name, key, value: contexts.get(key ?? '') ?? null })),
    counters: inquiry.counters.map(({ limit, key, count }) => ({
      limit,
      key,
      before: offset % 9,
      after: (offset % 9) + 1,
      granted: count === 'executions' ? true : null,
    })),
    control: [],
  }
}
