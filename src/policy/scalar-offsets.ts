/** How a YAML scalar is written: what the parser calls its type. */
export type ScalarStyle = 'PLAIN' | 'QUOTE_DOUBLE' | 'QUOTE_SINGLE' | 'BLOCK_LITERAL' | 'BLOCK_FOLDED'

const ESCAPE_LENGTHS: ReadonlyMap<string, number> = new Map([
  ['x', 4],
  ['u', 6],
  ['U', 10],
])

/**
 * For every character of a scalar's value, and its end, the offset in the text where it stands. `from` is the scalar's
 * first character. Line breaks and indentation that YAML removes or folds are stepped over.
 */
export function scalarOffsets(text: string, from: number, style: ScalarStyle, value: string): readonly number[] {
  const offsets: number[] = []
  let at = firstCharacter(text, from, style)
  for (let index = 0; index < value.length; index++) {
    at = stepOver(text, at, style, value[index])
    offsets.push(at)
    at += widthAt(text, at, style, value[index])
  }
  return [...offsets, at]
}

/** A block's header line, with its indicators and perhaps a comment, is no part of the value; nor is a quote. */
function firstCharacter(text: string, from: number, style: ScalarStyle): number {
  if (style === 'BLOCK_LITERAL' || style === 'BLOCK_FOLDED') return text.indexOf('\n', from) + 1 || text.length
  return style === 'PLAIN' ? from : from + 1
}

const isSpace = (character: string | undefined): boolean =>
  character === ' ' || character === '\n' || character === '\r' || character === '\t'

/** Skips white space that is not in the value, and backslashes that continue a line. */
function stepOver(text: string, from: number, style: ScalarStyle, wanted: string | undefined): number {
  let at = from
  while (at < text.length && text[at] !== wanted) {
    if (style === 'QUOTE_DOUBLE' && text[at] === '\\' && isSpace(text[at + 1]) && text[at + 1] !== ' ') at += 2
    else if (isSpace(text[at])) at++
    else break
  }
  return at
}

/** How many characters of the text one character of the value takes; none where a fold made a space out of nothing. */
function widthAt(text: string, at: number, style: ScalarStyle, wanted: string | undefined): number {
  if (style === 'QUOTE_DOUBLE' && text[at] === '\\') return ESCAPE_LENGTHS.get(text[at + 1] ?? '') ?? 2
  if (style === 'QUOTE_SINGLE' && text[at] === "'") return 2
  return text[at] === wanted ? 1 : 0
}
