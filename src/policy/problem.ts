/** One thing that is wrong in a file, where, and what to do about it. `line` and `column` count from 1, in UTF-16 units. */
export type Problem = {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly message: string
  readonly hint: string
}

/** `file:line:column: message`, and below it what to do. */
export const formatProblem = ({ file, line, column, message, hint }: Problem): string =>
  `${file}:${line}:${column}: ${message}\n  ${hint}`

export const byPosition = (a: Problem, b: Problem): number => a.line - b.line || a.column - b.column
