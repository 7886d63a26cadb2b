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

/** How to reach a cluster. `brokers` are `host:port` to start from; `ssl` null is plain text, `sasl` null is no login. */
export type KafkaConnection = {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly ssl: KafkaTls | null
  readonly sasl: KafkaSasl | null
}
