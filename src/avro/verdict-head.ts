import type { ContextFact, ContextValue, ControlFact, CounterFact, Facts } from '../decision/facts.ts'
import type { Amounts } from '../decision/costs.ts'
import type { SourcePosition } from '../decision/event.ts'
import { ROUTES } from '../decision/route.ts'
import type { Finding, Promised, Score, Verdict } from '../decision/verdict.ts'
import { newMemo, Sink } from './sink.ts'

const MODES = ['normal', 'degraded'] as const
const UNDOS = ['reversible', 'compensable', 'irreversible'] as const
const CLOCKS = ['redis', 'processor'] as const
const STATES = ['ok', 'unavailable', 'lost'] as const
const CONTROLS = ['kill', 'force', 'exempt'] as const

const sink = new Sink(Buffer.alloc(0))

const policies = newMemo<Verdict['policy']>()
const engines = newMemo<string>()
const calibrators = newMemo<string | null>()
const topics = newMemo<string>()

/**
 * Writes a verdict without its event at a place of a buffer, field by field as schemas/verdict.avsc has them, and gives
 * its end; −1 where avsc must do it: no room, or a value that needs a closer look. avsc writes the same bytes and takes
 * half as long again.
 */
export function writeVerdictHead(verdict: Verdict, into: Buffer, at: number): number {
  sink.begin(into, at)
  sink.text(verdict.decisionId)
  sink.text(verdict.actionKey)
  sink.symbol(verdict.route, ROUTES)
  sink.text(verdict.code)
  sink.array(verdict.findings, finding)
  sink.symbol(verdict.mode, MODES)
  undo(verdict.undo)
  sink.nullableLong(verdict.notAfter)
  score(verdict.score)
  changes(verdict.changes)
  sink.boolean(verdict.audit.selected)
  sink.double(verdict.audit.propensity)
  sink.again(policies, verdict.policy, policy)
  sink.again(engines, verdict.engine, text)
  facts(verdict.facts)
  source(verdict.source)
  return sink.failed ? -1 : sink.at
}

function finding(it: Finding): void {
  sink.symbol(it.route, ROUTES)
  sink.text(it.code)
  sink.nullableText(it.subject)
  sink.text(it.detail)
}

function undo(it: Verdict['undo']): void {
  sink.branch(it === null ? 0 : 1)
  if (it !== null) sink.symbol(it, UNDOS)
}

function score(it: Score): void {
  sink.nullableDouble(it.raw)
  sink.nullableDouble(it.calibrated)
  sink.nullableDouble(it.execute)
  sink.nullableDouble(it.reject)
  sink.nullableDouble(it.margin)
  sink.again(calibrators, it.calibrator, nullableText)
  sink.nullableText(it.certificate)
  sink.branch(it.certified === null ? 0 : 1)
  if (it.certified !== null) promised(it.certified)
  sink.nullableDouble(it.low)
  sink.nullableDouble(it.high)
  sink.branch(it.costs === null ? 0 : 1)
  if (it.costs !== null) amounts(it.costs)
}

function amounts(it: Amounts): void {
  sink.double(it.wrongExecution)
  sink.double(it.wrongReject)
  sink.double(it.review)
}

function promised(it: Promised): void {
  sink.double(it.threshold)
  sink.double(it.risk)
  sink.double(it.assurance)
  sink.text(it.budget)
  sink.nullableText(it.segment)
  sink.double(it.upperBound)
}

function changes(it: Verdict['changes']): void {
  sink.branch(it === null ? 0 : 1)
  if (it === null) return
  sink.array(it.without, text)
  sink.symbol(it.route, ROUTES)
}

const text = (it: string): void => sink.text(it)
const nullableText = (it: string | null): void => sink.nullableText(it)

function policy(it: Verdict['policy']): void {
  sink.text(it.name)
  sink.long(it.version)
  sink.text(it.digest)
  sink.nullableText(it.calibration)
  sink.nullableText(it.certificates)
}

function facts(it: Facts): void {
  sink.long(it.now)
  sink.symbol(it.clock, CLOCKS)
  sink.symbol(it.state, STATES)
  sink.branch(it.first === null ? 0 : 1)
  if (it.first !== null) {
    sink.text(it.first.decisionId)
    sink.text(it.first.digest)
  }
  sink.array(it.context, context)
  sink.array(it.counters, counter)
  sink.array(it.control, control)
}

function context(it: ContextFact): void {
  sink.text(it.name)
  sink.nullableText(it.key)
  sink.branch(it.value === null ? 0 : 1)
  if (it.value !== null) contextValue(it.value)
}

function contextValue(it: ContextValue): void {
  sink.text(it.source)
  sink.long(it.version)
  sink.long(it.time)
  sink.attributes(it.attributes)
}

function counter(it: CounterFact): void {
  sink.text(it.limit)
  sink.text(it.key)
  sink.long(it.before)
  sink.long(it.after)
  sink.nullableBoolean(it.granted)
}

function control(it: ControlFact): void {
  sink.text(it.id)
  sink.symbol(it.kind, CONTROLS)
  sink.symbol(it.route, ROUTES)
  sink.nullableText(it.rule)
  sink.text(it.author)
  sink.text(it.reason)
  sink.nullableLong(it.expiresAt)
  sink.nullableText(it.certificate)
}

function source(it: SourcePosition): void {
  sink.again(topics, it.topic, text)
  sink.long(it.partition)
  sink.long(it.offset)
  sink.long(it.timestamp)
  sink.boolean(it.keyed)
  sink.long(it.schemaId)
  sink.text(it.digest)
}
