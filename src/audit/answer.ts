import type { ModelOutput } from '../decision/event.ts'
import type { Verdict } from '../decision/verdict.ts'
import type { Rulebook } from '../processor/ports.ts'

/** A record of the input, read anew. `event` null: it cannot be read. Digests: SHA-256, first 16 bytes in hex. */
export type InputEvent = {
  readonly offset: number
  readonly timestamp: number
  readonly keyed: boolean
  readonly event: ModelOutput | null
  /** Of the Avro body. */
  readonly bodyDigest: string
  /** Of the whole value; empty for none. */
  readonly valueDigest: string
}

/** `route`: that of the topic it lay in. `rulebook` null: what it names is not published. */
export type VerdictAnswer = {
  readonly kind: 'verdict'
  readonly offset: number
  readonly verdict: Verdict
  readonly route: Verdict['route']
  readonly timestamp: number
  readonly rulebook: Rulebook | null
}

export type DeadLetterAnswer = { readonly kind: 'deadLetter'; readonly offset: number; readonly valueDigest: string }

/** What an output record says of one event of the input; `unreadable`: whose it is can be told, and nothing else. */
export type Answer =
  | VerdictAnswer
  | DeadLetterAnswer
  | { readonly kind: 'unreadable'; readonly offset: number; readonly why: string }
