import type { Fault } from '../processor/fault.ts'

/** What can be wrong with the schema a record names by its id. */

export const schemaUnknown = (id: number): Fault => ({
  code: 'schema.unknown',
  detail: `the registry does not know schema id ${id}`,
  retry: false,
})

export const schemaForeign = (id: number, subjects: readonly string[]): Fault => ({
  code: 'schema.foreign',
  detail: `schema id ${id} is not registered under ${quoted(subjects)}`,
  retry: false,
})

export const schemaIncompatible = (id: number, reason: string): Fault => ({
  code: 'schema.incompatible',
  detail: `schema id ${id} cannot be read: ${reason}`,
  retry: false,
})

export const schemaUnresolved = (id: number, reason: string): Fault => ({
  code: 'schema.unresolved',
  detail: `schema id ${id} is not known yet and the registry did not answer: ${reason}`,
  retry: true,
})

export const quoted = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ')
