import { SpanKind, SpanStatusCode, createTraceState } from '@opentelemetry/api'
import type { Attributes, Link, SpanContext } from '@opentelemetry/api'
import { RandomIdGenerator } from '@opentelemetry/sdk-trace'
import type { Verdict } from '../decision/verdict.ts'
import { FAULTS } from '../processor/fault.ts'
import type { BatchTimes, Decided, InputRecord, Observer, TraceLink } from '../processor/ports.ts'
import { FinishedSpan, sampledContext } from './finished-span.ts'
import type { SpanFacts, SpanOrigin } from './finished-span.ts'
import { DECISION, ERROR_TYPE, MESSAGING, SPANS, SYSTEM } from './names.ts'
import type { OutputTopics } from './names.ts'
import type { SpanQueue } from './span-queue.ts'
import { TraceBudget } from './trace-budget.ts'
import { childSpanIds, parentOf, positionOf } from './trace-link.ts'

export type SpanParts = {
  readonly queue: SpanQueue
  readonly origin: SpanOrigin
  readonly topics: OutputTopics
  readonly group: string
}

/** So many links a batch span carries at the most; the rest are counted in its `droppedLinksCount`. */
const BATCH_LINKS = 64
/** Decisions traced a second and at once. At 2,000 spans a second tracing takes some hundredths of a core. */
const TRACED_PER_SECOND = 500
const TRACED_AT_ONCE = 1000
const VERDICT_SPANS = 4
const DEAD_LETTER_SPANS = 2
const BATCH_SPANS = 2
/** Names come from producers; a longer one is cut. Characters. */
const NAME_CHARS = 128
const CODES_LISTED = 32

/**
 * Makes the spans of sampled decisions once they are visible. A decision's spans are queued all or none, so that no
 * trace is half there. Nothing of an event but its action's and its model's name goes in.
 */
export function spanObserver(parts: SpanParts): Pick<Observer, 'committed'> {
  const ids = new RandomIdGenerator()
  const budget = new TraceBudget(TRACED_PER_SECOND, TRACED_AT_ONCE)
  return {
    committed: (decided, times) => {
      budget.refill(times.committed)
      const sampled = decided.filter((one) => one.link.sampled && isAffordable(one, budget, parts.queue))
      const [first] = sampled
      if (first === undefined) return
      const batch = batchContexts(ids)
      for (const one of sampled) offerDecision(one, times, batch.poll, parts)
      if (parts.queue.admits(BATCH_SPANS)) offerBatch(sampled, first.record.topic, decided.length, times, batch, parts)
    },
  }
}

function isAffordable(one: Decided, budget: TraceBudget, queue: SpanQueue): boolean {
  if (budget.take()) return true
  queue.pass(one.kind === 'verdict' ? VERDICT_SPANS : DEAD_LETTER_SPANS)
  return false
}

type BatchContexts = { readonly poll: SpanContext; readonly commit: SpanContext }

/** Batches are cut differently in a replay, so their ids are random. */
function batchContexts(ids: RandomIdGenerator): BatchContexts {
  const traceId = ids.generateTraceId()
  const context = (): SpanContext => sampledContext(traceId, ids.generateSpanId(), false, null)
  return { poll: context(), commit: context() }
}

function offerDecision(one: Decided, times: BatchTimes, batch: SpanContext, parts: SpanParts): void {
  const spans = one.kind === 'verdict' ? VERDICT_SPANS : DEAD_LETTER_SPANS
  if (!parts.queue.admits(spans)) return
  const family = familyOf(one)
  const inner = one.kind === 'verdict' ? innerSpans(one.verdict, one.link, family, times) : []
  const all = [
    processSpan(one, family, times, batch, parts.group),
    ...inner,
    sendSpan(one, family, times, parts.topics),
  ]
  for (const span of all) parts.queue.offer(new FinishedSpan(span, parts.origin))
}

/** The contexts one decision's spans are built from. `parent` is the producer's span. */
type Family = { readonly parent: SpanContext | null; readonly process: SpanContext; readonly send: SpanContext }

function familyOf({ link, record }: Decided): Family {
  const state = link.tracestate === null ? null : createTraceState(link.tracestate)
  const own = (spanId: string): SpanContext => sampledContext(link.traceId, spanId, false, state)
  const producer = parentOf(record.headers)
  const parent = producer === null ? null : sampledContext(producer.traceId, producer.spanId, true, state)
  return { parent, process: own(link.processSpanId), send: own(link.sendSpanId) }
}

function processSpan(
  one: Decided,
  { parent, process }: Family,
  times: BatchTimes,
  batch: SpanContext,
  group: string,
): SpanFacts {
  const { record } = one
  const attributes = messaging('process', 'process', record.topic, record.partition)
  attributes[MESSAGING.offset] = record.offset
  attributes[MESSAGING.group] = group
  if (one.kind === 'verdict') addVerdict(attributes, one.verdict)
  else addDeadLetter(attributes, record, one.fault.code)
  const links: Link[] = parent === null ? [{ context: batch }] : [{ context: parent }, { context: batch }]
  return {
    name: SPANS.process(record.topic),
    kind: SpanKind.CONSUMER,
    context: process,
    parent,
    startMs: times.polled,
    endMs: times.committed,
    attributes,
    links,
    droppedLinks: 0,
    status:
      one.kind === 'verdict'
        ? { code: SpanStatusCode.UNSET }
        : { code: SpanStatusCode.ERROR, message: FAULTS[one.fault.code] },
  }
}

