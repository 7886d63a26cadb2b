import { readFile, stat } from 'node:fs/promises'
import { MAX_CHARACTERS } from './source.ts'
import type { Problem } from './problem.ts'

/** `missing`: the file cannot be read at all; `problems`: it is no text. */
export type ReadText =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'missing'; readonly why: string }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['EISDIR', 'it is a folder'],
  ['EACCES', 'this user may not read it'],
])

/** The text of a UTF-8 file. Never throws. */
export async function readText(file: string): Promise<ReadText> {
  try {
    const { size } = await stat(file)
    if (size > 4 * MAX_CHARACTERS)
      return problem(file, `the file has ${size} bytes`, 'That is no policy or calibration.')
    return decode(file, await readFile(file))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    return { kind: 'missing', why: REASONS.get(code) ?? `it cannot be read (${code})` }
  }
}

function decode(file: string, bytes: Buffer): ReadText {
  try {
    return { kind: 'text', text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch {
    return problem(file, 'the file is not UTF-8', 'Save it with the encoding UTF-8.')
  }
}

const problem = (file: string, message: string, hint: string): ReadText => ({
  kind: 'problems',
  problems: [{ file, line: 1, column: 1, message, hint }],
})
