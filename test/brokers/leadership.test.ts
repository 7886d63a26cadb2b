import { afterAll, expect, inject, test } from 'vitest'
import { whileLeading } from '../../src/kafka/leadership.ts'
import { eventually, plain, Scene } from './support/kafka-scene.ts'

const { brokers } = inject('stack')
const scene = new Scene(brokers)

afterAll(() => scene.close())

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

test('one leads at a time, and another takes over when it leaves', async () => {
  const topic = await scene.topic(2)
  const group = scene.unique('leaders')
  const leading = new Set<number>()
  const standby = new Set<number>()
  let most = 0
  const start = (name: number) => {
    const stop = new AbortController()
    const options = {
      group,
      topic,
      signal: stop.signal,
      onStandby: () => void standby.add(name),
      onTrouble: () => undefined,
    }
    const done = whileLeading(plain(brokers), options, async (over) => {
      leading.add(name)
      most = Math.max(most, leading.size)
      await untilAborted(over)
      leading.delete(name)
    })
    return { stop, done }
  }
  const all = [start(1), start(2)]
  await eventually(async () => expect([leading.size, standby.size]).toEqual([1, 1]), 20_000)
  const [first] = [...leading]
  all[(first ?? 0) - 1]!.stop.abort()
  await all[(first ?? 0) - 1]!.done
  await eventually(async () => expect([...leading]).toEqual([3 - (first ?? 0)]), 20_000)
  for (const { stop } of all) stop.abort()
  await Promise.all(all.map(({ done }) => done))
  expect([...leading]).toEqual([])
  expect(most).toBe(1)
})

test('what the leader fails with ends it', async () => {
  const topic = await scene.topic(1)
  const options = {
    group: scene.unique('leaders'),
    topic,
    signal: new AbortController().signal,
    onStandby: () => undefined,
    onTrouble: () => undefined,
  }
  await expect(whileLeading(plain(brokers), options, () => Promise.reject(new Error('broken')))).rejects.toThrow(
    'broken',
  )
})
