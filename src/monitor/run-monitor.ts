import { createRecords } from '../avro/records.ts'
import { openRegistry } from '../avro/registry.ts'
import { ALARM_AT, evidenceOf } from '../calibration/risk-watch.ts'
import type { Checkpoint, TopicPositions, Withdrawal } from './checkpoint.ts'
import { checkpointText, readCheckpoint } from './checkpoint.ts'
import type { Config } from '../config.ts'
import { kafkaConnection, registryOptions, serviceConfig } from '../connections.ts'
import { messageOf } from '../kafka/errors.ts'
import { whileLeading } from '../kafka/leadership.ts'
import { openStoredText } from '../redis/stored-text.ts'
import type { StoredText } from '../redis/stored-text.ts'
import { openHttp } from '../telemetry/http.ts'
import type { Part } from '../telemetry/http.ts'
import { createLogger } from '../telemetry/logs.ts'
import type { Logger } from '../telemetry/logs.ts'
import { serviceResource } from '../telemetry/otlp.ts'
import { createWatchMetrics } from '../telemetry/watch-metrics.ts'
import type { WatchReadings } from '../telemetry/watch-metrics.ts'
import { timer } from '../timer.ts'
import type { CountingRules } from '../watch/execution.ts'
import { NOTHING_WATCHED, Watch } from '../watch/watch.ts'
import { WatchedTopics } from './watched-topics.ts'
import { UNWATCHED } from '../watch/execution.ts'
import { openWithdrawals } from './withdrawals.ts'
import type { Withdrawals } from './withdrawals.ts'

/** How often outcomes are counted, milliseconds. */
const TICK_MS = 500
/** Counting that has not come further for so long stands still, milliseconds. */
const STALLED_MS = 30_000
const WITHDRAWALS_SHOWN = 100
const UNWATCHED_SHOWN = 100
const NO_POSITIONS: TopicPositions = { executions: new Map(), reports: new Map() }

/**
 * Runs the monitor until `signal` aborts. Of all monitors of a deployment one counts at a time, and the others stand by.
 * Rejects with an error for people where the start is refused. `onHttp` is told where /readyz and the others answer.
 */
export async function runMonitor(config: Config, signal: AbortSignal, onHttp?: (url: string) => void): Promise<void> {
  await using open = new AsyncDisposableStack()
  const logger = createLogger(config.LOG_LEVEL, config.OTEL_SERVICE_NAME)
  const registry = await openRegistry(registryOptions(config, (problem) => logger.warn({}, problem)))
  open.defer(() => registry.close())
  const kept = openCheckpoint(config)
  open.defer(() => kept.close())
  const metrics = createWatchMetrics(serviceResource(serviceConfig(config)))
  open.defer(() => metrics.close())
  const withdrawals = openWithdrawals(config, logger, metrics.withdrawn)
  open.defer(() => withdrawals.close())
  const records = createRecords(registry, config.SLUICE_MAX_VERDICT_BYTES)
  const monitor = new Monitor(config, { logger, kept, withdrawals, records })
  metrics.watch(() => monitor.readings())
  const http = await openHttp({
    host: config.SLUICE_HTTP_HOST,
    port: config.SLUICE_HTTP_PORT,
    parts: () => monitor.parts(),
    started: () => monitor.started,
    metrics: () => metrics.scrape(),
  })
  open.defer(() => http.close())
  onHttp?.(http.url)
  logger.info({ url: http.url }, 'pages: /livez /readyz /startupz /metrics')
  const options = {
    group: `${config.KAFKA_GROUP_ID}-monitor`,
    topic: config.TOPIC_EXECUTE,
    signal,
    onStandby: () => monitor.standBy(),
    onTrouble: (error: unknown) => monitor.trouble(error),
  }
  await whileLeading(kafkaConnection(config), options, (over) => monitor.lead(over))
  logger.info({}, 'ended')
}

