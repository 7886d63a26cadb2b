import type { Attributes, Meter, ObservableResult } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import type { Verdict } from '../decision/verdict.ts'
import type { BatchTimes, Decided, Observer } from '../processor/ports.ts'
import type { RebuildStatus } from '../processor/rebuild.ts'
import { METRICS } from './names.ts'
import { PrometheusReader } from './prometheus.ts'
import type { SpanCounts } from './span-queue.ts'

/** `records`: how many of the partition have not been decided yet. */
type PartitionLag = { readonly partition: number; readonly records: number }

/** The rules in force, as a label tells them. */
type PolicyLabel = { readonly name: string; readonly version: number; readonly digest: string }

export type Metrics = {
  readonly observer: Observer
  /** One answered, refused or timed-out call to Redis. Milliseconds. */
  readonly stateRoundTrip: (operation: 'acquire' | 'observe' | 'reserve' | 'context', ms: number) => void
  readonly reloaded: (what: 'policy' | 'calibration', result: 'ok' | 'rejected') => void
  /** A part of telemetry itself failed and was left out. */
  readonly failed: () => void
  /** Read at every scrape; the last one given counts. */
  readonly watchLag: (read: () => Iterable<PartitionLag>) => void
  /** How the way back from lost state goes. */
  readonly rebuild: (status: RebuildStatus) => void
  readonly watchPolicy: (read: () => PolicyLabel) => void
  readonly watchSpans: (read: () => SpanCounts) => void
  /** All of it in Prometheus' text format. */
  readonly scrape: () => Promise<string>
  readonly close: () => Promise<void>
}

/** A policy's own codes are bounded by the policy, but policies come and go; beyond so many series, `other`. */
const SERIES_MAX = 1000
const DURATION_S = [0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const AGE_S = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21_600, 86_400]
const BATCH_RECORDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]

export function createMetrics(resource: Resource): Metrics {
  const reader = new PrometheusReader()
  const provider = new MeterProvider({ resource, readers: [reader] })
  const meter = provider.getMeter('sluice')
  const roundTrips = meter.createHistogram(METRICS.stateRoundTrip, {
    description: 'Round trips to Redis, by operation',
    unit: 's',
    advice: { explicitBucketBoundaries: DURATION_S },
  })
  const reloads = meter.createCounter(METRICS.reloads, { description: 'Reloads of policy and calibration, by result' })
  const errors = meter.createCounter(METRICS.errors, { description: 'Failures inside telemetry, left out' })
  errors.add(0)
  return {
    observer: metricObserver(meter),
    stateRoundTrip: (operation, ms) => roundTrips.record(ms / 1000, { operation }),
    reloaded: (what, result) => reloads.add(1, { what, result }),
    failed: () => errors.add(1),
    rebuild: rebuildGauges(meter),
    watchLag: lagGauge(meter),
    watchPolicy: policyGauge(meter),
    watchSpans: spanCounters(meter),
    scrape: () => reader.scrape(),
    close: () => provider.shutdown(),
  }
}

/**
 * Counts with plain numbers, which the SDK reads at a scrape: its own counters cost half a microsecond an event for
 * hashing four labels.
 */
function metricObserver(meter: Meter): Observer {
  const decisions = tally(meter, METRICS.count, 'Verdicts by route, deciding code, policy and mode')
  const deadLetters = tally(meter, METRICS.deadLetters, 'Records set aside, by code')
  const discards = tally(meter, METRICS.batchDiscarded, 'Batches whose transaction left no trace, by code')
  const refusals = tally(meter, METRICS.stateRefusals, 'Refusals by Redis, by kind')
  const isolations = tally(
    meter,
    METRICS.isolations,
    'Times that records were suspected to stop their partition, by kind',
  )
  const timings = batchTimings(meter)
  return {
    committed: (decided, times) => {
      for (const one of decided) {
        if (one.kind === 'verdict') countVerdict(decisions, one.verdict)
        else deadLetters.add(one.fault.code, () => ({ code: one.fault.code }))
      }
      timings(decided, times)
    },
    discarded: (code) => discards.add(code, () => ({ code })),
    refused: ({ kind }) => refusals.add(kind, () => ({ kind })),
    isolated: ({ kind }) => isolations.add(kind, () => ({ kind })),
  }
}

function countVerdict(decisions: Tally, { route, code, policy, mode }: Verdict): void {
  decisions.add(`${route} ${code} ${mode} ${policy.name}`, () => ({ route, code, policy: policy.name, mode }))
}

type Tally = { readonly add: (key: string, attributes: () => Attributes) => void }

function tally(meter: Meter, name: string, description: string): Tally {
  const series = new Map<string, { readonly attributes: Attributes; count: number }>()
  meter.createObservableCounter(name, { description }).addCallback((result) => {
    for (const { attributes, count } of series.values()) result.observe(count, attributes)
  })
  const open = (key: string, attributes: () => Attributes): { count: number } => {
    const full = series.size >= SERIES_MAX
    const known = full ? series.get('other') : undefined
    if (known !== undefined) return known
    const opened = { attributes: full ? others(attributes()) : attributes(), count: 0 }
    series.set(full ? 'other' : key, opened)
    return opened
  }
  return {
    add: (key, attributes) => {
      const one = series.get(key) ?? open(key, attributes)
      one.count += 1
    },
  }
}

