import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import type { Resource } from '@opentelemetry/resources'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions'
import { randomUUID } from 'node:crypto'

/** Where spans go; the fields are OpenTelemetry's OTEL_EXPORTER_OTLP_* settings. */
export type OtlpConfig = {
  /** Base address: `/v1/traces` is added. */
  readonly endpoint: string
  readonly protocol: 'http/protobuf' | 'http/json'
  /** As in OTEL_EXPORTER_OTLP_HEADERS: `key=value` pairs separated by commas, values percent-encoded. */
  readonly headers: string | null
}

/** Who spans and metrics are from. `resourceAttributes` as in OTEL_RESOURCE_ATTRIBUTES. */
export type ServiceConfig = {
  readonly serviceName: string
  readonly serviceVersion: string
  readonly resourceAttributes: string | null
}

/** An export that takes longer has failed, milliseconds. Short, since it also bounds how long an exit is held up. */
export const EXPORT_TIMEOUT_MS = 3000
/** Usually one is under way; closing sends a whole queue at once. What comes on top fails instead of piling up. */
const CONCURRENT_EXPORTS = 10

export function otlpExporter({ endpoint, protocol, headers }: OtlpConfig): SpanExporter {
  const options = {
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    headers: Object.fromEntries(keyValues('OTEL_EXPORTER_OTLP_HEADERS', headers)),
    timeoutMillis: EXPORT_TIMEOUT_MS,
    concurrencyLimit: CONCURRENT_EXPORTS,
  }
  return protocol === 'http/json' ? new JsonExporter(options) : new ProtobufExporter(options)
}

export function serviceResource({ serviceName, serviceVersion, resourceAttributes }: ServiceConfig): Resource {
  const given = Object.fromEntries(keyValues('OTEL_RESOURCE_ATTRIBUTES', resourceAttributes))
  return defaultResource().merge(
    resourceFromAttributes({
      'service.instance.id': randomUUID(),
      [ATTR_SERVICE_VERSION]: serviceVersion,
      ...given,
      [ATTR_SERVICE_NAME]: serviceName,
    }),
  )
}

/** Throws an Error that names the setting and the entry, never its value: headers hold credentials. */
function keyValues(setting: string, text: string | null): ReadonlyMap<string, string> {
  const entries = (text ?? '').split(',').filter((it) => it.trim() !== '')
  return new Map(
    entries.map((entry, at) => {
      const equals = entry.indexOf('=')
      const name = entry.slice(0, Math.max(equals, 0)).trim()
      if (name === '') throw new Error(`${setting}: entry ${at + 1} is not key=value; separate entries with commas`)
      return [name, percentDecoded(entry.slice(equals + 1).trim())]
    }),
  )
}

function percentDecoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
