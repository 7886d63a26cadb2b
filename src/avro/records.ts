import type { Fault } from '../processor/fault.ts'
import type { ModelOutput } from '../decision/event.ts'
import { readModelOutput } from './model-output.ts'
import type { Kind, RecordOf } from './record-types.ts'
import type { Registry, Writers } from './registry.ts'
import { bundled, subjectOf } from './schemas.ts'
import { createEncode, fault, HEADER_BYTES, schemaIdOf } from './wire.ts'
import { isFault, type Writer } from './writer.ts'

/** A record's value, or why it cannot be read. */
export type Read<T> =
  | { readonly kind: 'value'; readonly value: T; readonly schemaId: number }
  | { readonly kind: 'fault'; readonly fault: Fault }

/** Reads a value in the wire format; at once where its schema is known. Never throws or rejects. */
export type Reader<T> = (value: Buffer | null) => Read<T> | Promise<Read<T>>

/** Reads one kind of record, whichever of the allowed schemas it was written with. `maxBytes`: of the whole value. */
export function createReader<K extends Kind>(kind: K, writers: Writers, maxBytes: number): Reader<RecordOf[K]> {
  const read = (value: Buffer, writer: Writer | Fault): Read<RecordOf[K]> =>
    isFault(writer) ? { kind: 'fault', fault: writer } : readBody(kind, value, writer)
  return (value) => {
    if (value === null) return faulty('record.tombstone', 'the record has no value')
    const schemaId = schemaIdOf(value, maxBytes)
    if (typeof schemaId !== 'number') return { kind: 'fault', fault: schemaId }
    const writer = writers.find(schemaId)
    if (writer !== undefined) return read(value, writer)
    return writers.resolve(schemaId).then((resolved) => read(value, resolved))
  }
}

/** Most records are events that are plainly right; these are read in one pass. Null: read them the other way. */
function readPlain(kind: Kind, value: Buffer, { resolver, id }: Writer): Read<ModelOutput> | null {
  if (kind !== 'ModelOutput' || resolver !== undefined) return null
  const event = readModelOutput(value, HEADER_BYTES)
  return event === null ? null : { kind: 'value', value: event, schemaId: id }
}

function readBody<K extends Kind>(kind: K, value: Buffer, writer: Writer): Read<RecordOf[K]> {
  const plain = readPlain(kind, value, writer)
  if (plain !== null) return plain as Read<RecordOf[K]>
  const end = writer.walk(value, HEADER_BYTES)
  if (typeof end !== 'number') return faulty(end.code, end.detail)
  if (end < value.length) {
    return faulty('record.trailing_bytes', `${value.length - end} bytes follow the end of the Avro body`)
  }
  try {
    const decoded = bundled(kind).type.decode(value, HEADER_BYTES, writer.resolver)
    return { kind: 'value', value: decoded.value as RecordOf[K], schemaId: writer.id }
  } catch (error) {
    // What the walk lets pass and avsc does not: a 64-bit number that a double cannot hold.
    return faulty('record.malformed', error instanceof Error ? error.message : String(error))
  }
}

const faulty = (code: Fault['code'], detail: string): { readonly kind: 'fault'; readonly fault: Fault } => ({
  kind: 'fault',
  fault: fault(code, detail),
})

/** Writes one kind of record. Throws InvalidRecord on a value that the schema does not take. */
export function createWrite<K extends Kind>(kind: K): (schemaId: number, value: RecordOf[K]) => Buffer {
  const encode = createEncode(bundled(kind).type, kind)
  return (schemaId, value) => encode(schemaId, storable(kind, value), null)
}

/** avsc takes a Buffer where the types say bytes. */
function storable<K extends Kind>(kind: K, value: RecordOf[K]): unknown {
  if (kind === 'ModelOutput') return withBuffer(value as RecordOf['ModelOutput'])
  if (kind !== 'Verdict') return value
  const verdict = value as RecordOf['Verdict']
  return { ...verdict, event: withBuffer(verdict.event) }
}

function withBuffer(event: RecordOf['ModelOutput']): RecordOf['ModelOutput'] {
  const { payload } = event
  if (!(payload instanceof Uint8Array) || Buffer.isBuffer(payload)) return event
  return { ...event, payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength) }
}

/** Every kind of record on any topic, for those who are not in a hurry. */
export type Records = {
  /** Rejects with SchemaUnavailable while the topic's schema id is not known, with InvalidRecord on a wrong value. */
  readonly encode: <K extends Kind>(kind: K, topic: string, value: RecordOf[K]) => Promise<Buffer>
  /** At once where the schema is known. */
  readonly decode: <K extends Kind>(
    kind: K,
    topic: string,
    value: Buffer | null,
  ) => Read<RecordOf[K]> | Promise<Read<RecordOf[K]>>
}

/** The schema id to write with is not known; `fault` says why, and whether waiting helps. */
export class SchemaUnavailable extends Error {
  readonly fault: Fault

  constructor(fault: Fault) {
    super(fault.detail)
    this.name = 'SchemaUnavailable'
    this.fault = fault
  }
}

/** As large as the largest value that any setting lets an event or a verdict have: for who reads what others have written. */
export const MAX_RECORD_BYTES = 33_554_432

/** `maxBytes`: a larger value is not read. */
export function createRecords(registry: Registry, maxBytes: number): Records {
  const ids = new Map<string, number>()
  const readers = new Map<string, Reader<unknown>>()
  const idOf = async (kind: Kind, topic: string) => {
    const known = ids.get(`${kind} ${topic}`)
    if (known !== undefined) return known
    const id = await registry.idOf(kind, subjectOf(topic))
    if (isFault(id)) throw new SchemaUnavailable(id)
    ids.set(`${kind} ${topic}`, id)
    return id
  }
  const readerOf = <K extends Kind>(kind: K, topic: string): Reader<RecordOf[K]> => {
    const known = readers.get(`${kind} ${topic}`)
    if (known !== undefined) return known as Reader<RecordOf[K]>
    const reader = createReader(kind, registry.writers(kind, [subjectOf(topic)], maxBytes), maxBytes)
    readers.set(`${kind} ${topic}`, reader)
    return reader
  }
  return {
    encode: async (kind, topic, value) => createWrite(kind)(await idOf(kind, topic), value),
    decode: (kind, topic, value) => readerOf(kind, topic)(value),
  }
}