/** Where the monitor of this deployment keeps what it knows. */
export const openCheckpoint = (config: Config): StoredText =>
  openStoredText({
    url: config.REDIS_URL,
    deployment: config.SLUICE_DEPLOYMENT,
    name: 'monitor',
    deadlineMs: Math.max(1000, config.REDIS_DEADLINE_MS),
  })

export const countingRules = (config: Config): CountingRules => ({
  maturityMs: config.SLUICE_MATURITY_MS,
  missing: config.SLUICE_MISSING_LABEL,
})

type Parts = {
  readonly logger: Logger
  readonly kept: StoredText
  readonly withdrawals: Withdrawals
  readonly records: ReturnType<typeof createRecords>
}

/** What one process counts while it leads, and what it says of itself. */
class Monitor {
  readonly #config: Config
  readonly #parts: Parts
  #watch: Watch | null = null
  #stragglers = 0
  #unwatched: ReadonlySet<string> = new Set()
  #withdrawn: readonly Withdrawal[] = []
  #progressAt: number | null = null
  #redis: Part = { name: 'redis', state: 'ok', detail: 'not asked yet' }
  #isStandby = false
  #lastTrouble = ''

  constructor(config: Config, parts: Parts) {
    this.#config = config
    this.#parts = parts
  }

  get started(): boolean {
    return this.#isStandby || this.#progressAt !== null
  }

  standBy(): void {
    this.#isStandby = true
    this.#parts.logger.info({}, 'another monitor of this deployment counts; this one stands by')
  }

