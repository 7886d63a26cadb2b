import { setTimeout as delay } from 'node:timers/promises'
import type { Timer } from './processor/ports.ts'

/** This machine's clock: monotonic within a process. */
export const timer: Timer = {
  now: () => performance.timeOrigin + performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
  },
}