function addDeadLetter(attributes: Attributes, record: InputRecord, code: string): void {
  attributes[DECISION.id] = positionOf(record)
  attributes[DECISION.code] = code
  attributes[DECISION.codes] = [code]
  attributes[ERROR_TYPE] = code
}

function addVerdict(attributes: Attributes, verdict: Verdict): void {
  const { score, policy, event } = verdict
  attributes[DECISION.id] = verdict.decisionId
  attributes[DECISION.route] = verdict.route
  attributes[DECISION.code] = verdict.code
  attributes[DECISION.codes] = codesOf(verdict)
  attributes[DECISION.policyName] = policy.name
  attributes[DECISION.policyVersion] = policy.version
  attributes[DECISION.policyDigest] = policy.digest
  attributes[DECISION.mode] = verdict.mode
  attributes[DECISION.action] = event.action.slice(0, NAME_CHARS)
  attributes[DECISION.modelName] = event.model.name.slice(0, NAME_CHARS)
  attributes[DECISION.modelVersion] = event.model.version.slice(0, NAME_CHARS)
  attributes[DECISION.audit] = verdict.audit.selected
  if (policy.calibration !== null) attributes[DECISION.calibrationDigest] = policy.calibration
  if (score.certificate !== null) attributes[DECISION.certificate] = score.certificate
  if (score.margin !== null) attributes[DECISION.margin] = score.margin
  if (score.raw !== null) attributes[DECISION.confidenceRaw] = score.raw
  if (score.calibrated !== null) attributes[DECISION.confidenceCalibrated] = score.calibrated
}

const codesOf = ({ findings }: Verdict): string[] =>
  findings.length === 1
    ? findings.map((it) => it.code)
    : [...new Set(findings.map((it) => it.code))].slice(0, CODES_LISTED)

function innerSpans(verdict: Verdict, link: TraceLink, { process }: Family, times: BatchTimes): readonly SpanFacts[] {
  const ids = childSpanIds(link)
  const { facts } = verdict
  const inner = (name: string, spanId: string, startMs: number, endMs: number, attributes: Attributes): SpanFacts => ({
    name,
    kind: SpanKind.INTERNAL,
    context: { ...process, spanId },
    parent: process,
    startMs,
    endMs,
    attributes,
    links: [],
    droppedLinks: 0,
    status: { code: SpanStatusCode.UNSET },
  })
  return [
    inner(SPANS.enrich, ids.enrich, times.decoded, times.observed, {
      [DECISION.state]: facts.state,
      [DECISION.counters]: facts.counters.length,
      [DECISION.context]: facts.context.length,
    }),
    inner(SPANS.evaluate, ids.evaluate, times.observed, times.decided, {
      [DECISION.route]: verdict.route,
      [DECISION.code]: verdict.code,
    }),
  ]
}

function sendSpan(one: Decided, { process, send }: Family, times: BatchTimes, topics: OutputTopics): SpanFacts {
  const topic = one.kind === 'verdict' ? topics.verdicts[one.verdict.route] : topics.deadLetters
  return {
    name: SPANS.send(topic),
    kind: SpanKind.PRODUCER,
    context: send,
    parent: process,
    startMs: one.kind === 'verdict' ? times.decided : times.decoded,
    endMs: times.committed,
    attributes: messaging('send', 'send', topic, one.record.partition),
    links: [],
    droppedLinks: 0,
    status: { code: SpanStatusCode.UNSET },
  }
}

function messaging(operation: string, type: string, topic: string, partition: number | null): Attributes {
  const attributes: Attributes = {
    [MESSAGING.system]: SYSTEM,
    [MESSAGING.systemBefore]: SYSTEM,
    [MESSAGING.operation]: operation,
    [MESSAGING.operationType]: type,
    [MESSAGING.destination]: topic,
  }
  if (partition !== null) attributes[MESSAGING.partition] = String(partition)
  return attributes
}

/** A trace of its own: `poll`, the moment the batch was there, linked to its producers; `commit`, to its decisions. */
function offerBatch(
  sampled: readonly Decided[],
  topic: string,
  records: number,
  times: BatchTimes,
  { poll, commit }: BatchContexts,
  { queue, origin, group }: SpanParts,
): void {
  const linked = sampled.slice(0, BATCH_LINKS)
  const shared = { [MESSAGING.batchCount]: records, [MESSAGING.group]: group }
  const common = { kind: SpanKind.CLIENT, status: { code: SpanStatusCode.UNSET } }
  const polled: SpanFacts = {
    ...common,
    name: SPANS.poll(topic),
    context: poll,
    parent: null,
    startMs: times.polled,
    endMs: times.polled,
    attributes: { ...messaging('poll', 'receive', topic, null), ...shared },
    links: linked.flatMap(({ record }) => producerLink(record)),
    droppedLinks: 0,
  }
  const committed: SpanFacts = {
    ...common,
    name: SPANS.commit(topic),
    context: commit,
    parent: poll,
    startMs: times.committing,
    endMs: times.committed,
    attributes: { ...messaging('commit', 'settle', topic, null), ...shared },
    links: linked.map(({ link }) => ({ context: sampledContext(link.traceId, link.processSpanId, false, null) })),
    droppedLinks: sampled.length - linked.length,
  }
  queue.offer(new FinishedSpan(polled, origin))
  queue.offer(new FinishedSpan(committed, origin))
}

function producerLink({ headers }: InputRecord): Link[] {
  const producer = parentOf(headers)
  return producer === null ? [] : [{ context: sampledContext(producer.traceId, producer.spanId, true, null) }]
}
