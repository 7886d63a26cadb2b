/** A label and its text; a row without a label belongs to the one above. */
export type Row = readonly [label: string, text: string]
export type Section = { readonly heading: string | null; readonly rows: readonly Row[] }

const WIDTH = 100
const LABEL_WIDTH = 14

/** A page of headed sections in two columns, at most 100 wide, ending with a line break. */
export function renderSections(title: string, sections: readonly Section[]): string {
  const lines = wrap(printable(title), WIDTH)
  for (const { heading, rows } of sections) {
    lines.push('')
    if (heading !== null) lines.push(heading)
    for (const row of rows) lines.push(...renderRow(row))
  }
  return `${lines.join('\n')}\n`
}

function renderRow([label, text]: Row): readonly string[] {
  const wrapped = wrap(printable(text), WIDTH - LABEL_WIDTH)
  return wrapped.map((line, at) => `${(at === 0 ? `  ${label}` : '').padEnd(LABEL_WIDTH)}${line}`.trimEnd())
}

/** Breaks between words, and within those that are wider than a line. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ').flatMap((it) => pieces(it, width))) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

function pieces(word: string, width: number): readonly string[] {
  const parts: string[] = []
  for (let from = 0; from < word.length; from += width) parts.push(word.slice(from, from + width))
  return parts
}

/**
 * Text from outside must not move the cursor, colour or reorder the terminal's text: control and format characters are
 * written as escapes.
 */
const printable = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (it) => `\\u{${(it.codePointAt(0) ?? 0).toString(16)}}`)
