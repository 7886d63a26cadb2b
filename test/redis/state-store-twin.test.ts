import { BACKLOG_EVENTS } from '../conformance/state-caller.ts'
import { stateStoreConformance } from '../conformance/state-store.ts'
import { StateStoreTwin } from '../twins/state-store.ts'

stateStoreConformance('the twin in memory', async () => {
  let now = 1_700_000_000_000
  const store = new StateStoreTwin(() => now, 'model.outputs', BACKLOG_EVENTS)
  return {
    store,
    advance: async (ms) => void (now += ms),
    flush: async () => store.flush(),
    putContext: async (hash, value) => store.putContext(hash, value),
    away: async () => void (store.reach = 'away'),
    back: async () => void (store.reach = 'there'),
    loseNextReply: async () => void (store.reach = 'deaf'),
    close: async () => undefined,
  }
})
