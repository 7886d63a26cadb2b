import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** The function library under the name it is loaded with: a digest of its text, so that releases run side by side. */
export type Library = { readonly version: string; readonly code: string }

export type FunctionName =
  | 'probe'
  | 'acquire'
  | 'remind'
  | 'observe'
  | 'reserve'
  | 'begin_attempts'
  | 'begin_reading'
  | 'end_attempts'
  | 'claim_rebuild'
  | 'restore'
  | 'finish_rebuild'
  | 'put_context'
  | 'context_positions'

/** The library of this release. */
export const readLibrary = (): Library => libraryOf(readFileSync(new URL('./sluice.lua', import.meta.url), 'utf8'))

export function libraryOf(text: string): Library {
  const version = createHash('sha256').update(text).digest('hex').slice(0, 12)
  return { version, code: text.replaceAll('sluice_VERSION', `sluice_${version}`) }
}
