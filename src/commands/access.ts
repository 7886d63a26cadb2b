import type { Config } from '../config.ts'
import { kafkaConnection } from '../connections.ts'
import type { Access } from '../sdk/index.ts'

/** The SDK's way to the servers that the configuration names. */
export function sdkAccess(config: Config): Access {
  const { brokers, clientId, ssl, sasl } = kafkaConnection(config)
  const { SCHEMA_REGISTRY_USERNAME: username, SCHEMA_REGISTRY_PASSWORD: password } = config
  return {
    kafka: { brokers, clientId, ssl: ssl ?? false, ...(sasl !== null && { sasl }) },
    registry: {
      url: config.SCHEMA_REGISTRY_URL,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
    },
  }
}
