import { setTimeout as sleep } from 'node:timers/promises'
import type { ModelOutput } from '../../../src/decision/event.ts'
import { inShort } from './answers.ts'
import type { Deployment } from './deployment.ts'
import { event } from './deployment.ts'
import { until } from './until.ts'

/** Events without pause, until stopped. */
export type Traffic = {
  /** Positions in the order they were sent. */
  readonly sent: () => readonly string[]
  /**
   * Waits until an event sent after this call has this answer, and gives its position and how long that took from now,
   * milliseconds. `action` narrows it down.
   */
  readonly sees: (answer: string, options?: { readonly action?: string; readonly withinMs?: number }) => Promise<Sight>
  /** Everything sent is acknowledged by then; resolves to all positions. */
  readonly stop: () => Promise<readonly string[]>
}
export type Sight = { readonly position: string; readonly ms: number }

/** Sends one event of each in turn, `everyMs`. Sending waits while Kafka is away, and loses nothing. */
export function startTraffic(it: Deployment, more: readonly Partial<ModelOutput>[], everyMs = 15): Traffic {
  const sent: { readonly position: string; readonly action: string }[] = []
  const sending = new Set<Promise<unknown>>()
  const stopping = new AbortController()
  let failure: unknown = null
  const one = async (of: ModelOutput): Promise<void> => {
    const [position] = await it.send([of])
    sent.push({ position: position!, action: of.action })
  }
  const running = (async () => {
    for (let n = 0; !stopping.signal.aborted; n += 1) {
      const under = one(event(more[n % more.length])).catch((error: unknown) => (failure ??= error))
      sending.add(under)
      void under.finally(() => sending.delete(under))
      await sleep(everyMs)
    }
  })()
  const matches = (from: number, answer: string, action: string | undefined): string | undefined =>
    sent.slice(from).find((one) => {
      const found = action === undefined || one.action === action ? it.answers.find(one.position) : undefined
      return found !== undefined && inShort(found) === answer
    })?.position
  return {
    sent: () => sent.map(({ position }) => position),
    sees: async (answer, { action, withinMs = 30_000 } = {}) => {
      const began = performance.now()
      const from = sent.length
      const what = `an event ${action === undefined ? '' : `to ${action} `}is answered with ${answer}`
      const position = await until(what, () => matches(from, answer, action), withinMs)
      return { position, ms: performance.now() - began }
    },
    stop: async () => {
      stopping.abort()
      await running
      await Promise.all(sending)
      if (failure !== null) throw failure
      return sent.map(({ position }) => position)
    },
  }
}
