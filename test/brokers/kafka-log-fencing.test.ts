import { describe, expect, test } from 'vitest'
import type { KafkaDecisionLog } from '../../src/kafka/decision-log.ts'
import { SlotTaken } from '../../src/kafka/errors.ts'
import { openProxy } from './support/broker-proxy.ts'
import { endOf, eventually, nextOffsets, passThrough, pollSome, pump, statuses } from './support/kafka-scene.ts'
import { never, openStage, within } from './support/stage.ts'

const stage = openStage()

describe('the order of fence and offsets', () => {
  test('the successor in a slot fences first, and never waits for what its predecessor left open', async () => {
    const { input, to, group, slot } = await stage.play(1, 20)
    const a = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers })
    const old = await a.acquire(never)
    const batches = await pollSome(a, old, 10)
    const end = stage.proxy.hold('EndTxn')
    const commit = a.commit(passThrough(batches, to), nextOffsets(batches), old)
    await end.arrived
    const b = stage.scene.log({ input, group, slot })
    const assignment = await b.acquire(within(3_000))
    expect(assignment.positions.get(0)).toEqual({ start: 0, committed: null })
    end.release()
    expect(await commit).toMatchObject({ kind: 'discarded' })
    expect(await pump(b, to, 20, 10)).toEqual([])
    await stage.expectAll(to, 1, 20)
  })

  test('an offset in a living slot’s open transaction is waited for', async () => {
    const { input, group } = await stage.play(2, 20)
    const a = stage.scene.log({
      input,
      group,
      slot: 'a',
      brokers: stage.proxy.brokers,
      rebalanceTimeoutMs: 1_000,
      requestTimeoutMs: 5_000,
    })
    const old = await a.acquire(never)
    const end = stage.proxy.hold('EndTxn')
    const offsets = new Map([0, 1].map((partition) => [partition, 5]))
    const commit = a.commit([], offsets, old)
    await end.arrived
    const b = stage.scene.log({ input, group, slot: 'b', rebalanceTimeoutMs: 1_000 })
    let acquired = false
    const acquiring = b.acquire(within(10_000)).finally(() => (acquired = true))
    await eventually(async () => {
      if (!b.stats().requests.has('OffsetFetch')) throw new Error('b has not asked yet')
    })
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(acquired).toBe(false)
    end.release()
    expect(await commit).toEqual({ kind: 'committed' })
    const { positions } = await acquiring
    expect([...positions.values()]).toEqual([{ start: 5, committed: 5 }])
  })
})

