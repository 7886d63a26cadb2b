import { MeterProvider } from '@opentelemetry/sdk-metrics'
import type { AuditReport } from '../audit/auditor.ts'
import { METRICS } from './names.ts'
import type { ServiceConfig } from './otlp.ts'
import { serviceResource } from './otlp.ts'
import { PrometheusReader } from './prometheus.ts'

export type AuditMetrics = { readonly scrape: () => Promise<string>; readonly close: () => Promise<void> }

/** What an audit says, read at every scrape. */
export function auditMetrics(service: ServiceConfig, report: () => AuditReport): AuditMetrics {
  const reader = new PrometheusReader()
  const provider = new MeterProvider({ resource: serviceResource(service), readers: [reader] })
  const meter = provider.getMeter('sluice')
  const perPartition = (name: string, description: string, pick: (it: AuditReport['partitions'][number]) => number) =>
    meter.createObservableGauge(name, { description }).addCallback((result) => {
      for (const it of report().partitions) result.observe(pick(it), { partition: String(it.partition) })
    })
  perPartition(METRICS.auditSure, 'Below this offset every event is accounted for', (it) => it.sure)
  perPartition(METRICS.auditBehind, 'Committed offsets that are not sure yet', (it) =>
    Math.max(0, it.committed - it.sure),
  )
  perPartition(METRICS.auditUntold, 'Events that retention has put beyond audit', (it) => it.untold)
  const counter = (name: string, description: string, pick: (report: AuditReport) => number) =>
    meter.createObservableCounter(name, { description }).addCallback((result) => result.observe(pick(report())))
  counter(METRICS.auditVerdicts, 'Verdicts that were audited', (it) => it.verdicts)
  counter(METRICS.auditUnrepeatable, 'Verdicts whose policy is not published', (it) => it.unrepeatable)
  meter
    .createObservableCounter(METRICS.auditFindings, { description: 'What was found wrong, by kind' })
    .addCallback((result) => {
      for (const [kind, count] of Object.entries(report().findings)) result.observe(count, { kind })
    })
  return { scrape: () => reader.scrape(), close: () => provider.shutdown() }
}
