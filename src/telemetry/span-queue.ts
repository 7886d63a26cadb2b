import { ExportResultCode } from '@opentelemetry/core'
import type { ExportResult } from '@opentelemetry/core'
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'

export type SpanCounts = {
  readonly exported: number
  /** Waiting for export, or being made ready for it. */
  readonly queued: number
  /** Never offered to the exporter, because the queue was full. */
  readonly droppedQueueFull: number
  /** Never made, because more decisions were sampled than are traced in a second. */
  readonly droppedOverRate: number
  /** Given to the exporter, which failed or ran out of time. */
  readonly droppedExportFailed: number
}

/** Finished spans on their way out. Nothing here waits: what the collector is too slow for is dropped and counted. */
export type SpanQueue = {
  /** Whether so many more spans fit. What does not fit counts as dropped, so ask only for what would be offered. */
  readonly admits: (spans: number) => boolean
  readonly offer: (span: ReadableSpan) => void
  /** Counts spans that were not made. */
  readonly pass: (spans: number) => void
  readonly counts: () => SpanCounts
  readonly flush: () => Promise<void>
  /** Exports what is left for as long as `graceMs`; never rejects. */
  readonly close: (graceMs: number) => Promise<void>
}

export type SpanQueueOptions = {
  readonly maxQueued: number
  readonly maxBatch: number
  /** The longest a span waits for its batch to fill, milliseconds. */
  readonly delayMs: number
  /** How long one export may take before the next one starts, milliseconds. */
  readonly exportTimeoutMs: number
  /** Told when exports start to fail, and when they succeed again. */
  readonly onExport: (
    change: { readonly kind: 'failing'; readonly reason: string } | { readonly kind: 'restored' },
  ) => void
}

export function createSpanQueue(exporter: SpanExporter, options: SpanQueueOptions): SpanQueue {
  const counting = new CountingExporter(exporter, options.onExport)
  const processor = new BatchSpanProcessor({
    exporter: counting,
    maxQueueSize: options.maxQueued,
    maxExportBatchSize: options.maxBatch,
    scheduledDelayMillis: options.delayMs,
    exportTimeoutMillis: options.exportTimeoutMs,
  })
  let offered = 0
  let droppedQueueFull = 0
  let droppedOverRate = 0
  let closed = false
  const queued = (): number => offered - counting.taken
  return {
    admits: (spans) => {
      if (!closed && queued() + spans <= options.maxQueued) return true
      droppedQueueFull += spans
      return false
    },
    offer: (span) => {
      offered += 1
      processor.onEnd(span)
    },
    pass: (spans) => void (droppedOverRate += spans),
    counts: () => ({
      exported: counting.exported,
      queued: queued(),
      droppedQueueFull,
      droppedOverRate,
      droppedExportFailed: counting.failed,
    }),
    flush: () => processor.forceFlush(),
    close: (graceMs) => {
      closed = true
      return within(graceMs, processor.shutdown())
    },
  }
}

/** Resolves when `work` has ended in whatever way, and after `ms` at the latest. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  work.then(
    () => resolve(),
    () => resolve(),
  )
  await promise
  clearTimeout(timer)
}

class CountingExporter implements SpanExporter {
  taken = 0
  exported = 0
  failed = 0
  #failing = false
  readonly #exporter: SpanExporter
  readonly #onExport: SpanQueueOptions['onExport']

  constructor(exporter: SpanExporter, onExport: SpanQueueOptions['onExport']) {
    this.#exporter = exporter
    this.#onExport = onExport
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.taken += spans.length
    this.#exporter.export(spans, (result) => {
      this.#count(spans.length, result)
      done(result)
    })
  }

  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush?.() ?? Promise.resolve()
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown()
  }

  #count(spans: number, result: ExportResult): void {
    const failing = result.code !== ExportResultCode.SUCCESS
    if (failing) this.failed += spans
    else this.exported += spans
    if (failing !== this.#failing) this.#report(failing, result)
    this.#failing = failing
  }

  #report(failing: boolean, { error }: ExportResult): void {
    this.#onExport(failing ? { kind: 'failing', reason: error?.message ?? 'export failed' } : { kind: 'restored' })
  }
}
