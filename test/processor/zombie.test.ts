import { expect, test } from 'vitest'
import { runProcessor } from '../../src/processor/run.ts'
import { HOUR, inquiryAt } from '../conformance/state-caller.ts'
import { bytesOf, flow, TOPIC, verdictOf } from './flow.ts'

test('who slept between the log’s answer and taking the state over changes nothing of its successor’s', async () => {
  const it = flow({ partitions: 1 })
  const { state, log, processor, seen } = it
  for (let n = 0; n < 4; n++) log.append(0, bytesOf({ id: `e-${n}`, action: 'refund' }))
  // Meanwhile a successor has the partition, decides three events and is at the fourth.
  const succeed = async (): Promise<void> => {
    log.depose()
    const owned = await state.acquire(new Map([[0, { start: 0, committed: null }]]), 1, 2)
    const token = owned.kind === 'owned' ? owned.tokens.get(0)! : 0
    const inquiries = [0, 1, 2].map((offset) => inquiryAt(offset))
    await state.observe([{ partition: 0, token, from: 0, next: 3, committed: 0, inquiries }], HOUR, HOUR)
    await state.observe([{ partition: 0, token, from: 3, next: 3, committed: 3, inquiries: [] }], HOUR, HOUR)
    log.commitAs(new Map([[0, 3]]))
  }
  let sleeping = true
  const acquire: typeof state.acquire = async (...assigned) => {
    if (sleeping) await succeed()
    sleeping = false
    return state.acquire(...assigned)
  }
  const observing = { acquire, observe: state.observe.bind(state), reserve: state.reserve.bind(state) }
  const stop = new AbortController()
  const running = runProcessor({ ...processor, state: observing }, stop.signal)
  await expect.poll(() => log.committed.get(0)).toBe(4)
  stop.abort()
  await running
  const verdicts = log.visible.filter(({ topic }) => topic !== 'policies').map(verdictOf)
  expect(verdicts.map(({ decisionId, facts }) => [decisionId, facts.state])).toEqual([[`${TOPIC}:0:3`, 'ok']])
  expect(seen.discarded).toEqual([])
})