  trouble(error: unknown): void {
    const detail = messageOf(error)
    if (detail !== this.#lastTrouble) this.#parts.logger.warn({}, `tried again: ${detail}`)
    this.#lastTrouble = detail
  }

  /** Counts until `over` aborts, beginning with what was kept. */
  async lead(over: AbortSignal): Promise<void> {
    this.#isStandby = false
    const last = await this.#lastCheckpoint(over)
    if (over.aborted) return
    const watch = new Watch(last?.state ?? NOTHING_WATCHED(countingRules(this.#config)))
    this.#watch = watch
    this.#stragglers = last?.stragglers ?? 0
    this.#unwatched = new Set(last?.unwatched)
    this.#withdrawn = last?.withdrawals ?? []
    const stop = new AbortController()
    const signal = AbortSignal.any([over, stop.signal])
    const topics = new WatchedTopics(watch, this.#topicsOptions(last?.positions ?? NO_POSITIONS, signal))
    try {
      await Promise.race([this.#count(watch, topics, over), topics.ended()])
    } finally {
      stop.abort()
      this.#watch = null
    }
  }

  /** Null where nothing was kept, or by other rules: then all that is in the topics is counted anew. */
  async #lastCheckpoint(over: AbortSignal): Promise<Checkpoint | null> {
    const { kept, logger } = this.#parts
    const rules = countingRules(this.#config)
    while (!over.aborted) {
      try {
        const text = await kept.read()
        this.#redis = { name: 'redis', state: 'ok', detail: 'answers' }
        const last = text === null ? null : readCheckpoint(text)
        if (last !== null && isSame(last.state.rules, rules)) return last
        const why = last === null ? 'nothing was kept' : 'maturity or the rule for missing labels has changed'
        logger.info({}, `${why}: outcomes are counted from the beginning of the topics`)
        return null
      } catch (error) {
        this.#redis = { name: 'redis', state: 'missing', detail: messageOf(error) }
        logger.warn({}, `what was kept cannot be read yet: ${messageOf(error)}`)
        await timer.sleep(1000, over)
      }
    }
    return null
  }

  #topicsOptions(from: TopicPositions, signal: AbortSignal) {
    const { logger, records } = this.#parts
    return {
      connection: kafkaConnection(this.#config),
      topics: { executions: this.#config.TOPIC_EXECUTE, reports: this.#config.TOPIC_OUTCOMES },
      records,
      from,
      signal,
      onUnusable: (position: string, problem: string) => logger.error({ position, problem }, 'a record is passed over'),
      onStraggler: (position: string) => {
        this.#stragglers += 1
        logger.warn({ position }, 'an audited execution came when its age was counted already, and is left out')
      },
      onUnwatched: (certificate: string) => this.#passOver(certificate),
      onTrouble: (error: unknown) => this.trouble(error),
    }
  }

  #passOver(certificate: string): void {
    if (this.#unwatched.has(certificate)) return
    this.#unwatched = new Set([...this.#unwatched, certificate].slice(-UNWATCHED_SHOWN))
    this.#parts.logger.warn({ certificate }, `a certificate is executed on and ${UNWATCHED}`)
  }

  /** Everything written before a moment is read before what is of full age at that moment is counted. */
  async #count(watch: Watch, topics: WatchedTopics, over: AbortSignal): Promise<void> {
    const { SLUICE_SETTLE_MS: settleMs } = this.#config
    while (!over.aborted) {
      const now = timer.now()
      await Promise.race([topics.upToNow(), aborted(over)])
      if (over.aborted) return
      const alarms = watch.advance(Math.floor(now - settleMs))
      for (const alarm of alarms) {
        const withdrawal = { ...alarm, at: Math.floor(timer.now()) }
        await this.#parts.withdrawals.withdraw(withdrawal, over)
        this.#withdrawn = [...this.#withdrawn, withdrawal].slice(-WITHDRAWALS_SHOWN)
      }
      if (over.aborted) return
      this.#progressAt = timer.now()
      await this.#keep(watch, topics)
      await timer.sleep(TICK_MS, over)
    }
  }

  /** After the withdrawals, so that none is forgotten by a restart. */
  async #keep(watch: Watch, topics: WatchedTopics): Promise<void> {
    const checkpoint: Checkpoint = {
      state: watch.state,
      positions: topics.positions,
      immature: watch.immature,
      stragglers: this.#stragglers,
      unwatched: [...this.#unwatched],
      withdrawals: this.#withdrawn,
      writtenAt: Math.floor(timer.now()),
    }
    try {
      await this.#parts.kept.write(checkpointText(checkpoint))
      this.#redis = { name: 'redis', state: 'ok', detail: 'answers' }
    } catch (error) {
      if (this.#redis.state === 'ok') this.#parts.logger.warn({}, `what is known cannot be kept: ${messageOf(error)}`)
      this.#redis = { name: 'redis', state: 'degraded', detail: `a restart counts again: ${messageOf(error)}` }
    }
  }

  readings(): WatchReadings {
    const immature = this.#watch?.immature ?? new Map<string, number>()
    const certificates = this.#watch?.state.certificates ?? []
    return {
      certificates: certificates.map(({ certificate, counted, errors, detector }) => ({
        certificate,
        evidence: evidenceOf(detector),
        right: counted - errors,
        wrong: errors,
        immature: immature.get(certificate) ?? 0,
      })),
      alarmLine: ALARM_AT,
      stragglers: this.#stragglers,
      unwatched: this.#unwatched.size,
      delayMs: this.#progressAt === null ? null : timer.now() - this.#progressAt,
    }
  }

  parts(): readonly Part[] {
    return [this.#counting(), this.#redis]
  }

  #counting(): Part {
    const name = 'counting'
    if (this.#isStandby) return { name, state: 'ok', detail: 'stands by while another monitor counts' }
    if (this.#progressAt === null) return { name, state: 'missing', detail: 'has not read the topics yet' }
    const behindMs = timer.now() - this.#progressAt
    if (behindMs < STALLED_MS) return { name, state: 'ok', detail: 'outcomes are counted' }
    const detail = `nothing was counted for ${Math.round(behindMs / 1000)} s: ${this.#lastTrouble}`
    return { name, state: 'missing', detail }
  }
}

const isSame = (a: CountingRules, b: CountingRules): boolean => a.maturityMs === b.maturityMs && a.missing === b.missing

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
