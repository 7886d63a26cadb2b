import avsc from 'avsc'
import type { Resolver, Schema, Type } from 'avsc'
import type { Fault } from '../processor/fault.ts'
import { createWalk, type Walk } from './bounds.ts'
import type { Kind } from './record-types.ts'
import { schemaIncompatible } from './schema-faults.ts'
import { bundled } from './schemas.ts'

/** A schema as a registry holds it; what it refers to comes first. */
export type SchemaText = { readonly schema: string; readonly references: readonly string[] }

/** How to read what was written with one schema as one of our kinds of record. */
export type Writer = {
  readonly id: number
  readonly walk: Walk
  /** Undefined where the bytes are laid out as ours are. */
  readonly resolver: Resolver | undefined
}

/** The writer for a schema, or why what it writes cannot be read as `kind`. `limitBytes`: of one record's body. */
export function createWriter(kind: Kind, id: number, text: SchemaText, limitBytes: number): Writer | Fault {
  try {
    const { type, text: ours } = bundled(kind)
    const written = text.schema === ours ? type : parseSchema(text)
    if (written.name !== type.name) {
      return schemaIncompatible(id, `it describes \`${written.name ?? written.typeName}\`, not \`${type.name}\``)
    }
    // Equal in Avro's parsing canonical form: the same bytes, whatever docs and defaults say.
    const resolver = written.equals(type) ? undefined : type.createResolver(written)
    return { id, walk: createWalk(written, limitBytes), resolver }
  } catch (error) {
    return schemaIncompatible(id, error instanceof Error ? error.message : String(error))
  }
}

export const isFault = (it: object | number): it is Fault => typeof it === 'object' && 'code' in it

/** Throws where the text is not an Avro schema. */
function parseSchema({ schema, references }: SchemaText): Type {
  const registry = Object.create(null) as Record<string, Type>
  for (const reference of references) avsc.Type.forSchema(JSON.parse(reference) as Schema, { registry })
  return avsc.Type.forSchema(JSON.parse(schema) as Schema, { registry })
}
