import type { Route } from '../decision/route.ts'

/**
 * Every name that leaves in spans and metrics, once. Messaging names follow OpenTelemetry's semantic conventions 1.45;
 * they are written out because the package offers them as `incubating`, which a patch release may change.
 */
export const SYSTEM = 'kafka'

/** Span names: what is done, then to what. */
export const SPANS = {
  process: (topic: string): string => `process ${topic}`,
  send: (topic: string): string => `send ${topic}`,
  poll: (topic: string): string => `poll ${topic}`,
  commit: (topic: string): string => `commit ${topic}`,
  enrich: 'enrich',
  evaluate: 'evaluate',
} as const

export const MESSAGING = {
  system: 'messaging.system.name',
  /** Deprecated in 1.45; today's backends still select by it. */
  systemBefore: 'messaging.system',
  operation: 'messaging.operation.name',
  operationType: 'messaging.operation.type',
  destination: 'messaging.destination.name',
  partition: 'messaging.destination.partition.id',
  offset: 'kafka.offset',
  group: 'messaging.consumer.group.name',
  batchCount: 'messaging.batch.message_count',
} as const

export const ERROR_TYPE = 'error.type'

export const DECISION = {
  id: 'decision.id',
  route: 'decision.route',
  code: 'decision.code',
  codes: 'decision.codes',
  margin: 'decision.margin',
  confidenceRaw: 'decision.confidence.raw',
  confidenceCalibrated: 'decision.confidence.calibrated',
  policyName: 'decision.policy.name',
  policyVersion: 'decision.policy.version',
  policyDigest: 'decision.policy.digest',
  calibrationDigest: 'decision.calibration.digest',
  certificate: 'decision.certificate.id',
  mode: 'decision.mode',
  action: 'decision.action',
  modelName: 'decision.model.name',
  modelVersion: 'decision.model.version',
  state: 'decision.state',
  counters: 'decision.counters',
  context: 'decision.context',
  audit: 'decision.audit',
} as const

/** Metric names; durations are in seconds. Prometheus reads a dot as an underscore and adds `_total` to counters. */
export const METRICS = {
  count: 'decision.count',
  duration: 'decision.duration',
  age: 'decision.age',
  lag: 'decision.lag',
  deadLetters: 'decision.dead_letters',
  batchSize: 'decision.batch.size',
  batchPhase: 'decision.batch.phase.duration',
  batchDiscarded: 'decision.batch.discarded',
  isolations: 'decision.isolations',
  stateRoundTrip: 'state.round_trip.duration',
  stateRefusals: 'state.refusals',
  stateIncomplete: 'state.incomplete',
  stateRebuilds: 'state.rebuilds',
  stateRebuildProgress: 'state.rebuild.progress',
  auditSure: 'audit.sure_offset',
  auditBehind: 'audit.behind',
  auditUntold: 'audit.untold',
  auditVerdicts: 'audit.verdicts',
  auditUnrepeatable: 'audit.unrepeatable',
  auditFindings: 'audit.findings',
  reloads: 'policy.reloads',
  policyInfo: 'policy.info',
  spansExported: 'telemetry.spans.exported',
  spansDropped: 'telemetry.spans.dropped',
  spansQueued: 'telemetry.spans.queued',
  errors: 'telemetry.errors',
  watchEvidence: 'watch.evidence',
  watchAlarmLine: 'watch.alarm_line',
  watchOutcomes: 'watch.outcomes',
  watchImmature: 'watch.immature',
  watchWithdrawals: 'watch.withdrawals',
  watchStragglers: 'watch.stragglers',
  watchUnwatched: 'watch.unwatched_certificates',
  watchDelay: 'watch.delay',
} as const

/** The topics Sluice writes to, by what goes there. */
export type OutputTopics = { readonly verdicts: Readonly<Record<Route, string>>; readonly deadLetters: string }
