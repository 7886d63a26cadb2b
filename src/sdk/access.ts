import { createRecords, MAX_RECORD_BYTES } from '../avro/records.ts'
import type { Records } from '../avro/records.ts'
import { openRegistry, REGISTRY_DEFAULTS } from '../avro/registry.ts'
import type { KafkaConnection, KafkaSasl, KafkaTls } from '../kafka/connection.ts'

/** How to reach Kafka. `ssl` true trusts what Node trusts. */
export type KafkaAccess = {
  readonly brokers: readonly string[]
  readonly clientId?: string
  readonly ssl?: KafkaTls | boolean
  readonly sasl?: KafkaSasl
}

/** How to reach the schema registry. `cacheFile` remembers schemas, so that a start without the registry works. */
export type RegistryAccess = {
  readonly url: string
  readonly username?: string
  readonly password?: string
  readonly timeoutMs?: number
  readonly cacheFile?: string
}

export type Access = { readonly kafka: KafkaAccess; readonly registry: RegistryAccess }

export const connectionOf = ({ brokers, clientId, ssl, sasl }: KafkaAccess): KafkaConnection => ({
  brokers,
  clientId: clientId ?? 'sluice-sdk',
  ssl: tlsOf(ssl),
  sasl: sasl ?? null,
})

function tlsOf(ssl: KafkaAccess['ssl']): KafkaTls | null {
  if (ssl === undefined || ssl === false) return null
  return ssl === true ? {} : ssl
}

/** Asks the registry for nothing yet; never rejects. */
export async function openRecords(access: RegistryAccess): Promise<Records> {
  const { url, username, password, timeoutMs, cacheFile } = access
  const registry = await openRegistry({
    ...REGISTRY_DEFAULTS,
    address: { url, credentials: username === undefined ? null : { username, password: password ?? '' } },
    timeoutMs: timeoutMs ?? REGISTRY_DEFAULTS.timeoutMs,
    cacheFile: cacheFile ?? null,
  })
  return createRecords(registry, MAX_RECORD_BYTES)
}
