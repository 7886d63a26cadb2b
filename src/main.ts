import { openCodec } from './avro/codec.ts'
import { createRecords, MAX_RECORD_BYTES } from './avro/records.ts'
import type { Records } from './avro/records.ts'
import { openRegistry } from './avro/registry.ts'
import type { Registry } from './avro/registry.ts'
import { subjectOf } from './avro/schemas.ts'
import { ConfigError } from './config.ts'
import type { Config } from './config.ts'
import { kafkaConnection, otlpConfig, registryOptions, serviceConfig, topicNames } from './connections.ts'
import { followContext, followControl } from './feeds.ts'
import type { OnUnusable } from './feeds.ts'
import { Health } from './health.ts'
import type { KafkaConnection } from './kafka/connection.ts'
import { openDecisionLog } from './kafka/decision-log.ts'
import type { LogStatus } from './kafka/decision-log.ts'
import { KafkaRefusal, messageOf, NoAnswer } from './kafka/errors.ts'
import { readAll } from './kafka/lookup.ts'
import { verifyTopics } from './kafka/topics.ts'
import { formatProblem } from './policy/problem.ts'
import { rulebookWarnings } from './policy/warnings.ts'
import { watchRulebook } from './policy/watch.ts'
import type { WatchedRulebook } from './policy/watch.ts'
import { runContextUpdater } from './processor/context-updater.ts'
import { createPatience } from './processor/decode.ts'
import type { Outlets } from './processor/emit.ts'
import type { Fault } from './processor/fault.ts'
import type { Codec, Rulebook } from './processor/ports.ts'
import { runRebuilder } from './processor/rebuild.ts'
import type { Rebuilder, RebuildStatus } from './processor/rebuild.ts'
import { runProcessor } from './processor/run.ts'
import type { Pace, Processor } from './processor/run.ts'
import { createStandingOrders } from './processor/standing-orders.ts'
import { openRedis } from './redis/open.ts'
import type { RedisState } from './redis/open.ts'
import { RulebookArchive } from './rulebook-archive.ts'
import { openHttp } from './telemetry/http.ts'
import { createLogger } from './telemetry/logs.ts'
import type { Logger } from './telemetry/logs.ts'
import { openTelemetry } from './telemetry/open-telemetry.ts'
import type { Telemetry } from './telemetry/open-telemetry.ts'
import { timedState } from './telemetry/timed-state.ts'
import { traceparent } from './telemetry/trace-link.ts'
import { verdictHistory } from './verdict-history.ts'
import { timer } from './timer.ts'

/**
 * Runs the processor until `signal` aborts, then finishes the transaction under way, leaves the group, exports what is
 * queued and closes in reverse order. Rejects with an error for people where the start is refused. `onHttp` is told
 * where /readyz and the others answer.
 */
