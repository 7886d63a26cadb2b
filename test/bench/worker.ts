/**
 * The process that is measured. It wires the processor as main.ts does, or the bare pass-through over the same driver,
 * drains what is in the input topic, and tells its parent what that took. The task is in BENCH_TASK.
 */
import { openCodec } from '../../src/avro/codec.ts'
import { openRegistry } from '../../src/avro/registry.ts'
import { subjectOf } from '../../src/avro/schemas.ts'
import { readConfig } from '../../src/config.ts'
import type { Config } from '../../src/config.ts'
import { kafkaConnection, registryOptions } from '../../src/connections.ts'
import { contextHashOf } from '../../src/decision/keys.ts'
import { openDecisionLog } from '../../src/kafka/decision-log.ts'
import type { KafkaDecisionLog } from '../../src/kafka/decision-log.ts'
import { timer } from '../../src/timer.ts'
import { watchRulebook } from '../../src/policy/watch.ts'
import { createPatience } from '../../src/processor/decode.ts'
import { runProcessor } from '../../src/processor/run.ts'
import { createStandingOrders } from '../../src/processor/standing-orders.ts'
import { openRedis } from '../../src/redis/open.ts'
import type { RedisState } from '../../src/redis/open.ts'
import { createLogger } from '../../src/telemetry/logs.ts'
import type { Metrics } from '../../src/telemetry/metrics.ts'
import { observers } from '../../src/telemetry/observers.ts'
import { openTelemetry } from '../../src/telemetry/open-telemetry.ts'
import { timedState } from '../../src/telemetry/timed-state.ts'
import { traceparent } from '../../src/telemetry/trace-link.ts'
import { VERSION } from '../../src/version.ts'
import { Meter } from './meter.ts'
import type { Task } from './meter.ts'
import { passThrough } from './pass-through.ts'
import { sellers } from './events.ts'

const CONTEXT_CHUNK = 500

const config = readConfig(undefined)
const task = JSON.parse(process.env['BENCH_TASK'] ?? '') as Task
const stop = new AbortController()
const log = openDecisionLog({
  connection: kafkaConnection(config),
  group: config.KAFKA_GROUP_ID,
  slot: config.SLUICE_SLOT,
  input: config.TOPIC_INPUT,
  sessionTimeoutMs: config.KAFKA_SESSION_TIMEOUT_MS,
  transactionTimeoutMs: config.KAFKA_TRANSACTION_TIMEOUT_MS,
})
if (task.kind === 'pass-through') await measurePassThrough(log)
else await measurePipeline(log)
await log.close()
process.exit(0)

async function measurePassThrough(log: KafkaDecisionLog): Promise<void> {
  const meter = new Meter(
    task,
    () => ({ ...log.stats(), roundTrips: 0 }),
    () => stop.abort(),
  )
  await passThrough(log, verdictTopics(config), task.batch, (records) => meter.committed(records), stop.signal)
  process.send?.(meter.result())
}

