/** One line that is written over and over on standard error, where somebody looks; nothing into a file or a pipe. */
export const progressLine = (line: string): void => void (process.stderr.isTTY && process.stderr.write(`\r${line}`))

export const clearProgress = (): void => void (process.stderr.isTTY && process.stderr.write('\r\u001B[K'))