export async function runSluice(config: Config, signal: AbortSignal, onHttp?: (url: string) => void): Promise<void> {
  await using open = new AsyncDisposableStack()
  const logger = createLogger(config.LOG_LEVEL, config.OTEL_SERVICE_NAME)
  const health = new Health()
  const telemetry = openTelemetry(telemetryConfig(config), { logger, now: timer.now })
  open.defer(() => telemetry.close())
  const rulebook = await openRulebook(config, telemetry, logger, signal)
  const connection = kafkaConnection(config)
  const redis = await openRedis({
    url: config.REDIS_URL,
    deployment: config.SLUICE_DEPLOYMENT,
    topic: config.TOPIC_INPUT,
    group: config.KAFKA_GROUP_ID,
    deadlineMs: config.REDIS_DEADLINE_MS,
  })
  open.defer(() => redis.close())
  const registry = await openRegistry(registryOptions(config, (problem) => logger.warn({}, problem)))
  open.defer(() => registry.close())
  const orders = createStandingOrders()
  const http = await openHttp({
    host: config.SLUICE_HTTP_HOST,
    port: config.SLUICE_HTTP_PORT,
    parts: () => health.parts(redis.trouble(), timer.now()),
    started: () => health.started,
    metrics: () => telemetry.metrics.scrape(),
  })
  open.defer(() => http.close())
  onHttp?.(http.url)
  logger.info({ url: http.url }, 'pages: /livez /readyz /startupz /metrics')

  await untilKafkaAnswers(() => verifyTopics(connection, topicNames(config)), health, logger, signal)
  if (signal.aborted) return
  await checkRedis(redis, logger)
  const codec = await untilSchemasKnown(registry, config, health, logger, signal)
  if (codec === null) return
  const feeds = new AbortController()
  open.defer(() => feeds.abort())
  const records = createRecords(registry, config.SLUICE_MAX_EVENT_BYTES)
  const unusable = unusableRecord(logger)
  const control = followControl(connection, config.TOPIC_CONTROL, records, orders, unusable, feeds.signal)
  await aborted(signal, Promise.race([control.caughtUp, control.ended]))
  if (signal.aborted) return
  health.control = { name: 'control', state: 'ok', detail: 'standing orders are followed' }
  const log = openDecisionLog({ ...logOptions(config, connection), onStatus: (it) => onLogStatus(it, health, logger) })
  open.defer(() => log.close())
  telemetry.metrics.watchLag(() => log.stats().lag)
  const contexts = followContext(connection, config.TOPIC_CONTEXT, records, unusable)
  const updating = runContextUpdater(redis.context, contexts, timer, feeds.signal)
  const parts = {
    log,
    codec,
    rulebook,
    timer,
    control: orders,
    state: timedState(redis.store, telemetry.metrics.stateRoundTrip, timer.now),
    attempts: redis.attempts,
    ...outward(config, telemetry),
  }
  const onRebuild = rebuildStatusTeller(health, telemetry, logger)
  // What others have decided may be larger than what this process may write.
  const verdicts = createRecords(registry, MAX_RECORD_BYTES)
  const rebuilding = runRebuilder(rebuilder(config, redis, verdicts, rulebook, onRebuild, unusable), feeds.signal)
  await Promise.race([runProcessor(parts, signal), failing(control.ended), failing(updating), failing(rebuilding)])
  logger.info({}, 'drained')
}

function rebuilder(
  config: Config,
  redis: RedisState,
  records: Records,
  rulebook: WatchedRulebook,
  onStatus: (status: RebuildStatus) => void,
  onUnusable: OnUnusable,
): Rebuilder {
  const connection = kafkaConnection(config)
  const archive = new RulebookArchive(config.TOPIC_POLICIES, (topic) => readAll(connection, topic))
  const verdictTopics = Object.values(verdictTopicsOf(config))
  return {
    store: redis.rebuild,
    history: verdictHistory({ connection, input: config.TOPIC_INPUT, verdictTopics, records, onUnusable }),
    policyOf: async ({ policy }) => {
      const found = await archive.find(policy).catch(() => null)
      return found?.kind === 'found' ? found.rulebook.policy : rulebook.current().policy
    },
    inputTopic: config.TOPIC_INPUT,
    policy: () => rulebook.current().policy,
    timer,
    onStatus,
  }
}

/** Says each step once in the log, and keeps readiness and metrics up to date. */
function rebuildStatusTeller(health: Health, { metrics }: Telemetry, logger: Logger): (status: RebuildStatus) => void {
  let told = 'whole'
  return (status) => {
    health.rebuildStatus(status)
    metrics.rebuild(status)
    const step = 'why' in status ? status.why : status.kind === 'rebuilding' ? `here ${status.here}` : status.kind
    if (step === told) return
    told = step
    if (status.kind === 'unproven')
      logger.info(
        { why: status.why },
        'a new deployment, or another Redis than before: decisions that need state go to review until it is known to lack nothing',
      )
    else if (status.kind === 'waiting')
      logger.warn({ code: 'state.lost' }, `state was lost; its rebuild waits: ${status.why}`)
    else if (status.kind === 'rebuilding')
      logger.warn(
        { code: 'state.lost', here: status.here },
        'state was lost: decisions that need it go to review while it is rebuilt from the verdicts',
      )
    else if (status.kind === 'rebuilt')
      logger.info(
        { verdicts: status.verdicts, ms: Math.round(status.ms) },
        'state is whole again: rebuilt from the verdicts',
      )
    else logger.info({}, 'nothing is missing in Redis’ state')
  }
}

