import { AuditRun } from '../audit-run.ts'
import type { AuditReport } from '../audit/auditor.ts'
import type { AuditFinding } from '../audit/finding.ts'
import { createRecords, MAX_RECORD_BYTES } from '../avro/records.ts'
import { openRegistry } from '../avro/registry.ts'
import type { Config } from '../config.ts'
import { kafkaConnection, registryOptions, serviceConfig } from '../connections.ts'
import { messageOf } from '../kafka/errors.ts'
import { CounterReader } from '../redis/counter-reader.ts'
import { auditMetrics } from '../telemetry/audit-metrics.ts'
import { openHttp } from '../telemetry/http.ts'
import type { Part } from '../telemetry/http.ts'
import { createLogger } from '../telemetry/logs.ts'
import { auditText } from './audit-text.ts'
import { untilInterrupted } from './interrupt.ts'
import { NO_REDIS, readToolConfig } from './tool-config.ts'

export type AuditCommandOptions = { readonly follow: boolean; readonly json: boolean }

/**
 * `sluice audit`: reads input and answers anew and holds them against each other, up to what is committed now, or with
 * `--follow` for as long as it runs, with `GET /audit`. Returns 0 when nothing is wrong, 1 when something is.
 */
export async function audit(file: string | undefined, options: AuditCommandOptions): Promise<number> {
  const config = readToolConfig(file)
  using interrupt = untilInterrupted()
  return options.follow ? await follow(config, interrupt.signal) : await once(config, interrupt.signal, options.json)
}

async function once(config: Config, signal: AbortSignal, json: boolean): Promise<number> {
  await using open = new AsyncDisposableStack()
  const run = await openRun(
    config,
    open,
    () => undefined,
    (problem) => process.stderr.write(`sluice audit: ${problem}\n`),
  )
  await run.run(signal, { once: true })
  const report = run.report()
  process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : auditText(report, config.TOPIC_INPUT))
  if (signal.aborted) process.stderr.write('sluice audit: interrupted, so this is not all\n')
  return report.ok && !signal.aborted ? 0 : 1
}

async function follow(config: Config, signal: AbortSignal): Promise<number> {
  await using open = new AsyncDisposableStack()
  const logger = createLogger(config.LOG_LEVEL, config.OTEL_SERVICE_NAME)
  const onFinding = ({ kind, partition, from, next, detail }: AuditFinding): void =>
    logger.error({ kind, topic: config.TOPIC_INPUT, partition, from, next }, detail)
  const run = await openRun(config, open, onFinding, (problem) => logger.warn({}, problem))
  const metrics = auditMetrics(serviceConfig(config), () => run.report())
  open.defer(() => metrics.close())
  const http = await openHttp({
    host: config.SLUICE_HTTP_HOST,
    port: config.SLUICE_HTTP_PORT,
    parts: () => [partOf(run.report())],
    started: () => run.report().partitions.length > 0,
    metrics: () => metrics.scrape(),
    audit: () => run.report(),
  })
  open.defer(() => http.close())
  process.send?.({ http: http.url })
  logger.info({ url: http.url }, 'pages: /audit /livez /readyz /startupz /metrics')
  await run.run(signal, { once: false })
  return run.report().ok ? 0 : 1
}

async function openRun(
  config: Config,
  open: AsyncDisposableStack,
  onFinding: (finding: AuditFinding) => void,
  onProblem: (problem: string) => void,
): Promise<AuditRun> {
  const registry = await openRegistry(registryOptions(config, onProblem))
  open.defer(() => registry.close())
  const counters = hasRedis(config) ? new CounterReader(config.REDIS_URL, config.SLUICE_DEPLOYMENT) : null
  open.defer(() => counters?.close())
  return new AuditRun({
    ...(counters !== null && { heldCounters: (names) => counters.read(names) }),
    connection: kafkaConnection(config),
    group: config.KAFKA_GROUP_ID,
    topics: {
      input: config.TOPIC_INPUT,
      verdicts: { execute: config.TOPIC_EXECUTE, review: config.TOPIC_REVIEW, reject: config.TOPIC_REJECT },
      deadLetters: config.TOPIC_DEAD_LETTERS,
      policies: config.TOPIC_POLICIES,
    },
    records: createRecords(registry, MAX_RECORD_BYTES),
    maxEventBytes: config.SLUICE_MAX_EVENT_BYTES,
    onFinding,
    onTrouble: (error) => onProblem(messageOf(error)),
  })
}

/** What stands where a tool's configuration names no Redis. */
const hasRedis = ({ REDIS_URL }: Config): boolean => REDIS_URL !== NO_REDIS

const partOf = ({ ok, findings }: AuditReport): Part =>
  ok
    ? { name: 'audit', state: 'ok', detail: 'nothing wrong was found' }
    : { name: 'audit', state: 'degraded', detail: `found: ${foundText(findings)}; GET /audit says where` }

const foundText = (findings: AuditReport['findings']): string =>
  Object.entries(findings)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ')
