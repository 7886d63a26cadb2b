import type { StateStore } from '../processor/ports.ts'
import type { Metrics } from './metrics.ts'

/** The same store, with every round trip timed, refused ones too. `now` in milliseconds. */
export function timedState(store: StateStore, roundTrip: Metrics['stateRoundTrip'], now: () => number): StateStore {
  const timed = async <T>(operation: Parameters<Metrics['stateRoundTrip']>[0], ask: () => Promise<T>): Promise<T> => {
    const start = now()
    try {
      return await ask()
    } finally {
      roundTrip(operation, now() - start)
    }
  }
  return {
    acquire: (...assigned) => timed('acquire', () => store.acquire(...assigned)),
    observe: (ranges, duplicatesMs, longestWindowMs) => {
      const ask = (): ReturnType<StateStore['observe']> => store.observe(ranges, duplicatesMs, longestWindowMs)
      // Without a range there is hardly ever anything to tell, and no round trip then.
      return ranges.length === 0 ? ask() : timed('observe', ask)
    },
    reserve: (ranges) => timed('reserve', () => store.reserve(ranges)),
  }
}
