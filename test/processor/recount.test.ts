import { expect, test } from 'vitest'
import { tracesOf } from '../../src/decision/recount.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { runProcessor } from '../../src/processor/run.ts'
import { samplePolicy } from '../decision/samples.ts'
import { bytesOf, flow, verdictOf } from './flow.ts'

const HOUR = 3_600_000
const base = samplePolicy()
const withWindow = (windowMs: number) => ({ ...base, limits: base.limits.map((it) => ({ ...it, windowMs })) })

async function decided(isBlind: boolean): Promise<Verdict> {
  const it = flow({ partitions: 1 })
  if (isBlind) it.state.reach = 'away'
  it.log.append(0, bytesOf({ id: 'e', action: 'refund' }))
  const stop = new AbortController()
  const running = runProcessor(it.processor, stop.signal)
  await expect.poll(() => it.log.committed.get(0)).toBe(1)
  stop.abort()
  await running
  return it.log.visible.filter(({ topic }) => topic !== 'policies').map(verdictOf)[0]!
}

test.each([
  ['with state', false],
  ['without state', true],
])('what was decided %s counts for the longer window of its policy and the one in force', async (_, isBlind) => {
  const verdict = await decided(isBlind)
  const [minute, hour] = [60_000, HOUR].map(withWindow)
  const windows = [
    [minute!, hour!],
    [hour!, minute!],
    [minute!, minute!],
  ].map(([its, present]) => tracesOf(verdict, its!, Infinity, present).counts.map(({ windowMs }) => windowMs))
  expect(windows[2]!.length).toBeGreaterThan(0)
  expect(windows.map((all) => new Set(all))).toEqual([new Set([HOUR]), new Set([HOUR]), new Set([60_000])])
})
