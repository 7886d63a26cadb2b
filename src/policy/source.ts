import { isAlias, isNode, LineCounter, parseDocument, visit, type Document, type ErrorCode, type Node } from 'yaml'
import { lowerFirst } from './nearest.ts'
import { byPosition, type Problem } from './problem.ts'

/** A policy travels in a record of its own, next to verdicts, so it must stay well below Kafka's 1 MB. */
export const MAX_CHARACTERS = 256 * 1024
const MAX_PROBLEMS = 100

/** The text of one file while it is read: where things are, and what was found wrong so far. */
export class Source {
  readonly text: string
  readonly #file: string
  readonly #lines: LineCounter
  readonly #problems: Problem[] = []

  constructor(text: string, file: string, lines: LineCounter) {
    this.text = text
    this.#file = file
    this.#lines = lines
  }

  lineOf(offset: number): number {
    return this.#lines.linePos(offset).line
  }

  /** Always returns undefined, so that a reader can report and be done in one statement. */
  report(at: number | Node, message: string, hint: string): undefined {
    const { line, col } = this.#lines.linePos(typeof at === 'number' ? at : startOf(at))
    this.#problems.push({ file: this.#file, line: Math.max(line, 1), column: Math.max(col, 1), message, hint })
    return undefined
  }

  get problems(): readonly Problem[] {
    return this.#problems.toSorted(byPosition).slice(0, MAX_PROBLEMS)
  }
}

export const startOf = (node: Node): number => node.range?.[0] ?? 0

export type Parsed =
  | { readonly kind: 'parsed'; readonly source: Source; readonly root: Node }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }

/** YAML 1.2, one document, without aliases, anchors, merge keys or tags. JSON is YAML, so this reads it too. */
export function parseSource(text: string, file: string): Parsed {
  const unfit = unfitText(text, file)
  if (unfit !== null) return { kind: 'problems', problems: [unfit] }
  const lines = new LineCounter()
  const source = new Source(text, file, lines)
  const document = parseQuietly(text, lines)
  if (document === null || document.errors.some(({ code }) => code === 'RESOURCE_EXHAUSTION')) {
    source.report(0, 'the file is nested too deeply to be read', 'No setting needs more than a few levels.')
    return { kind: 'problems', problems: source.problems }
  }
  reportSyntax(source, document)
  if (source.problems.length > 0) return { kind: 'problems', problems: source.problems }
  if (!isNode(document.contents)) {
    source.report(0, 'the file is empty', 'See deploy/policies/ for an example.')
    return { kind: 'problems', problems: source.problems }
  }
  return { kind: 'parsed', source, root: document.contents }
}

function unfitText(text: string, file: string): Problem | null {
  const start = { file, line: 1, column: 1 }
  if (text.length > MAX_CHARACTERS)
    return {
      ...start,
      message: `the file has ${text.length} characters; ${MAX_CHARACTERS} is the most`,
      hint: 'Split it, or move lists of entities into context.',
    }
  if (!text.isWellFormed()) return { ...start, message: 'the file is not valid Unicode', hint: 'Save it as UTF-8.' }
  return null
}

/** Duplicate keys are found by our own readers: the parser's check takes quadratic time. */
function parseQuietly(text: string, lineCounter: LineCounter): Document.Parsed | null {
  try {
    return parseDocument(text, {
      lineCounter,
      uniqueKeys: false,
      stringKeys: true,
      prettyErrors: false,
      logLevel: 'error',
      resolveKnownTags: false,
    })
  } catch {
    return null
  }
}

const SYNTAX_HINTS: ReadonlyMap<ErrorCode, string> = new Map([
  ['TAB_AS_INDENT', 'Indent with spaces.'],
  ['MULTIPLE_DOCS', 'One file holds one document: remove what follows `---`.'],
  ['BAD_INDENT', 'Indent the lines of one block equally, with spaces.'],
  ['BAD_DQ_ESCAPE', 'In double quotes a backslash is written as `\\\\`; single quotes take it as it is.'],
  ['MISSING_CHAR', 'A quote, bracket or comma is missing, here or shortly before.'],
  ['MULTILINE_IMPLICIT_KEY', 'A text with `: ` in it needs quotes, or a block that starts with `|`.'],
  ['BLOCK_AS_IMPLICIT_KEY', 'A text with `: ` in it needs quotes, or a block that starts with `|`.'],
  ['UNEXPECTED_TOKEN', 'A text that starts with a quote or has `: ` in it goes into a block that starts with `|`.'],
  ['BAD_SCALAR_START', 'A text that starts with a special character needs quotes.'],
])
const TAG_HINT = 'A text that starts with `!` needs quotes, or a block that starts with `|`; tags are not used here.'

const SYNTAX_MESSAGES: ReadonlyMap<ErrorCode, string> = new Map([
  ['MULTIPLE_DOCS', 'the file holds more than one document'],
  ['NON_STRING_KEY', 'a key must be a text'],
])

function reportSyntax(source: Source, document: Document.Parsed): void {
  const errors = [...document.errors, ...document.warnings]
  for (const { pos, code, message } of errors) {
    const hint = code === 'TAG_RESOLVE_FAILED' ? TAG_HINT : SYNTAX_HINTS.get(code)
    const words = SYNTAX_MESSAGES.get(code) ?? `this is not valid YAML: ${lowerFirst(message)}`
    source.report(pos[0], words, hint ?? 'Check the lines around it.')
  }
  if (errors.length === 0) visit(document, { Node: (_key, node) => reportIndirection(source, node) })
}

function reportIndirection(source: Source, node: Node): void {
  if (isAlias(node)) source.report(node, `\`*${node.source}\` refers to another place`, 'Write the value out here.')
  else if ('anchor' in node && node.anchor !== undefined)
    source.report(node, `the anchor \`&${node.anchor}\` is not used here`, 'Write the value out wherever it is needed.')
}
