import { createHash } from 'node:crypto'

/** SHA-256 of the text in UTF-8, the first 16 bytes in hex. */
export const digestOf = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 32)
