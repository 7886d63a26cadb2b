import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readModelOutput } from '../../src/avro/model-output.ts'
import { bundled } from '../../src/avro/schemas.ts'
import type { Calibration } from '../../src/decision/calibration.ts'
import { NO_CERTIFICATES, type Certificates } from '../../src/decision/certificate.ts'
import { decide } from '../../src/decision/decide.ts'
import type { Received } from '../../src/decision/event.ts'
import type { Facts } from '../../src/decision/facts.ts'
import { inquire } from '../../src/decision/inquire.ts'
import type { Policy } from '../../src/decision/policy.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { loadCalibration } from '../../src/policy/calibration-file.ts'
import { loadPolicy } from '../../src/policy/load-policy.ts'
import { benchEvents, sellers } from './events.ts'

/** Two batches' worth: a processor, too, has what it decides in the caches. */
export const EVENTS = 2000

export type Case = {
  readonly received: Received
  readonly facts: Facts
  readonly bytes: Buffer
  readonly verdict: Verdict
}
export type Rules = { readonly policy: Policy; readonly calibration: Calibration; readonly certificates: Certificates }

export function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

const EVENT = bundled('ModelOutput').type

/** The bench's policy, as it is or changed, without certificates. */
export function rulesOf(change: (text: string) => string = (text) => text): Rules {
  const read = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8')
  const policy = loadPolicy(change(read('policy.yaml')), 'policy.yaml')
  const calibration = loadCalibration(read('calibration.json'), 'calibration.json')
  if (policy.kind === 'problems' || calibration.kind === 'problems') throw new Error('the bench’s policy is not fine')
  return { policy: policy.policy, calibration: calibration.calibration, certificates: NO_CERTIFICATES }
}

/** Read as the pipeline reads them, so that texts which come again are the same ones. */
export function casesOf(rules: Rules): readonly Case[] {
  const now = Date.now()
  const events = benchEvents(7, now)
  const contexts = new Map(sellers(now).map(({ key, value }) => [key, value]))
  return Array.from({ length: EVENTS }, (_, offset) => {
    const bytes = EVENT.toBuffer(events.next().value)
    const event = readModelOutput(bytes, 0)
    if (event === null) throw new Error('an event of the bench cannot be read')
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
    return { received, facts, bytes, verdict: decideWith(rules, { received, facts }) }
  })
}

export const decideWith = (
  { policy, calibration, certificates }: Rules,
  { received, facts }: Pick<Case, 'received' | 'facts'>,
): Verdict => decide(received, facts, policy, calibration, certificates)

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
