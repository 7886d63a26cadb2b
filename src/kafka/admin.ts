import { Kafka, logLevel } from 'kafkajs'
import type { Admin } from 'kafkajs'
import type { KafkaConnection } from './connection.ts'

/**
 * Runs `work` with kafkajs' admin client and closes it. Rejects with kafkajs' error where the cluster cannot be
 * reached within a few seconds, or with what `work` throws.
 */
export async function withAdmin<T>(connection: KafkaConnection, work: (admin: Admin) => Promise<T>): Promise<T> {
  const kafka = new Kafka({
    brokers: [...connection.brokers],
    clientId: connection.clientId,
    ssl: connection.ssl === null ? false : { ...connection.ssl },
    ...(connection.sasl === null ? {} : { sasl: loginOf(connection.sasl) }),
    connectionTimeout: 3000,
    requestTimeout: 10_000,
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50, maxRetryTime: 1000, retries: 5 },
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

/** kafkajs' type ties each mechanism to an object of its own. */
function loginOf({ mechanism, username, password }: NonNullable<KafkaConnection['sasl']>) {
  if (mechanism === 'plain') return { mechanism, username, password }
  if (mechanism === 'scram-sha-256') return { mechanism, username, password }
  return { mechanism, username, password }
}
