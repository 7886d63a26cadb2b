import type { ObservableResult } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { METRICS } from './names.ts'
import { PrometheusReader } from './prometheus.ts'

/** One certificate as metrics tell of it; counts are of audited executions. */
export type WatchedCertificate = {
  readonly certificate: string
  readonly evidence: number
  readonly right: number
  readonly wrong: number
  readonly immature: number
}

/** `delayMs`: how far behind now everything of full age has been counted; null where nothing was counted yet. */
export type WatchReadings = {
  readonly certificates: readonly WatchedCertificate[]
  readonly alarmLine: number
  readonly stragglers: number
  /** Certificates that were executed on and cannot be watched. */
  readonly unwatched: number
  readonly delayMs: number | null
}

export type WatchMetrics = {
  readonly withdrawn: (certificate: string) => void
  /** Read at every scrape. */
  readonly watch: (read: () => WatchReadings) => void
  /** All of it in Prometheus' text format. */
  readonly scrape: () => Promise<string>
  readonly close: () => Promise<void>
}

const NOTHING: WatchReadings = { certificates: [], alarmLine: 0, stragglers: 0, unwatched: 0, delayMs: null }

/** Certificates are few, and forgotten by the watch, so that series stay bounded. */
export function createWatchMetrics(resource: Resource): WatchMetrics {
  let read = (): WatchReadings => NOTHING
  const reader = new PrometheusReader()
  const provider = new MeterProvider({ resource, readers: [reader] })
  const meter = provider.getMeter('sluice')
  const gauge = (name: string, description: string, observe: (result: ObservableResult) => void): void =>
    meter.createObservableGauge(name, { description }).addCallback(observe)
  const each = (result: ObservableResult, value: (it: WatchedCertificate) => number): void => {
    for (const it of read().certificates) result.observe(value(it), { certificate: it.certificate })
  }
  gauge(METRICS.watchEvidence, 'Evidence that a certificate’s risk is above its bound', (it) =>
    each(it, ({ evidence }) => evidence),
  )
  gauge(METRICS.watchAlarmLine, 'Evidence at which a certificate is withdrawn', (it) => it.observe(read().alarmLine))
  gauge(METRICS.watchUnwatched, 'Certificates that were executed on and cannot be watched', (it) =>
    it.observe(read().unwatched),
  )
  gauge(METRICS.watchImmature, 'Audited executions that are not of full age', (it) =>
    each(it, ({ immature }) => immature),
  )
  meter
    .createObservableGauge(METRICS.watchDelay, { description: 'How far behind now outcomes are counted', unit: 's' })
    .addCallback((result) => {
      const { delayMs } = read()
      if (delayMs !== null) result.observe(delayMs / 1000)
    })
  meter
    .createObservableCounter(METRICS.watchOutcomes, { description: 'Outcomes counted, by certificate and result' })
    .addCallback((result) => {
      for (const { certificate, right, wrong } of read().certificates) {
        result.observe(right, { certificate, result: 'right' })
        result.observe(wrong, { certificate, result: 'wrong' })
      }
    })
  meter
    .createObservableCounter(METRICS.watchStragglers, { description: 'Executions that came too late to be counted' })
    .addCallback((result) => result.observe(read().stragglers))
  const withdrawals = meter.createCounter(METRICS.watchWithdrawals, { description: 'Certificates withdrawn' })
  withdrawals.add(0)
  return {
    watch: (next) => (read = next),
    withdrawn: (certificate) => withdrawals.add(1, { certificate }),
    scrape: () => reader.scrape(),
    close: () => provider.shutdown(),
  }
}
