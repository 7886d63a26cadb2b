/** One counter to read, and for proposal limits to count. `key` is a hash, safe as part of a Redis key. */
export type CounterInquiry = {
  readonly limit: string
  readonly count: 'proposals' | 'executions'
  readonly key: string
  readonly max: number
  readonly windowMs: number
}

/** What one decision needs to know before it can be made; see `inquire`. */
export type Inquiry = {
  readonly offset: number
  /** 16 bytes in hex, from tenant, source and event id. */
  readonly actionKey: string
  /** Digest of the payload, to tell a repeat from a conflict. */
  readonly digest: string
  readonly counters: readonly CounterInquiry[]
  /** `hash` is a hash of `key`, safe as part of a Redis key; both null when the event does not name the entity. */
  readonly context: readonly { readonly name: string; readonly key: string | null; readonly hash: string | null }[]
}
