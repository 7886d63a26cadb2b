import { describe, expect, test } from 'vitest'
import { Writer as BodyWriter } from '../../src/kafka/wire/writer.ts'
import type { ApiName, Fault } from './support/broker-proxy.ts'
import { nextOffsets, passThrough, pollSome, pump } from './support/kafka-scene.ts'
import { never, openStage } from './support/stage.ts'

const stage = openStage()

describe('a request that fails', () => {
  const transactional: readonly ApiName[] = [
    'InitProducerId',
    'AddPartitionsToTxn',
    'Produce',
    'AddOffsetsToTxn',
    'TxnOffsetCommit',
    'EndTxn',
  ]
  const others: readonly ApiName[] = [
    'Metadata',
    'FindCoordinator',
    'JoinGroup',
    'SyncGroup',
    'OffsetFetch',
    'ListOffsets',
    'Fetch',
    'Heartbeat',
  ]
  const cases = [
    ...transactional.flatMap((api) => (['before', 'after', 'swallow'] as const).map((fault) => [api, fault] as const)),
    ...others.flatMap((api) => (['before', 'after'] as const).map((fault) => [api, fault] as const)),
  ]

  test.for(cases)('%s, cut %s its effect: nothing is lost or doubled', async ([api, fault]) => {
    const { input, to, group, slot } = await stage.play(2, 60)
    const log = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers, requestTimeoutMs: 500 })
    const atStart = await faultDuring(api, fault, () => pump(log, to, 20, 5))
    const later = await faultDuring(api, fault, async () => {
      await log.acquire(never)
      return await pump(log, to, 60, 5)
    })
    expect(atStart || later).toBe(true)
    await stage.expectAll(to, 2, 60)
  })

  /** Whether the fault was met. */
  async function faultDuring(api: ApiName, fault: Fault, work: () => Promise<unknown>): Promise<boolean> {
    let met = false
    const hit = stage.proxy.fail(api, fault).then(() => (met = true))
    await work()
    if (!met) await Promise.race([hit, new Promise((resolve) => setTimeout(resolve, 150))])
    return met
  }

  test.for<[Fault, number]>([
    ['before', 0],
    ['after', 10],
    ['swallow', 10],
  ])(
    'an end of transaction cut %s its effect is not called committed, and acquiring settles it',
    async ([fault, at]) => {
      const { input, to, group, slot } = await stage.play(1, 10)
      const log = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers, requestTimeoutMs: 500 })
      const assignment = await log.acquire(never)
      const batches = await pollSome(log, assignment, 10)
      const met = stage.proxy.fail('EndTxn', fault)
      const result = await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)
      await met
      expect(result.kind).toBe('discarded')
      expect((await log.acquire(never)).positions.get(0)?.start).toBe(at)
      expect((await stage.scene.visible(to)).length).toBe(at)
    },
  )

  test.for<[ApiName, Buffer]>([
    ['AddPartitionsToTxn', body((w) => w.tags().int32(0).unsigned(1).tags())],
    ['Produce', body((w) => w.tags().unsigned(1).int32(0).tags())],
    ['TxnOffsetCommit', body((w) => w.tags().int32(0).unsigned(1).tags())],
  ])('an answer of %s that leaves a partition out counts as unknown', async ([api, answer]) => {
    const { input, to, group, slot } = await stage.play(1, 20)
    const log = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers })
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 10)
    const answered = stage.proxy.answer(api, answer)
    const result = await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)
    await answered
    expect(result).toMatchObject({ kind: 'discarded', code: 'NO_ANSWER' })
    await pump(log, to, 20, 10)
    await stage.expectAll(to, 1, 20)
  })

  test.for([14, 15, 16])('an answer %i to the heartbeat that is to confirm it confirms nothing', async (code) => {
    const { input, group, slot } = await stage.play(1, 1)
    const times = { heartbeatMs: 5_000, sessionTimeoutMs: 20_000 }
    const log = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers, ...times })
    const assignment = await log.acquire(never)
    const answered = stage.proxy.answer(
      'Heartbeat',
      body((w) => w.tags().int32(0).int16(code).tags()),
    )
    expect([await log.confirm(assignment), assignment.ended.aborted]).toEqual([false, true])
    await answered
    expect(await log.confirm(await log.acquire(never))).toBe(true)
  })

  function body(write: (w: BodyWriter) => BodyWriter): Buffer {
    return write(new BodyWriter()).written()
  }
})