async function measurePipeline(log: KafkaDecisionLog): Promise<void> {
  const redis = await openState(config)
  const registry = await openRegistry(registryOptions(config, () => undefined))
  const waiting = { signal: stop.signal, everyMs: 1000, onWaiting: () => undefined }
  const subjects = [subjectOf(config.TOPIC_INPUT)]
  const codec = await openCodec(
    registry,
    { subjects, verdictTopics: verdictTopics(config), maxEventBytes: config.SLUICE_MAX_EVENT_BYTES },
    waiting,
  )
  const logger = createLogger(config.LOG_LEVEL, config.OTEL_SERVICE_NAME)
  const telemetry = openTelemetry(telemetryConfig(config), { logger, now: timer.now })
  let acquires = 0
  const meter = new Meter(
    task,
    () => ({ ...log.stats(), roundTrips: redis.roundTrips() - acquires }),
    () => stop.abort(),
  )
  const roundTrip: Metrics['stateRoundTrip'] = (operation, ms) => {
    if (operation === 'acquire') acquires++
    telemetry.metrics.stateRoundTrip(operation, ms)
  }
  const counting = {
    committed: (decided: readonly object[]) => meter.committed(decided.length),
    discarded: () => meter.discarded(),
    refused: () => meter.refused(),
  }
  await runProcessor(
    {
      log,
      codec,
      rulebook: await openRulebook(config),
      timer,
      control: createStandingOrders(),
      state: timedState(redis.store, roundTrip, timer.now),
      attempts: {
        begin: (starts) => (acquires++, redis.attempts.begin(starts)),
        reading: (runs) => redis.attempts.reading(runs),
        end: (partitions) => (acquires++, redis.attempts.end(partitions)),
      },
      tracer: telemetry.tracer,
      observer: observers([telemetry.observer, counting], (error) => console.error(error)),
      patience: createPatience(config.SCHEMA_REGISTRY_PATIENCE_MS, timer.now),
      outlets: {
        verdicts: verdictTopics(config),
        deadLetters: config.TOPIC_DEAD_LETTERS,
        policies: config.TOPIC_POLICIES,
        source: `/sluice/${config.SLUICE_DEPLOYMENT}`,
        maxVerdictBytes: config.SLUICE_MAX_VERDICT_BYTES,
        traceparent,
        isoTime: (ms) => new Date(ms).toISOString(),
      },
      pace: {
        maxRecords: config.SLUICE_BATCH_RECORDS,
        intervalMs: config.SLUICE_BATCH_INTERVAL_MS,
        pollMs: 500,
        holdMs: 1000,
        retryMs: 200,
      },
    },
    stop.signal,
  )
  await telemetry.close()
  process.send?.(meter.result())
  redis.close()
}

/** Redis with every seller's context in it. */
async function openState(config: Config): Promise<RedisState> {
  const redis = await openRedis({
    url: config.REDIS_URL,
    deployment: config.SLUICE_DEPLOYMENT,
    topic: config.TOPIC_INPUT,
    group: config.KAFKA_GROUP_ID,
    deadlineMs: config.REDIS_DEADLINE_MS,
  })
  const updates = sellers(Date.now()).map(({ key, value }, offset) => ({
    offset,
    hash: contextHashOf('seller', key),
    value,
  }))
  for (let from = 0; from < updates.length; from += CONTEXT_CHUNK) {
    const some = updates.slice(from, from + CONTEXT_CHUNK)
    const run = { partition: 0, from: from === 0 ? null : from, next: from + some.length, updates: some }
    const answer = await redis.context.apply(run)
    if (answer.kind !== 'applied') throw new Error(`the contexts were not taken: ${answer.kind}`)
  }
  return redis
}

async function openRulebook(config: Config) {
  const watching = await watchRulebook({
    policyFile: config.SLUICE_POLICY,
    calibrationFile: config.SLUICE_CALIBRATION ?? null,
    certificatesFile: config.SLUICE_CERTIFICATES ?? null,
    intervalMs: config.SLUICE_RELOAD_MS,
    signal: stop.signal,
  })
  if (watching.kind === 'problems') throw new Error(JSON.stringify(watching.problems))
  return watching.rulebook
}

function verdictTopics(config: Config) {
  return { execute: config.TOPIC_EXECUTE, review: config.TOPIC_REVIEW, reject: config.TOPIC_REJECT }
}

function telemetryConfig(config: Config) {
  return {
    serviceName: config.OTEL_SERVICE_NAME,
    serviceVersion: VERSION,
    resourceAttributes: null,
    tracesExporter: config.OTEL_TRACES_EXPORTER,
    otlp: {
      endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
      protocol: config.OTEL_EXPORTER_OTLP_PROTOCOL,
      headers: config.OTEL_EXPORTER_OTLP_HEADERS ?? null,
    },
    executeShare: config.SLUICE_TRACE_EXECUTE_SHARE,
    topics: { verdicts: verdictTopics(config), deadLetters: config.TOPIC_DEAD_LETTERS },
    group: config.KAFKA_GROUP_ID,
  }
}