const others = (attributes: Attributes): Attributes =>
  Object.fromEntries(Object.keys(attributes).map((name) => [name, 'other']))

function batchTimings(meter: Meter): (decided: readonly Decided[], times: BatchTimes) => void {
  const histogram = (name: string, description: string, unit: string, explicitBucketBoundaries: number[]) =>
    meter.createHistogram(name, { description, unit, advice: { explicitBucketBoundaries } })
  const duration = histogram(METRICS.duration, 'From the poll of a record to its visible verdict', 's', DURATION_S)
  const age = histogram(METRICS.age, 'From a record’s timestamp to its visible verdict', 's', AGE_S)
  const size = histogram(METRICS.batchSize, 'Records in one transaction', '{record}', BATCH_RECORDS)
  const phase = histogram(METRICS.batchPhase, 'How long a batch spent in each phase', 's', DURATION_S)
  return (decided, times) => {
    const seconds = (times.committed - times.polled) / 1000
    for (const { record } of decided) {
      duration.record(seconds)
      age.record(Math.max(0, times.committed - record.timestamp) / 1000)
    }
    size.record(decided.length)
    for (const [name, ms] of phasesOf(times)) phase.record(ms / 1000, { phase: name })
  }
}

const phasesOf = (times: BatchTimes): readonly (readonly [phase: string, ms: number])[] => [
  ['decode', times.decoded - times.polled],
  ['observe', times.observed - times.decoded],
  ['decide', times.decided - times.observed],
  ['encode', times.encoded - times.decided],
  ['wait', times.committing - times.encoded],
  ['commit', times.committed - times.committing],
]

function lagGauge(meter: Meter): Metrics['watchLag'] {
  let read: () => Iterable<PartitionLag> = () => []
  meter
    .createObservableGauge(METRICS.lag, { description: 'Records of a partition not decided yet', unit: '{record}' })
    .addCallback((result) => {
      for (const { partition, records } of read()) result.observe(records, { partition: String(partition) })
    })
  return (next) => (read = next)
}

function policyGauge(meter: Meter): Metrics['watchPolicy'] {
  let read: (() => PolicyLabel) | null = null
  meter.createObservableGauge(METRICS.policyInfo, { description: 'The policy in force' }).addCallback((result) => {
    if (read === null) return
    const { name, version, digest } = read()
    result.observe(1, { policy: name, version: String(version), digest })
  })
  return (next) => (read = next)
}

/** State that was lost and is not whole again, how far its rebuild is, and how often one was finished here. */
function rebuildGauges(meter: Meter): Metrics['rebuild'] {
  let incomplete = 0
  let progress = 1
  meter
    .createObservableGauge(METRICS.stateIncomplete, {
      description: '1 while state lacks what was counted before a loss',
    })
    .addCallback((result) => result.observe(incomplete))
  meter
    .createObservableGauge(METRICS.stateRebuildProgress, {
      description: 'Share of the verdicts that state was rebuilt from',
    })
    .addCallback((result) => result.observe(progress))
  const rebuilds = meter.createCounter(METRICS.stateRebuilds, {
    description: 'Rebuilds of state that this process finished',
  })
  rebuilds.add(0)
  return (status) => {
    incomplete = status.kind === 'whole' || status.kind === 'rebuilt' ? 0 : 1
    progress = status.kind === 'rebuilding' ? status.progress : 1 - incomplete
    if (status.kind === 'rebuilt') rebuilds.add(1)
  }
}

const NO_SPANS: SpanCounts = {
  exported: 0,
  queued: 0,
  droppedQueueFull: 0,
  droppedOverRate: 0,
  droppedExportFailed: 0,
}

function spanCounters(meter: Meter): Metrics['watchSpans'] {
  let read: () => SpanCounts = () => NO_SPANS
  const counter = (name: string, description: string, observe: (result: ObservableResult) => void): void =>
    meter.createObservableCounter(name, { description, unit: '{span}' }).addCallback(observe)
  counter(METRICS.spansExported, 'Spans the collector took', (result) => result.observe(read().exported))
  counter(METRICS.spansDropped, 'Spans lost, by reason', (result) => {
    const { droppedQueueFull, droppedOverRate, droppedExportFailed } = read()
    result.observe(droppedQueueFull, { reason: 'queue_full' })
    result.observe(droppedOverRate, { reason: 'over_rate' })
    result.observe(droppedExportFailed, { reason: 'export_failed' })
  })
  meter
    .createObservableUpDownCounter(METRICS.spansQueued, { description: 'Spans waiting for export', unit: '{span}' })
    .addCallback((result) => result.observe(read().queued))
  return (next) => (read = next)
}
