import type { Request } from './wire/request.ts'

/** PEM texts; an absent `ca` means the system's. `servername` only where the address is not the certificate's name. */
export type KafkaTls = {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
  readonly servername?: string
}

export type KafkaSasl = {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

/**
 * How to reach a cluster. `brokers` are `host:port` to start from; `ssl` null is plain text, `sasl` null is no login.
 * `connect` takes the network's place, for a cluster that is in memory.
 */
export type KafkaConnection = {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly ssl: KafkaTls | null
  readonly sasl: KafkaSasl | null
  readonly connect?: Connect
}

/** Rejects with NoAnswer of kind `connect`, `login` or `timeout`. */
export type Connect = (address: string, settings: KafkaConnection, timeoutMs: number) => Promise<BrokerConnection>

export type BrokerConnection = {
  readonly address: string
  /** Aborts when the connection is over, whoever ended it. */
  readonly closed: AbortSignal
  /** One exchange, one attempt. Rejects with NoAnswer; after a time-out or broken answer the connection is closed. */
  readonly send: <Response>(request: Request<Response>, timeoutMs: number) => Promise<Response>
  readonly close: () => void
}
