import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { MetricReader } from '@opentelemetry/sdk-metrics'

/** What Prometheus' scraper takes: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8'

/** All metrics as text, on request. The exporter's own server is not used: ours already has a port. */
export class PrometheusReader extends MetricReader {
  readonly #serializer = new PrometheusSerializer('', false, undefined, false, true)

  async scrape(): Promise<string> {
    const { resourceMetrics } = await this.collect()
    // The exporter's release was built against its own copy of sdk-metrics, one patch older, whose enums TypeScript
    // tells apart from ours; the values are the same.
    // oxlint-disable-next-line typescript/no-unsafe-enum-assignment
    return this.#serializer.serialize(resourceMetrics)
  }

  protected async onForceFlush(): Promise<void> {}

  protected async onShutdown(): Promise<void> {}
}
