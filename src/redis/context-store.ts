import type { ContextValue } from '../decision/facts.ts'
import type { Fault } from '../processor/fault.ts'
import type { Connection } from './connection.ts'

/** One record of the context topic. `hash` is what `Inquiry.context` asks with; `value` null for a tombstone. */
export type ContextUpdate = { readonly offset: number; readonly hash: string; readonly value: ContextValue | null }

/** A run of one partition of the context topic; `from` is null where the updater starts over. */
export type ContextRun = {
  readonly partition: number
  readonly from: number | null
  readonly next: number
  readonly updates: readonly ContextUpdate[]
}

export type ContextApplied =
  | { readonly kind: 'applied'; readonly changed: number }
  /** State does not reach to the run: go on from `position`, or start over with `from: null` where it is null. */
  | { readonly kind: 'behind'; readonly position: number | null }
  | { readonly kind: 'unavailable'; readonly fault: Fault }

export type ContextPositions =
  | { readonly kind: 'positions'; readonly next: ReadonlyMap<number, number> }
  | { readonly kind: 'unavailable'; readonly fault: Fault }

/** What is known of entities, kept in Redis with how far the context topic was applied. */
export class RedisContextStore {
  readonly #connection: Connection
  readonly #deadlineMs: number

  constructor(connection: Connection, deadlineMs: number) {
    this.#connection = connection
    this.#deadlineMs = deadlineMs
  }

  /** Applies a run whole or not at all: newer versions replace older ones, equal and older ones change nothing. */
  async apply(run: ContextRun): Promise<ContextApplied> {
    const records = run.updates.flatMap(({ offset, hash, value }) => [
      String(offset),
      hash,
      value === null ? '' : String(value.version),
      value === null ? '' : contextText(value),
    ])
    const head = [String(run.partition), run.from === null ? '' : String(run.from), String(run.next)]
    const answer = await this.#connection.call('put_context', [...head, ...records], this.#deadlineMs)
    if (answer.kind === 'unavailable') return answer
    const [kind, figure] = answer.reply as readonly [string, string | number]
    if (kind === 'applied') return { kind, changed: Number(figure) }
    return { kind: 'behind', position: figure === '' ? null : Number(figure) }
  }

  /** Per partition of the context topic the next offset to apply; a partition that is absent starts over. */
  async positions(): Promise<ContextPositions> {
    const answer = await this.#connection.call('context_positions', [], this.#deadlineMs)
    if (answer.kind === 'unavailable') return answer
    const flat = answer.reply as readonly string[]
    const next = new Map<number, number>()
    for (let i = 0; i + 1 < flat.length; i += 2) next.set(Number(flat[i]), Number(flat[i + 1]))
    return { kind: 'positions', next }
  }
}

/**
 * The version comes first, since `put_context` looks for it there; the rest is what a decision reads. A number that is
 * not finite has no JSON and becomes null.
 */
function contextText({ version, source, time, attributes }: ContextValue): string {
  return JSON.stringify({ version, source, time, attributes })
}
