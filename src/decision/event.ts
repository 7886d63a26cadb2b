/** A value producers and context writers may attach. Integers travel as doubles. */
export type AttributeValue = boolean | number | string | null

/** Names and values as sent. A plain object: look names up with Object.hasOwn, since a name may be `constructor`. */
export type Attributes = Readonly<Record<string, AttributeValue>>

/** What a model proposes to do; the fields of schemas/model-output.avsc. All times are milliseconds since 1970. */
export type ModelOutput = {
  readonly id: string
  readonly source: string
  readonly tenant: string
  readonly time: number
  readonly expiresAt: number | null
  readonly model: { readonly name: string; readonly version: string }
  readonly action: string
  readonly subject: { readonly type: string; readonly id: string; readonly owner: string | null }
  readonly actor: string | null
  /** The model's own score as sent: may be absent, NaN, infinite or out of range. */
  readonly confidence: number | null
  readonly scoreKind: string
  readonly attributes: Attributes
  readonly payload: Uint8Array | null
}

/** Where a record lay in the input, and what it was. `digest` is SHA-256 of the Avro body, first 16 bytes in hex. */
export type SourcePosition = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** The record's time in the input topic, milliseconds since 1970. */
  readonly timestamp: number
  readonly keyed: boolean
  readonly schemaId: number
  readonly digest: string
}

/** An event as it was received: readable, but not yet judged. */
export type Received = { readonly event: ModelOutput; readonly source: SourcePosition }