/** Resolves never: only a failure of what should run on for ever is of interest. */
const failing = (running: Promise<unknown>): Promise<never> => running.then(() => new Promise<never>(() => {}))

async function openRulebook(
  config: Config,
  { metrics }: Telemetry,
  logger: Logger,
  signal: AbortSignal,
): Promise<WatchedRulebook> {
  const watching = await watchRulebook({
    policyFile: config.SLUICE_POLICY,
    calibrationFile: config.SLUICE_CALIBRATION ?? null,
    certificatesFile: config.SLUICE_CERTIFICATES ?? null,
    intervalMs: config.SLUICE_RELOAD_MS,
    signal,
    onChange: (next) => {
      metrics.reloaded('policy', 'ok')
      logger.info(named(next), 'a changed policy is in force')
      warnOf(next, logger)
    },
    onRejected: (problems) => {
      metrics.reloaded('policy', 'rejected')
      for (const problem of problems)
        logger.error({ problem: formatProblem(problem) }, 'a changed policy is refused; the old one stays in force')
    },
  })
  if (watching.kind === 'problems') throw new ConfigError(watching.problems.map(formatProblem))
  metrics.watchPolicy(() => watching.rulebook.current().policy)
  logger.info(named(watching.rulebook.current()), 'policy in force')
  warnOf(watching.rulebook.current(), logger)
  return watching.rulebook
}

const warnOf = ({ policy, certificates }: Rulebook, logger: Logger): void => {
  for (const warning of rulebookWarnings(policy, certificates)) logger.warn({ policy: policy.name }, warning)
}

const named = ({ policy: { name, version, digest }, calibration, certificates }: Rulebook) => ({
  policy: name,
  version,
  digest,
  calibration: calibration.digest,
  certificates: certificates.digest,
})

/** Waits for as long as Kafka is away; rejects where waiting cannot help. */
async function untilKafkaAnswers(
  ask: () => Promise<unknown>,
  health: Health,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      return void (await ask())
    } catch (error) {
      if (!isPassing(error)) throw error
      const detail = `Kafka does not answer: ${messageOf(error)}`
      health.kafka = { name: 'kafka', state: 'missing', detail }
      logger.warn({}, detail)
      await timer.sleep(1000, signal)
    }
  }
}

/** No answer may pass; a refusal (login, rights, unfit topics) will not mend itself. */
function isPassing(error: unknown): boolean {
  if (error instanceof NoAnswer) return error.kind !== 'login'
  return error instanceof KafkaRefusal && error.kafka.remedy !== 'refused'
}

/** Waits for as long as neither the registry nor its cache file says how to write a verdict; null once `signal` aborts. */
async function untilSchemasKnown(
  registry: Registry,
  config: Config,
  health: Health,
  logger: Logger,
  signal: AbortSignal,
): Promise<Codec | null> {
  const onWaiting = (fault: Fault): void => {
    health.registry = { name: 'registry', state: 'missing', detail: fault.detail }
    logger.warn({ code: fault.code }, fault.detail)
  }
  const opening = openCodec(registry, codecOptions(config), { signal, everyMs: 1000, onWaiting })
  const codec = await opening.catch((error: unknown) => {
    if (signal.aborted) return null
    throw error
  })
  if (codec !== null) health.schemasKnown(() => registry.trouble())
  return codec
}

