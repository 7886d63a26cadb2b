import { list, text, type Reader } from './fields.ts'
import { sentence, suggestion } from './nearest.ts'
import type { Source } from './source.ts'

/** A part of the policy with the place where it is written, for checks across parts. */
export type Placed<T> = { readonly value: T; readonly offset: number }

const ID = /^[a-z][a-z0-9_-]*$/u
const ID_HINT = 'Start with a small letter, then small letters, digits, `-` and `_`, at most 64.'

/** The id of a policy, limit or rule. */
export const id = text({ pattern: ID, max: 64, hint: ID_HINT })

/** A name that conditions can write after a dot; the words are CEL's own. */
const IDENTIFIER =
  /^(?!(?:as|break|const|continue|else|false|for|function|if|import|in|let|loop|package|namespace|null|return|true|var|void|while)$)[a-z][A-Za-z0-9_]*$/u

/** Reports a name that conditions could not write. */
export function isIdentifier(source: Source, name: string, offset: number): boolean {
  if (IDENTIFIER.test(name) && name.length <= 64) return true
  source.report(
    offset,
    `\`${name}\` cannot be a name`,
    'Start with a small letter, then letters, digits and `_`; no word of CEL.',
  )
  return false
}

const actionName = text({ max: 128, hint: 'Write the name of an action of this policy.' })

/** Names of actions the policy knows; null for every action. */
export const actionFilter =
  (known: ReadonlySet<string>): Reader<ReadonlySet<string>> =>
  (source, value) => {
    const named = new Set<string>()
    const read: Reader<string> = (source, item) => {
      const name = actionName(source, item)
      if (name === undefined) return undefined
      if (named.has(name)) return source.report(item.offset, `\`${name}\` is named twice`, 'Keep one.')
      named.add(name)
      return known.has(name)
        ? name
        : source.report(item.offset, `there is no action \`${name}\``, sentence(suggestion(name, known)))
    }
    const names = list(read, { min: 1, max: 500 })(source, value)
    return names === undefined ? undefined : new Set(names)
  }
