/** Every way a record can be unreadable or a dependency not fine, and what it means. Public API: header, metric label. */
export const FAULTS = {
  'record.tombstone': 'the record has no value',
  'record.oversized': 'the value is larger than the configured limit',
  'record.magic': 'the value does not start with the Confluent wire format’s magic byte 0',
  'record.too_short': 'the value ends before the schema id does',
  'record.truncated': 'the value ends before its Avro body does',
  'record.trailing_bytes': 'bytes follow the end of the Avro body',
  'record.bounds': 'a length, block count or nesting in the Avro body is beyond what its size allows',
  'record.malformed': 'the Avro body does not follow its schema',
  'record.poison': 'processes that read the record died, three in a row, so it was set aside unread',
  'record.failed': 'an error in Sluice kept the record from being decided; report it',
  'schema.unknown': 'the registry does not know the schema id',
  'schema.foreign': 'the schema id belongs to a subject that is not allowed on this topic',
  'schema.incompatible': 'the writer’s schema cannot be resolved to ours',
  'schema.unresolved': 'the registry could not be reached, and the schema id is not known yet',
  'verdict.oversized': 'the verdict is larger than the output topic takes',
  'verdict.malformed': 'the verdict holds a value that its schema has no form for',
  'state.unavailable': 'Redis did not answer in time',
} as const satisfies Record<string, string>

export type FaultCode = keyof typeof FAULTS

/** A record or a dependency is not fine. A value, not an exception. `retry`: the same attempt may succeed later. */
export type Fault = {
  readonly code: FaultCode
  readonly detail: string
  readonly retry: boolean
  readonly cause?: unknown
}