async function checkRedis(redis: RedisState, logger: Logger): Promise<void> {
  const fitness = await redis.check()
  if (fitness.kind === 'unsuitable') throw new ConfigError([`REDIS_URL: ${fitness.problem}`])
  if (fitness.kind === 'foreign') throw new ConfigError([fitness.problem])
  if (fitness.kind === 'unavailable')
    logger.warn(
      { code: fitness.fault.code },
      `Redis does not answer; decisions that need state go to review: ${fitness.fault.detail}`,
    )
  if (fitness.kind === 'suitable') for (const warning of fitness.warnings) logger.warn({}, warning)
}

/** What becomes of `running`, unless the signal aborts first. */
const aborted = (signal: AbortSignal, running: Promise<unknown>): Promise<unknown> =>
  Promise.race([
    running,
    new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
  ])

const unusableRecord =
  (logger: Logger) =>
  (position: string, problem: string): void =>
    logger.error({ position, problem }, 'a record cannot be used; what it replaces stays in force')

const verdictTopicsOf = (config: Config): Outlets['verdicts'] => ({
  execute: config.TOPIC_EXECUTE,
  review: config.TOPIC_REVIEW,
  reject: config.TOPIC_REJECT,
})

const telemetryConfig = (config: Config) => ({
  ...serviceConfig(config),
  tracesExporter: config.OTEL_TRACES_EXPORTER,
  otlp: otlpConfig(config),
  executeShare: config.SLUICE_TRACE_EXECUTE_SHARE,
  topics: { verdicts: verdictTopicsOf(config), deadLetters: config.TOPIC_DEAD_LETTERS },
  group: config.KAFKA_GROUP_ID,
})

const codecOptions = (config: Config) => ({
  subjects: [subjectOf(config.TOPIC_INPUT)],
  verdictTopics: verdictTopicsOf(config),
  maxEventBytes: config.SLUICE_MAX_EVENT_BYTES,
})

const logOptions = (config: Config, connection: KafkaConnection) => ({
  connection,
  group: config.KAFKA_GROUP_ID,
  slot: config.SLUICE_SLOT,
  input: config.TOPIC_INPUT,
  sessionTimeoutMs: config.KAFKA_SESSION_TIMEOUT_MS,
  transactionTimeoutMs: config.KAFKA_TRANSACTION_TIMEOUT_MS,
})

function onLogStatus(status: LogStatus, health: Health, logger: Logger): void {
  health.logStatus(status, timer.now())
  if (status.kind === 'gap')
    logger.error({ partition: status.partition, from: status.from, to: status.to }, status.text)
  else if (status.kind === 'acquired' || status.kind === 'ended') logger.info({}, status.text)
  else logger.warn({}, status.text)
}

const outward = (
  config: Config,
  telemetry: Telemetry,
): Pick<Processor, 'tracer' | 'observer' | 'patience' | 'outlets' | 'pace'> => ({
  tracer: telemetry.tracer,
  observer: telemetry.observer,
  patience: createPatience(config.SCHEMA_REGISTRY_PATIENCE_MS, timer.now),
  outlets: outletsOf(config),
  pace: paceOf(config),
})

const outletsOf = (config: Config): Outlets => ({
  verdicts: verdictTopicsOf(config),
  deadLetters: config.TOPIC_DEAD_LETTERS,
  policies: config.TOPIC_POLICIES,
  source: `/sluice/${config.SLUICE_DEPLOYMENT}`,
  maxVerdictBytes: config.SLUICE_MAX_VERDICT_BYTES,
  traceparent,
  isoTime: (ms) => new Date(ms).toISOString(),
})

const paceOf = (config: Config): Pace => ({
  maxRecords: config.SLUICE_BATCH_RECORDS,
  intervalMs: config.SLUICE_BATCH_INTERVAL_MS,
  pollMs: 500,
  holdMs: 1000,
  retryMs: 200,
})