describe('fencing', () => {
  test('a zombie with an old generation cannot commit', async () => {
    const { input, to, group } = await stage.play(2, 40)
    const zombie = stage.scene.log({
      input,
      group,
      slot: 'zombie',
      brokers: stage.proxy.brokers,
      heartbeatMs: 100,
      sessionTimeoutMs: 1_500,
    })
    const old = await zombie.acquire(never)
    const batches = await pollSome(zombie, old, 20)
    // It neither hears nor sends heartbeats, as when its process is stopped.
    const heartbeat = stage.proxy.hold('Heartbeat')
    await heartbeat.arrived
    const living = stage.scene.log({ input, group, slot: 'living' })
    await eventually(async () => {
      const { positions } = await living.acquire(within(8_000))
      if (positions.size < 2) throw new Error('not all partitions yet')
    })
    const result = await zombie.commit(passThrough(batches, to), nextOffsets(batches), old)
    expect(result).toMatchObject({ kind: 'discarded' })
    expect(['ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID', 'INVALID_PRODUCER_EPOCH']).toContain(
      result.kind === 'discarded' ? result.code : '',
    )
    heartbeat.release()
    await zombie.close()
    await pump(living, to, 40, 10)
    await stage.expectAll(to, 2, 40)
  })

  test('a zombie that asks learns that it is one, and a living process that it is not', async () => {
    const { input, group } = await stage.play(2, 40)
    const times = { heartbeatMs: 400, sessionTimeoutMs: 1_500 }
    const zombie = stage.scene.log({ input, group, slot: 'zombie', brokers: stage.proxy.brokers, ...times })
    const old = await zombie.acquire(never)
    expect(await zombie.confirm(old)).toBe(true)
    const heartbeat = stage.proxy.hold('Heartbeat')
    await heartbeat.arrived
    const living = stage.scene.log({ input, group, slot: 'living' })
    const assignment = await eventually(async () => {
      const acquired = await living.acquire(within(8_000))
      if (acquired.positions.size < 2) throw new Error('not all partitions yet')
      return acquired
    })
    expect([await living.confirm(assignment), assignment.ended.aborted]).toEqual([true, false])
    expect(await living.confirm(old)).toBe(false)
    const asked = zombie.confirm(old)
    heartbeat.release()
    expect([await asked, old.ended.aborted]).toEqual([false, true])
  })

  test('of two processes with one slot the later one works and the earlier one ends with a clear message', async () => {
    const { input, to, group, slot } = await stage.play(1, 40)
    const first = stage.scene.log({ input, group, slot })
    const old = await first.acquire(never)
    const batches = await pollSome(first, old, 10)
    const second = stage.scene.log({ input, group, slot })
    const assignment = await second.acquire(within(3_000))
    expect(assignment.positions.get(0)).toEqual({ start: 0, committed: null })
    expect(await first.commit(passThrough(batches, to), nextOffsets(batches), old)).toMatchObject({ kind: 'discarded' })
    const refused = await first.acquire(within(5_000)).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(SlotTaken)
    expect(String(refused)).toMatch(/slot s1 .*set SLUICE_SLOT/)
    await first.close()
    expect(await pump(second, to, 40, 10)).toEqual([])
    await stage.expectAll(to, 1, 40)
  })

  test('a survivor that took us for dead costs one discard, and is not taken for another process', async () => {
    const { input, to, group, slot } = await stage.play(1, 20)
    const log = stage.scene.log({ input, group, slot })
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 10)
    await stage.scene.writer(`${group}/${slot}`)
    expect(await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)).toMatchObject({
      kind: 'discarded',
      code: expect.stringMatching(/PRODUCER_FENCED|INVALID_PRODUCER_EPOCH/),
    })
    expect(await pump(log, to, 20, 10)).toEqual([])
    await stage.expectAll(to, 1, 20)
  })
})

