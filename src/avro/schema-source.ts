import type { Fault } from '../processor/fault.ts'
import { isObject, type Answer, type RegistryHttp } from './registry-http.ts'
import { quoted, schemaForeign, schemaIncompatible, schemaUnknown, schemaUnresolved } from './schema-faults.ts'
import { isFault, type SchemaText } from './writer.ts'

/** A schema and the allowed subject it is registered under. */
export type Found = { readonly text: SchemaText; readonly subject: string }

const REFERENCES_MAX = 64

/** Fetches schemas by id, with all they refer to. */
export class SchemaSource {
  private readonly http: RegistryHttp

  constructor(http: RegistryHttp) {
    this.http = http
  }

  /** The schema with this id, if it is registered under one of the subjects. */
  async fetch(id: number, subjects: readonly string[]): Promise<Found | Fault> {
    const found = await this.fetchSchema(id)
    if (isFault(found)) return found
    for (const subject of subjects) {
      // Asking for the schema under the subject is the one way every registry knows; `deleted`, since a soft-deleted
      // version is still what records were written with.
      const path = `/subjects/${encodeURIComponent(subject)}?deleted=true`
      const answer = await this.http.send('POST', path, found.lookup)
      if (answer.kind === 'ok') return { text: found.text, subject }
      if (answer.kind !== 'absent') return schemaUnresolved(id, reasonOf(answer))
    }
    return schemaForeign(id, subjects)
  }

  private async fetchSchema(id: number): Promise<Looked | Fault> {
    const answer = await this.http.send('GET', `/schemas/ids/${id}`)
    if (answer.kind === 'absent') return schemaUnknown(id)
    if (answer.kind !== 'ok') return schemaUnresolved(id, reasonOf(answer))
    const body = parseSchemaAnswer(answer.body)
    if (body === null) return schemaUnresolved(id, 'its answer cannot be understood')
    if (body.schemaType !== 'AVRO') return schemaIncompatible(id, `it is a ${body.schemaType} schema, not Avro`)
    const references: string[] = []
    const failure = await this.fetchReferences(id, body.references, references, new Set())
    if (failure !== null) return failure
    const lookup = { schema: body.schema, ...(body.references.length > 0 ? { references: body.references } : {}) }
    return { text: { schema: body.schema, references }, lookup }
  }

  /** Adds what the references refer to, innermost first, each once. */
  private async fetchReferences(
    id: number,
    references: readonly Reference[],
    into: string[],
    seen: Set<string>,
  ): Promise<Fault | null> {
    for (const { subject, version } of references) {
      const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}?deleted=true`
      if (seen.has(path)) continue
      seen.add(path)
      if (seen.size > REFERENCES_MAX) return schemaIncompatible(id, `it has more than ${REFERENCES_MAX} references`)
      const answer = await this.http.send('GET', path)
      const body = answer.kind === 'ok' ? parseSchemaAnswer(answer.body) : null
      if (answer.kind === 'absent') return schemaIncompatible(id, `it refers to ${quoted([path])}, which is not there`)
      if (body === null) return schemaUnresolved(id, reasonOf(answer))
      const failure = await this.fetchReferences(id, body.references, into, seen)
      if (failure !== null) return failure
      into.push(body.schema)
    }
    return null
  }
}

/** `lookup`: what to ask a subject with, whether it has this schema. */
type Looked = { readonly text: SchemaText; readonly lookup: unknown }

/** Why an answer does not help, as the end of a sentence. */
export function reasonOf(answer: Answer): string {
  switch (answer.kind) {
    case 'failed':
      return answer.reason
    case 'refused':
      return `HTTP ${answer.status}: ${answer.message}`
    case 'absent':
      return `it does not have it (error code ${answer.code})`
    default:
      return 'its answer cannot be understood'
  }
}

type Reference = { readonly name: string; readonly subject: string; readonly version: number }
type SchemaAnswer = {
  readonly schema: string
  readonly schemaType: string
  readonly references: readonly Reference[]
}

function parseSchemaAnswer(body: unknown): SchemaAnswer | null {
  if (!isObject(body) || typeof body['schema'] !== 'string') return null
  const { schema, schemaType, references } = body
  const list = Array.isArray(references) ? references.filter(isReference) : []
  return { schema, schemaType: typeof schemaType === 'string' ? schemaType : 'AVRO', references: list }
}

const isReference = (it: unknown): it is Reference =>
  isObject(it) &&
  typeof it['name'] === 'string' &&
  typeof it['subject'] === 'string' &&
  typeof it['version'] === 'number'
