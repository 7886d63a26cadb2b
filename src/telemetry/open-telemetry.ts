import type { SpanExporter } from '@opentelemetry/sdk-trace'
import type { Observer, Tracer } from '../processor/ports.ts'
import type { SpanOrigin } from './finished-span.ts'
import { logObserver } from './logs.ts'
import type { Logger } from './logs.ts'
import { createMetrics } from './metrics.ts'
import type { Metrics } from './metrics.ts'
import type { OutputTopics } from './names.ts'
import { observers } from './observers.ts'
import { EXPORT_TIMEOUT_MS, otlpExporter, serviceResource } from './otlp.ts'
import type { OtlpConfig, ServiceConfig } from './otlp.ts'
import { createSpanQueue } from './span-queue.ts'
import type { SpanQueue } from './span-queue.ts'
import { spanObserver } from './spans.ts'
import { createTracer } from './trace-link.ts'

export type TelemetryConfig = ServiceConfig & {
  /** OTEL_TRACES_EXPORTER. With `none` a producer's sampled trace is still passed on in headers. */
  readonly tracesExporter: 'otlp' | 'none'
  readonly otlp: OtlpConfig
  /** Share of executed events traced though their producer did not ask for it, 0 to 1. */
  readonly executeShare: number
  readonly topics: OutputTopics
  readonly group: string
}

/** What telemetry needs from outside; tests pass an exporter of their own. */
export type TelemetryParts = {
  readonly logger: Logger
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly exporter?: SpanExporter
}

export type Telemetry = {
  readonly tracer: Tracer
  readonly observer: Observer
  readonly metrics: Metrics
  /** Exports what is queued, in CLOSE_MS at the most. */
  readonly close: () => Promise<void>
}

/** How long closing may take, milliseconds. */
const CLOSE_MS = 1500
/** Enough for a quarter of a second of a fully traced thousand events a second; about 4 MB. */
const QUEUED_SPANS = 4096
const BATCH_SPANS = 512
const BATCH_DELAY_MS = 1000

/** Throws an Error for people when a setting cannot be read. */
export function openTelemetry(config: TelemetryConfig, { logger, now, exporter }: TelemetryParts): Telemetry {
  const resource = serviceResource(config)
  const metrics = createMetrics(resource)
  const exporting = config.tracesExporter !== 'none'
  const queue = exporting ? openQueue(exporter ?? otlpExporter(config.otlp), config.otlp.endpoint, logger) : null
  if (queue !== null) metrics.watchSpans(queue.counts)
  const origin: SpanOrigin = { resource, scope: { name: 'sluice', version: config.serviceVersion } }
  const spans = queue === null ? [] : [spanObserver({ queue, origin, topics: config.topics, group: config.group })]
  return {
    tracer: createTracer({ executeShare: config.executeShare, exporting }),
    observer: observers([metrics.observer, logObserver(logger, now), ...spans], (error) => {
      metrics.failed()
      logger.error({ reason: error instanceof Error ? error.message : 'unknown' }, 'a part of telemetry failed')
    }),
    metrics,
    close: async () => {
      await queue?.close(CLOSE_MS)
      await metrics.close()
    },
  }
}

function openQueue(exporter: SpanExporter, endpoint: string, logger: Logger): SpanQueue {
  return createSpanQueue(exporter, {
    maxQueued: QUEUED_SPANS,
    maxBatch: BATCH_SPANS,
    delayMs: BATCH_DELAY_MS,
    exportTimeoutMs: EXPORT_TIMEOUT_MS,
    onExport: (change) =>
      change.kind === 'restored'
        ? logger.info({ endpoint }, 'the collector takes spans again')
        : logger.warn({ endpoint, reason: change.reason }, 'spans are lost: the collector does not take them'),
  })
}
