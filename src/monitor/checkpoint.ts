import { readState, stateText } from '../watch/state-text.ts'
import type { Alarm } from '../watch/certificate-watch.ts'
import type { WatchState } from '../watch/watch.ts'

/** Per partition: where to begin reading, and the offset before which all was read already. */
export type Positions = ReadonlyMap<number, { readonly from: number; readonly next: number }>

export type TopicPositions = { readonly executions: Positions; readonly reports: Positions }

/** An alarm and when it was raised, milliseconds since 1970. */
export type Withdrawal = Alarm & { readonly at: number }

/** What `sluice monitor` keeps in Redis: enough to go on, and to show where it stands. Times in milliseconds since 1970. */
export type Checkpoint = {
  readonly state: WatchState
  readonly positions: TopicPositions
  /** Audited executions that are not of full age, by certificate. */
  readonly immature: ReadonlyMap<string, number>
  /** Records that came when their time was counted already; a replay would count them. */
  readonly stragglers: number
  /** Certificates that were executed on and cannot be watched. */
  readonly unwatched: readonly string[]
  /** The latest last. */
  readonly withdrawals: readonly Withdrawal[]
  readonly writtenAt: number
}

/** The state stands in it as a text of its own, so that a replay can be held to its bytes. */
export const checkpointText = (it: Checkpoint): string =>
  JSON.stringify({
    ...it,
    state: stateText(it.state),
    positions: { executions: [...it.positions.executions], reports: [...it.positions.reports] },
    immature: [...it.immature],
  })

/** The text must be one that `checkpointText` wrote. */
export function readCheckpoint(text: string): Checkpoint {
  const it = JSON.parse(text) as Omit<Checkpoint, 'state' | 'unwatched'> & {
    readonly state: string
    readonly positions: { readonly executions: Iterable<Entry>; readonly reports: Iterable<Entry> }
    readonly immature: Iterable<readonly [string, number]>
    readonly unwatched?: readonly string[]
  }
  return {
    ...it,
    // An older release kept none.
    unwatched: it.unwatched ?? [],
    state: readState(it.state),
    positions: { executions: new Map(it.positions.executions), reports: new Map(it.positions.reports) },
    immature: new Map(it.immature),
  }
}

type Entry = readonly [number, { readonly from: number; readonly next: number }]