describe('closing in the middle of a transaction', () => {
  test.for<ApiName>(['AddPartitionsToTxn', 'Produce', 'TxnOffsetCommit', 'EndTxn'])(
    'waits for a %s under way, and all of it is committed',
    async (api) => {
      const { input, to, group, slot } = await stage.play(1, 10)
      const log = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers })
      const assignment = await log.acquire(never)
      const batches = await pollSome(log, assignment, 10)
      const held = stage.proxy.hold(api)
      const committing = log.commit(passThrough(batches, to), nextOffsets(batches), assignment)
      await held.arrived
      const closing = log.close()
      setTimeout(held.release, 200)
      expect(await committing).toEqual({ kind: 'committed' })
      await closing
      await stage.expectAll(to, 1, 10)
    },
  )

  test('waits no longer than it takes to give up, and what comes late commits nothing', async () => {
    const { input, to, group, slot } = await stage.play(1, 10)
    const log = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers })
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 10)
    const held = stage.proxy.hold('Produce')
    const committing = log.commit(passThrough(batches, to), nextOffsets(batches), assignment)
    await held.arrived
    await log.close()
    held.release()
    expect(await committing).toMatchObject({ kind: 'discarded' })
    expect(await stage.scene.visible(to)).toEqual([])
    const next = stage.scene.log({ input, group, slot })
    await pump(next, to, 10, 5)
    await stage.expectAll(to, 1, 10)
  })
})

describe('after a discard', () => {
  test('nothing is committed before the next acquire', async () => {
    const { input, to, group, slot } = await stage.play(1, 20)
    const log = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers })
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 10)
    const cut = stage.proxy.fail('Produce', 'after')
    const commit = () => log.commit(passThrough(batches, to), nextOffsets(batches), assignment)
    expect(await commit()).toMatchObject({ kind: 'discarded', code: 'NO_ANSWER' })
    await cut
    expect(assignment.ended.aborted).toBe(true)
    expect(await commit()).toMatchObject({ kind: 'discarded', code: 'ENDED' })
    expect(await log.poll(assignment, 10, 0)).toEqual([])
    const offsets = stage.proxy.hold('OffsetFetch')
    const acquiring = log.acquire(never)
    await offsets.arrived
    expect(await commit()).toMatchObject({ kind: 'discarded', code: 'ENDED' })
    offsets.release()
    expect((await acquiring).positions.get(0)).toEqual({ start: 0, committed: null })
    expect(await commit()).toMatchObject({ kind: 'discarded', code: 'ENDED' })
    expect(await stage.scene.visible(to)).toEqual([])
  })

  test('a fence whose replies are lost again and again is got over', async () => {
    const { input, to, group, slot } = await stage.play(1, 20)
    const log = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers })
    for (let round = 0; round < 3; round++) {
      const lost = [stage.proxy.fail('InitProducerId', 'after'), stage.proxy.fail('InitProducerId', 'after')]
      const assignment = await log.acquire(never)
      await Promise.all(lost)
      const batches = await pollSome(log, assignment, 5)
      expect(await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)).toEqual({
        kind: 'committed',
      })
    }
    await pump(log, to, 20, 5)
    await stage.expectAll(to, 1, 20)
  })

  test('a lost reply of the fence that ends our own open transaction is no other process', async () => {
    const { input, to, group, slot } = await stage.play(1, 20)
    const log = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers })
    for (let round = 0; round < 7; round++) {
      const assignment = await log.acquire(never)
      const batches = await pollSome(log, assignment, 5)
      const cut = stage.proxy.fail('TxnOffsetCommit', 'before')
      const lost = stage.proxy.fail('InitProducerId', 'after')
      expect(await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)).toMatchObject({
        kind: 'discarded',
      })
      await cut
      await log.acquire(never)
      await lost
    }
    await pump(log, to, 20, 5)
    await stage.expectAll(to, 1, 20)
  })
})
