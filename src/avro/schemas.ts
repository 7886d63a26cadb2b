import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import avsc from 'avsc'
import type { Schema, Type, types } from 'avsc'
import type { Kind } from './record-types.ts'
import { partsOf, shapeOf } from './shape.ts'

/**
 * One of our own schemas. `text` is self-contained, so each subject can be registered without references.
 * `fingerprint` is SHA-256 of it in hex.
 */
export type Bundled = {
  readonly kind: Kind
  readonly text: string
  readonly fingerprint: string
  readonly type: Type
}

type RecordSchema = {
  readonly type: 'record'
  readonly name: string
  readonly namespace?: string
  readonly fields: readonly { readonly name: string; readonly type: unknown }[]
}

const FILES: Readonly<Record<Kind, string>> = {
  ModelOutput: 'model-output.avsc',
  Verdict: 'verdict.avsc',
  Context: 'context.avsc',
  Outcome: 'outcome.avsc',
  Control: 'control.avsc',
}

const modelOutput = readSchema('ModelOutput')
const verdict = inlineEvent(readSchema('Verdict'))

const SCHEMAS: Readonly<Record<Kind, RecordSchema>> = {
  ModelOutput: modelOutput,
  Verdict: verdict,
  Context: readSchema('Context'),
  Outcome: readSchema('Outcome'),
  Control: readSchema('Control'),
}

const BUNDLED: Readonly<Record<Kind, Bundled>> = {
  ModelOutput: bundle('ModelOutput'),
  Verdict: bundle('Verdict'),
  Context: bundle('Context'),
  Outcome: bundle('Outcome'),
  Control: bundle('Control'),
}

/** The schema this version of Sluice writes and reads `kind` with. */
export const bundled = (kind: Kind): Bundled => BUNDLED[kind]

/** A verdict's encoding is this type's followed by that of its event, since the event is its last field. */
export const VERDICT_HEAD: Type = plainType({ ...verdict, fields: verdict.fields.slice(0, -1) })

/** The subject of a topic's values, by the registry's TopicNameStrategy. */
export const subjectOf = (topic: string): string => `${topic}-value`

function readSchema(kind: Kind): RecordSchema {
  const url = new URL(`../../schemas/${FILES[kind]}`, import.meta.url)
  return JSON.parse(readFileSync(url, 'utf8')) as RecordSchema
}

function inlineEvent(schema: RecordSchema): RecordSchema {
  const fields = schema.fields.map((field) => (field.type === 'ModelOutput' ? { ...field, type: modelOutput } : field))
  return { ...schema, fields }
}

function bundle(kind: Kind): Bundled {
  const text = JSON.stringify(SCHEMAS[kind])
  return { kind, text, fingerprint: hash('sha256', text, 'hex'), type: plainType(SCHEMAS[kind]) }
}

/**
 * An avsc type whose unions decode to bare values and whose records decode to plain objects. avsc makes records with a
 * constructor of its own; with the prototype of plain objects they compare, spread and print like any other value.
 */
function plainType(schema: RecordSchema): Type {
  const made: types.RecordType[] = []
  const type = avsc.Type.forSchema(schema as unknown as Schema, { wrapUnions: 'never', omitRecordMethods: true })
  collectRecords(type, new Set(), made)
  for (const record of made) Object.assign(record.recordConstructor, { prototype: Object.prototype })
  return type
}

function collectRecords(type: Type, seen: Set<Type>, found: types.RecordType[]): void {
  if (seen.has(type)) return
  seen.add(type)
  if (type.typeName === 'record') found.push(type as types.RecordType)
  for (const part of partsOf(shapeOf(type))) collectRecords(part, seen, found)
}
