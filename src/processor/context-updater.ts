import type { ContextValue } from '../decision/facts.ts'
import type { Timer } from './ports.ts'

/** One record of the context topic, read. `hash` names the entity as inquiries do; `value` null forgets it. */
export type ContextUpdate = { readonly offset: number; readonly hash: string; readonly value: ContextValue | null }

/** A run of one partition of the context topic, from `from` to before `next`. */
export type ContextSlice = {
  readonly partition: number
  readonly from: number
  readonly next: number
  readonly updates: readonly ContextUpdate[]
}

/** Where contexts are kept, with how far each partition was applied; `behind`: less than up to the slice. */
export type ContextStore = {
  readonly positions: () => Promise<{ readonly kind: 'positions'; readonly next: ReadonlyMap<number, number> } | Away>
  readonly apply: (
    run: Omit<ContextSlice, 'from'> & { readonly from: number | null },
  ) => Promise<{ readonly kind: 'applied' } | { readonly kind: 'behind' } | Away>
}

type Away = { readonly kind: 'unavailable' }

/** Gives runs from these offsets on (a partition that is absent: from its beginning) until `signal` aborts. */
export type ContextFeed = (
  from: ReadonlyMap<number, number>,
  accept: (slice: ContextSlice) => Promise<void>,
  signal: AbortSignal,
) => Promise<void>

const RETRY_MS = 500
/** How often is looked whether state still knows what was applied, milliseconds. */
const LOOK_MS = 2000

/**
 * Brings the context topic into state and keeps it there. How far it got is kept with the contexts themselves, so that
 * lost state shows as a position that is behind, upon which it starts over from there. Every process may run one:
 * versions decide, and what another has applied already is passed over.
 */
export async function runContextUpdater(
  store: ContextStore,
  feed: ContextFeed,
  timer: Timer,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const answer = await store.positions()
    if (answer.kind === 'unavailable') {
      await timer.sleep(RETRY_MS, signal)
      continue
    }
    await followFrom(answer.next, store, feed, timer, signal)
  }
}

/** Ends when state turns out to be behind, or with the signal. */
async function followFrom(
  positions: ReadonlyMap<number, number>,
  store: ContextStore,
  feed: ContextFeed,
  timer: Timer,
  signal: AbortSignal,
): Promise<void> {
  const restart = new AbortController()
  const stop = AbortSignal.any([signal, restart.signal])
  const begun = new Set(positions.keys())
  const accept = async (slice: ContextSlice): Promise<void> => {
    const from = begun.has(slice.partition) ? slice.from : null
    while (!stop.aborted) {
      const answer = await store.apply({ ...slice, from })
      if (answer.kind === 'applied') return void begun.add(slice.partition)
      if (answer.kind === 'behind') return restart.abort()
      await timer.sleep(RETRY_MS, stop)
    }
  }
  const looking = lookForLoss(store, begun, restart, timer, stop)
  await feed(positions, accept, stop)
  restart.abort()
  await looking
}

/** State may be lost while nothing new comes that would show it. */
async function lookForLoss(
  store: ContextStore,
  begun: ReadonlySet<number>,
  restart: AbortController,
  timer: Timer,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    await timer.sleep(LOOK_MS, stop)
    const answer = stop.aborted ? null : await store.positions()
    if (answer?.kind !== 'positions') continue
    if ([...begun].some((partition) => !answer.next.has(partition))) restart.abort()
  }
}
