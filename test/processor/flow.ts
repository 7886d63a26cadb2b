import { NO_CERTIFICATES, type Certificates } from '../../src/decision/certificate.ts'
import { decide } from '../../src/decision/decide.ts'
import { NO_CALIBRATION } from '../../src/decision/calibration.ts'
import type { ModelOutput } from '../../src/decision/event.ts'
import type { Policy } from '../../src/decision/policy.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { createPatience } from '../../src/processor/decode.ts'
import type { Fault } from '../../src/processor/fault.ts'
import type {
  BatchTimes,
  Codec,
  Decided,
  Isolation,
  Observer,
  StateRefusal,
  Timer,
  Tracer,
} from '../../src/processor/ports.ts'
import type { Processor } from '../../src/processor/run.ts'
import { createStandingOrders } from '../../src/processor/standing-orders.ts'
import { digestOf } from '../../src/policy/digest.ts'
import { NOW, sampleEvent, samplePolicy } from '../decision/samples.ts'
import { memoryLog } from '../twins/decision-log.ts'
import { AttemptLedger } from '../twins/redis/attempts.ts'
import { StateStoreTwin } from '../twins/state-store.ts'

export const TOPIC = 'model.outputs'

/** Events as JSON, since the flow does not care for the encoding. `wait` cannot be read yet, `bad` never. */
export const bytesOf = (event: Partial<ModelOutput> = {}): Buffer => Buffer.from(JSON.stringify(sampleEvent(event)))
export const BAD = Buffer.from('bad')
export const WAIT = Buffer.from('wait')

/** The id of an event whose verdict has no encoding. */
export const UNWRITABLE = 'unwritable'

const faultOf = (text: string): Fault | null => {
  if (text === 'bad') return { code: 'record.magic', detail: 'not a record', retry: false }
  if (text === 'wait') return { code: 'schema.unresolved', detail: 'the registry is away', retry: true }
  return null
}

const codec: Codec = {
  decode: (record) => {
    const text = record.value?.toString() ?? 'bad'
    const fault = faultOf(text)
    if (fault !== null) return { kind: 'fault', fault, record }
    const { topic, partition, offset, timestamp } = record
    const source = {
      topic,
      partition,
      offset,
      timestamp,
      keyed: record.key !== null,
      schemaId: 1,
      digest: digestOf(text),
    }
    return { kind: 'event', record, received: { event: JSON.parse(text) as ModelOutput, source } }
  },
  encode: (verdict) =>
    verdict.event.id === UNWRITABLE
      ? { kind: 'fault', fault: { code: 'verdict.malformed', detail: 'no form', retry: false } }
      : { kind: 'bytes', bytes: Buffer.from(JSON.stringify(verdict)) },
}

const tracer: Tracer = {
  link: (record) => ({
    traceId: String(record.offset),
    parentSpanId: null,
    processSpanId: 'p',
    sendSpanId: 's',
    sampled: false,
    tracestate: null,
  }),
}

type Seen = {
  readonly committed: { readonly decided: readonly Decided[]; readonly times: BatchTimes }[]
  readonly discarded: string[]
  readonly refused: StateRefusal[]
  readonly isolated: Isolation[]
}

export type Change = {
  readonly partitions?: number
  readonly policy?: Policy
  readonly certificates?: Certificates
  readonly maxVerdictBytes?: number
  readonly giveUpMs?: number
  /** The clock by which patience runs out, milliseconds. */
  readonly patienceNow?: () => number
}

/** A processor over the twins. Time stands still at NOW but for sleeping, which is real and short. */
export function flow({
  partitions = 2,
  policy = samplePolicy(),
  certificates = NO_CERTIFICATES,
  maxVerdictBytes = 100_000,
  giveUpMs = 20,
  patienceNow = () => performance.now(),
}: Change = {}) {
  const log = memoryLog(TOPIC, partitions)
  const clock = { now: NOW }
  const state = new StateStoreTwin(() => clock.now, TOPIC)
  const seen: Seen = { committed: [], discarded: [], refused: [], isolated: [] }
  const observer: Observer = {
    committed: (decided, times) => void seen.committed.push({ decided, times }),
    discarded: (code) => void seen.discarded.push(code),
    refused: (refusal) => void seen.refused.push(refusal),
    isolated: (why) => void seen.isolated.push(why),
  }
  const timer: Timer = { now: () => clock.now, sleep: () => new Promise((resolve) => setTimeout(resolve, 1)) }
  const orders = createStandingOrders()
  const attempts = new AttemptLedger()
  const rulebook = { policy, calibration: NO_CALIBRATION, certificates }
  const processor: Processor = {
    log,
    state,
    attempts: attempts.store('first run'),
    codec,
    tracer,
    observer,
    timer,
    control: orders,
    rulebook: { current: () => rulebook },
    patience: createPatience(giveUpMs, patienceNow),
    outlets: {
      verdicts: { execute: 'x', review: 'v', reject: 'r' },
      deadLetters: 'dlq',
      policies: 'policies',
      source: '/sluice/test',
      maxVerdictBytes,
      traceparent: () => '00-trace',
      isoTime: (ms) => new Date(ms).toISOString(),
    },
    pace: { maxRecords: 5, intervalMs: 0, pollMs: 1, holdMs: 1, retryMs: 0 },
  }
  return { log, state, attempts, clock, seen, orders, processor, rulebook }
}

/** Decision ids of what is visible, verdicts and dead letters alike, in order of appearance. */
export const visibleIds = (log: ReturnType<typeof memoryLog>): readonly string[] =>
  log.visible
    .filter((it) => it.topic !== 'policies')
    .map((it) => (it.topic === 'dlq' ? deadLetterId(it) : verdictOf(it).decisionId))

type Output = ReturnType<typeof memoryLog>['visible'][number]

export const verdictOf = (it: Output): Verdict => JSON.parse(String(it.value)) as Verdict

const headerOf = (it: Output, name: string): string => String(it.headers.find(([header]) => header === name)?.[1])

export const deadLetterId = (it: Output): string =>
  ['topic', 'partition', 'offset'].map((part) => headerOf(it, `__connect.errors.${part}`)).join(':')

export const codeOf = (it: Output): string => headerOf(it, 'sluice.error.code')

/** What the verdict must be, given what it says it knew. */
export const recomputed = (verdict: Verdict, policy: Policy, certificates = NO_CERTIFICATES): Verdict =>
  decide({ event: verdict.event, source: verdict.source }, verdict.facts, policy, NO_CALIBRATION, certificates)
