import { expect, test } from 'vitest'
import { tracesOf } from '../../src/decision/recount.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { runRebuilder } from '../../src/processor/rebuild.ts'
import type { Restoration } from '../../src/processor/rebuild.ts'
import { runProcessor } from '../../src/processor/run.ts'
import { samplePolicy } from '../decision/samples.ts'
import { bytesOf, flow, TOPIC, verdictOf } from './flow.ts'

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

test.each([
  ['before the loss, and its offset was set back: its place is restored', 1, ['executions']],
  ['after it, long enough for whole facts: its place was counted then', 0, []],
])('a verdict from where the epoch counts itself was made %s', async (_, afterMs, restored) => {
  const verdict = await decided(false)
  const stop = new AbortController()
  const runs: Restoration[] = []
  const claim = {
    kind: 'yours',
    epoch: 'e',
    now: verdict.facts.now + HOUR,
    lostAt: verdict.facts.now + afterMs,
    since: [0],
    places: new Map<string, number>(),
  } as const
  await runRebuilder(
    {
      store: {
        isIncomplete: () => true,
        claim: async () => claim,
        restore: async (_claim, run) => {
          runs.push(run)
          return { kind: 'restored' }
        },
        finish: async () => ({ kind: 'done' }),
      },
      history: {
        partitions: async () => 1,
        read: async (_since, _places, accept) => {
          await accept({ place: 'x-0', from: 0, next: 1, verdicts: [verdict] }, 1)
          return { kind: 'read' }
        },
      },
      policyOf: async () => base,
      policy: () => base,
      inputTopic: TOPIC,
      timer: { now: () => 0, sleep: async () => undefined },
      onStatus: ({ kind }) => kind === 'rebuilt' && stop.abort(),
    },
    stop.signal,
  )
  expect(runs.flatMap(({ counts }) => counts.map(({ count }) => count))).toEqual(restored)
})