describe('the group', () => {
  test('a process that starts again at once has its partitions at once, at the same generation', async () => {
    const { input, group } = await stage.play(2, 2)
    const one = stage.scene.log({ input, group, slot: 'one', brokers: stage.proxy.brokers, sessionTimeoutMs: 20_000 })
    const { generation } = await one.acquire(never)
    stage.proxy.cut()
    const started = performance.now()
    const again = await stage.scene.log({ input, group, slot: 'one', sessionTimeoutMs: 20_000 }).acquire(within(3_000))
    expect(again.generation).toBe(generation)
    expect([...again.positions.keys()]).toEqual([0, 1])
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  test('a batch that takes longer than the session keeps its place', async () => {
    const { input, to, group, slot } = await stage.play(1, 10)
    const log = stage.scene.log({ input, group, slot, sessionTimeoutMs: 1_000 })
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 10)
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    expect(assignment.ended.aborted).toBe(false)
    expect(await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)).toEqual({ kind: 'committed' })
  })

  test('a fetch that waits at the broker stands before no commit', async () => {
    const { input, to, group, slot } = await stage.play(1, 10)
    const log = stage.scene.log({ input, group, slot, fetchMaxWaitMs: 4_000 })
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 10)
    const fetches = log.stats().requests.get('Fetch') ?? 0
    await eventually(async () => {
      if ((log.stats().requests.get('Fetch') ?? 0) < Math.max(2, fetches)) throw new Error('no fetch waits yet')
    })
    const started = performance.now()
    expect(await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)).toEqual({ kind: 'committed' })
    expect(performance.now() - started).toBeLessThan(1_000)
  })

  test('a process that closes gives its partitions up at once', async () => {
    const { input, group } = await stage.play(2, 2)
    const [one, two] = ['one', 'two'].map((slot) => stage.scene.log({ input, group, slot, sessionTimeoutMs: 20_000 }))
    const both = await Promise.all([one!.acquire(never), two!.acquire(never)])
    expect(both.length).toBe(2)
    await one!.close()
    await eventually(async () => {
      const { positions } = await two!.acquire(within(3_000))
      expect(positions.size).toBe(2)
    }, 3_000)
  })

  test('the leader ends the transaction that a dead slot left open, so that readers do not wait for its time-out', async () => {
    const { input, to, group } = await stage.play(2, 40)
    const doomed = await openProxy(stage.kafka.brokers)
    const dead = stage.scene.log({ input, group, slot: 'dead', brokers: doomed.brokers })
    const assignment = await dead.acquire(never)
    const batches = await pollSome(dead, assignment, 10)
    const end = doomed.hold('EndTxn')
    const commit = dead.commit(passThrough(batches, to), nextOffsets(batches), assignment)
    await end.arrived
    doomed.sever()
    expect(await commit).toMatchObject({ kind: 'discarded' })
    const { list, onStatus } = statuses()
    const survivor = stage.scene.log({ input, group, slot: 'survivor', onStatus })
    const started = performance.now()
    await pump(survivor, to, 40, 10, within(12_000))
    expect(performance.now() - started).toBeLessThan(10_000)
    expect(list.filter(({ kind }) => kind === 'ended')).toMatchObject([{ kind: 'ended', slot: 'dead' }])
    await stage.expectAll(to, 2, 40)
    await doomed.close()
  })

  test('partitions added to the input are read without a restart', async () => {
    const { input, group, slot } = await stage.play(1, 1)
    const log = stage.scene.log({ input, group, slot, metadataMs: 200 })
    const assignment = await log.acquire(never)
    await stage.scene.grow(input, 3)
    await endOf(assignment)
    expect([...(await log.acquire(within(5_000))).positions.keys()]).toEqual([0, 1, 2])
  })

  test.for([
    ['leader', []],
    ['other', ['other']],
  ] as const)('partitions added while the %s of a group restarts are read', async ([restarted, others]) => {
    const { input, group } = await stage.play(2, 2)
    // Those that live on do not look around.
    const times = { sessionTimeoutMs: 20_000, metadataMs: 60_000 }
    const held = new Map<string, readonly number[]>()
    const keep = async (slot: string, log: KafkaDecisionLog): Promise<void> => {
      for (;;) {
        const assignment = await log.acquire(never)
        held.set(slot, [...assignment.positions.keys()])
        await endOf(assignment)
      }
    }
    const reads = async (slot: string, count: number): Promise<void> =>
      await eventually(async () => expect([slot, held.get(slot)?.length]).toEqual([slot, count]), 8_000)
    const doomed = await openProxy(stage.kafka.brokers)
    for (const slot of ['leader', ...others]) {
      const brokers = slot === restarted ? doomed.brokers : stage.kafka.brokers
      void keep(slot, stage.scene.log({ input, group, slot, brokers, ...times })).catch(() => undefined)
      await reads(slot, slot === 'leader' ? 2 : 1)
    }
    doomed.sever()
    await stage.scene.grow(input, 4)
    held.delete(restarted)
    const again = stage.scene.log({ input, group, slot: restarted, ...times, metadataMs: 200 })
    void keep(restarted, again).catch(() => undefined)
    for (const slot of ['leader', ...others]) await reads(slot, others.length === 0 ? 4 : 2)
    await doomed.close()
  })
})
