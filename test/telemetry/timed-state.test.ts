import { expect, test } from 'vitest'
import type { StateRefusal, StateStore } from '../../src/processor/ports.ts'
import { timedState } from '../../src/telemetry/timed-state.ts'

test('answers and refusals pass through unchanged, and each is timed once but for a look without ranges', async () => {
  let clock = 0
  const refusal: StateRefusal = { kind: 'fenced', partition: 1 }
  const after = async <T>(ms: number, answer: T): Promise<T> => {
    clock += ms
    return answer
  }
  const store: StateStore = {
    acquire: () => after(3, { kind: 'owned', tokens: new Map([[1, 7]]), decided: new Map() }),
    observe: () => after(2, refusal),
    reserve: () => Promise.reject(new Error('a bug')),
  }
  const times: [string, number][] = []
  // The store's part before its first wait counts as well, so the clock is read before the call.
  const timed = timedState(
    store,
    (operation, ms) => times.push([operation, ms]),
    () => clock,
  )
  expect(await timed.acquire(new Map(), 1, 1)).toEqual({ kind: 'owned', tokens: new Map([[1, 7]]), decided: new Map() })
  const range = { partition: 1, token: 7, from: 0, next: 0, committed: 0, inquiries: [] }
  expect(await timed.observe([range], 1, 1)).toBe(refusal)
  expect(await timed.observe([], 1, 1)).toBe(refusal)
  await expect(timed.reserve([])).rejects.toThrow('a bug')
  expect(times).toEqual([
    ['acquire', 3],
    ['observe', 2],
    ['reserve', 0],
  ])
})
