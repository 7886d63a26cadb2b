/** A command that a page shows after `$ `, and the output it shows. */
export type ShownCommand = { readonly command: string; readonly output: readonly string[] }

/** The texts of the page's blocks fenced as `language`, in order. */
export const blocksOf = (page: string, language: string): readonly string[] =>
  [...page.matchAll(/^```(\S*)\n(.*?)^```$/gms)].filter(([, name]) => name === language).map(([, , text = '']) => text)

/** In a `console` block a line that begins with `$ ` is a command, and what follows is what it prints. */
export function commandsOf(block: string): readonly ShownCommand[] {
  const commands: { readonly command: string; readonly output: string[] }[] = []
  for (const line of block.trimEnd().split('\n')) {
    if (line.startsWith('$ ')) commands.push({ command: line.slice(2), output: [] })
    else if (commands.length === 0) throw new Error(`a console block begins with output: ${line}`)
    else commands.at(-1)?.output.push(line)
  }
  return commands
}

/** A line that is `…` stands for any lines, a `…` within a line for any text; all else must be as it is shown. */
export function patternOf(output: readonly string[]): RegExp {
  const lines = output.map((line) => (line === '…' ? '(?:.*\\n)*' : `${line.split('…').map(escaped).join('.*')}\\n`))
  return new RegExp(`^${lines.join('')}$`)
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
