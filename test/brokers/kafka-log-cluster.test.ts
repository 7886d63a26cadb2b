import { afterEach, expect, test } from 'vitest'
import { eventually, nextOffsets, passThrough, pollSome, pump, statuses } from './support/kafka-scene.ts'
import { never, openStage } from './support/stage.ts'

const stage = openStage({ nodes: 3 })
const NODES = [1, 2, 3] as const

afterEach(async () => {
  for (const node of NODES) if (!stage.kafka.pids.has(node)) await stage.kafka.restart(node)
})

test('a leader that dies between the parts of one send loses and doubles nothing', async () => {
  const { input, to, group, slot } = await stage.play(3, 120, 3)
  const log = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers })
  const assignment = await log.acquire(never)
  const batches = await eventually(async () => {
    const polled = await log.poll(assignment, 30, 200)
    if (polled.length === 3) return polled
    for (const batch of polled) log.putBack(assignment, batch, 0)
    throw new Error('not all partitions yet')
  })
  const held = stage.proxy.hold('Produce')
  const commit = log.commit(passThrough(batches, to), nextOffsets(batches), assignment)
  await held.arrived
  // One of the three leaders has its part at the proxy; the others have theirs in their logs.
  await stage.kafka.kill(stage.scene.leader(to, 0))
  held.release()
  expect(await commit).toMatchObject({ kind: 'discarded' })
  await pump(log, to, 120, 10)
  await stage.expectAll(to, 3, 120)
})

test('a partition whose leader is gone waits alone, and goes on when it is back', async () => {
  const { input, to, group, slot } = await stage.play(3, 90, 1, 3)
  const lost = stage.scene.leader(input, 1)
  const { list, onStatus } = statuses()
  const log = stage.scene.log({ input, group, slot, onStatus })
  const assignment = await log.acquire(never)
  const first = await pollSome(log, assignment, 3)
  expect(await log.commit(passThrough(first, to), nextOffsets(first), assignment)).toEqual({ kind: 'committed' })
  await stage.kafka.kill(lost)
  const stop = new AbortController()
  const pumping = pump(log, to, 90, 5, stop.signal).catch((error: unknown) => error)
  await eventually(async () => {
    const seen = await stage.scene.visible(to)
    if (seen.filter(({ partition }) => partition !== 1).length < 60) throw new Error('the others wait too')
  }, 25_000)
  expect(list.some(({ kind, text }) => kind === 'stalled' && text.includes(input))).toBe(true)
  await stage.kafka.restart(lost)
  expect(await pumping).toBeInstanceOf(Array)
  await stage.expectAll(to, 3, 90)
})

test('brokers that die one after the other under load lose and double nothing', async () => {
  const { input, to, group, slot } = await stage.play(3, 3_000, 3)
  const log = stage.scene.log({ input, group, slot })
  let done = false
  const pumping = pump(log, to, 3_000, 7, AbortSignal.timeout(55_000)).finally(() => (done = true))
  for (const node of NODES) {
    if (done) break
    await new Promise((resolve) => setTimeout(resolve, 700))
    await stage.kafka.kill(node)
    await stage.kafka.restart(node)
  }
  await pumping
  await stage.expectAll(to, 3, 3_000)
})
