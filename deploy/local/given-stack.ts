import { openTraceServer } from './traces/server.ts'
import type { Stack } from './stack.ts'
import { StackError } from './stack-error.ts'

const NAMES = ['KAFKA_BROKERS', 'SCHEMA_REGISTRY_URL', 'REDIS_URL'] as const

const valueOf = (name: string): string => process.env[name]?.trim() ?? ''

/** Whether the environment names a server; a part of them is a mistake that givenStack reports. */
export const isGiven = (): boolean => NAMES.some((name) => valueOf(name) !== '')

/** The servers the environment names. Traces go to its collector, or to a page of our own when it names none. */
export async function givenStack(): Promise<Stack> {
  const missing = NAMES.filter((name) => valueOf(name) === '')
  if (missing.length > 0)
    throw new StackError(
      `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} not set: give ${NAMES.join(', ')} together, or none of them`,
    )
  const endpoint = valueOf('OTEL_EXPORTER_OTLP_ENDPOINT')
  const own = endpoint === '' ? await openTraceServer({ host: '127.0.0.1', port: 0, maxTraces: 2000 }) : null
  return {
    kind: 'given',
    brokers: valueOf('KAFKA_BROKERS')
      .split(',')
      .map((it) => it.trim()),
    registry: valueOf('SCHEMA_REGISTRY_URL'),
    redis: valueOf('REDIS_URL'),
    otlp: own?.url ?? endpoint,
    traces: own?.url ?? null,
    close: async () => own?.close(),
  }
}
