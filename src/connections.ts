import { readFileSync } from 'node:fs'
import { ConfigError } from './config.ts'
import type { Config } from './config.ts'
import type { RegistryOptions } from './avro/registry.ts'
import { REGISTRY_DEFAULTS } from './avro/registry.ts'
import type { KafkaConnection } from './kafka/connection.ts'
import type { TopicNames } from './kafka/topics.ts'
import type { OtlpConfig, ServiceConfig } from './telemetry/otlp.ts'
import { VERSION } from './version.ts'

/** How to reach Kafka, with the certificate files read. Throws ConfigError naming those that cannot be. */
export function kafkaConnection(config: Config): KafkaConnection {
  return { brokers: config.KAFKA_BROKERS, clientId: config.KAFKA_CLIENT_ID, ssl: tlsOf(config), sasl: saslOf(config) }
}

function tlsOf(config: Config): KafkaConnection['ssl'] {
  if (!config.KAFKA_SSL) return null
  const problems: string[] = []
  const pem = (name: 'KAFKA_SSL_CA' | 'KAFKA_SSL_CERT' | 'KAFKA_SSL_KEY'): string | undefined => {
    const path = config[name]
    if (path === undefined) return undefined
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      problems.push(`${name}: cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`)
      return undefined
    }
  }
  const [ca, cert, key] = [pem('KAFKA_SSL_CA'), pem('KAFKA_SSL_CERT'), pem('KAFKA_SSL_KEY')]
  if (problems.length > 0) throw new ConfigError(problems)
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) }
}

function saslOf(config: Config): KafkaConnection['sasl'] {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = config
  if (mechanism === undefined || username === undefined || password === undefined) return null
  return { mechanism, username, password }
}

export const topicNames = (config: Config): TopicNames => ({
  input: config.TOPIC_INPUT,
  execute: config.TOPIC_EXECUTE,
  review: config.TOPIC_REVIEW,
  reject: config.TOPIC_REJECT,
  deadLetters: config.TOPIC_DEAD_LETTERS,
  context: config.TOPIC_CONTEXT,
  control: config.TOPIC_CONTROL,
  policies: config.TOPIC_POLICIES,
  outcomes: config.TOPIC_OUTCOMES,
})

export function registryOptions(config: Config, onProblem: (problem: string) => void): RegistryOptions {
  const { SCHEMA_REGISTRY_URL: url, SCHEMA_REGISTRY_USERNAME: username, SCHEMA_REGISTRY_PASSWORD: password } = config
  const { failuresMax, openMs } = REGISTRY_DEFAULTS.breaker
  return {
    ...REGISTRY_DEFAULTS,
    // A registry that is back within the patience must have been asked again before it is over.
    breaker: { failuresMax, openMs: Math.min(openMs, config.SCHEMA_REGISTRY_PATIENCE_MS / 4) },
    address: { url, credentials: username === undefined ? null : { username, password: password ?? '' } },
    timeoutMs: config.SCHEMA_REGISTRY_TIMEOUT_MS,
    cacheFile: config.SCHEMA_CACHE,
    onProblem,
  }
}

export const otlpConfig = (config: Config): OtlpConfig => ({
  endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
  protocol: config.OTEL_EXPORTER_OTLP_PROTOCOL,
  headers: config.OTEL_EXPORTER_OTLP_HEADERS ?? null,
})

export const serviceConfig = (config: Config): ServiceConfig => ({
  serviceName: config.OTEL_SERVICE_NAME,
  serviceVersion: VERSION,
  resourceAttributes: config.OTEL_RESOURCE_ATTRIBUTES ?? null,
})
