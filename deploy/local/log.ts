/** Takes one line of progress for a person to read. */
export type Log = (line: string) => void

export const silent: Log = () => undefined
