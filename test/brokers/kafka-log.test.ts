import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startKafka } from '../../deploy/local/kafka.ts'
import type { LocalKafka } from '../../deploy/local/kafka.ts'
import { SlotTaken } from '../../src/kafka/errors.ts'
import { Writer as BodyWriter } from '../../src/kafka/wire/writer.ts'
import { openProxy } from './support/broker-proxy.ts'
import type { ApiName, BrokerProxy, Fault } from './support/broker-proxy.ts'
import {
  BROKER_PROPERTIES,
  eventually,
  nextOffsets,
  numbered,
  passThrough,
  pollSome,
  pump,
  Scene,
  statuses,
} from './support/kafka-scene.ts'

let kafka: LocalKafka
let scene: Scene
let proxy: BrokerProxy

const never = new AbortController().signal
const within = (ms: number): AbortSignal => AbortSignal.timeout(ms)

beforeAll(async () => {
  kafka = await startKafka({ properties: BROKER_PROPERTIES })
  scene = new Scene(kafka.brokers)
  proxy = await openProxy(kafka.brokers)
})

afterEach(async () => {
  proxy.clear()
  await scene.closeLogs()
})

afterAll(async () => {
  await scene?.close()
  await proxy?.close()
  await kafka?.stop()
})

/** An input with `count` records spread over its partitions, and an output beside it. */
async function topics(partitions: number, count: number) {
  const [input, to] = [await scene.topic(partitions), await scene.topic(partitions)]
  const per = count / partitions
  for (let partition = 0; partition < partitions; partition++) {
    await scene.put(input, partition, numbered(per, `p${partition}-`))
  }
  return { input, to, group: scene.unique('g'), slot: 's1' }
}

/** Every record of the input once, in its partition's order, as kcat sees it. */
async function expectAll(to: string, partitions: number, count: number): Promise<void> {
  const seen = await scene.visible(to)
  const expected = Array.from({ length: partitions }, (_, partition) =>
    numbered(count / partitions, `p${partition}-`).map((value) => ({ partition, value })),
  )
  expect(seen.map(({ partition, value }) => ({ partition, value }))).toEqual(expected.flat())
}

describe('in good weather', () => {
  test('every record has one verdict, in order, and the next process goes on where the last one ended', async () => {
    const { input, to, group, slot } = await topics(3, 600)
    const first = scene.log({ input, group, slot })
    const assignment = await first.acquire(never)
    expect([...assignment.positions]).toEqual([0, 1, 2].map((p) => [p, { start: 0, committed: null }]))
    expect(await pump(first, to, 300, 50)).toEqual([])
    await first.close()
    expect(await pump(scene.log({ input, group, slot }), to, 600, 50)).toEqual([])
    await expectAll(to, 3, 600)
  })

  test('offsets alone, and outputs alone, are transactions too', async () => {
    const { input, to, group, slot } = await topics(1, 4)
    const log = scene.log({ input, group, slot })
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 2)
    expect(await log.commit([], nextOffsets(batches), assignment)).toEqual({ kind: 'committed' })
    expect(await log.commit(passThrough(batches, to), new Map(), assignment)).toEqual({ kind: 'committed' })
    expect(await log.commit([], new Map(), assignment)).toEqual({ kind: 'committed' })
    expect((await scene.visible(to)).map(({ value }) => value)).toEqual(['p0-0', 'p0-1'])
    expect((await log.acquire(never)).positions.get(0)).toEqual({ start: 2, committed: 2 })
  })

  test('transactions back to back wait for the markers of the last one, and none is discarded', async () => {
    const { input, to, group, slot } = await topics(2, 400)
    const log = scene.log({ input, group, slot })
    expect(await pump(log, to, 400, 4)).toEqual([])
    const { requests, committed, markerWaits } = log.stats()
    expect(markerWaits).toBeGreaterThan(0)
    expect(requests.get('AddPartitionsToTxn')).toBe(committed + markerWaits)
    for (const api of ['Produce', 'AddOffsetsToTxn', 'TxnOffsetCommit', 'EndTxn'])
      expect(requests.get(api)).toBe(committed)
    await expectAll(to, 2, 400)
  })

  test('what does not fit in one batch goes in several, in sequence', async () => {
    const { input, to, group, slot } = await topics(1, 500)
    const log = scene.log({ input, group, slot, maxBatchBytes: 2_000 })
    expect(await pump(log, to, 500, 250)).toEqual([])
    expect(log.stats().requests.get('Produce')).toBeGreaterThan(2 * log.stats().committed)
    await expectAll(to, 1, 500)
  })

  test('what is put back is polled next and in order, no sooner than asked, while other partitions go on', async () => {
    const { input, group, slot } = await topics(2, 40)
    const log = scene.log({ input, group, slot })
    const assignment = await log.acquire(never)
    const first = await eventually(async () => {
      const batches = await log.poll(assignment, 20, 200)
      if (batches.length < 2) {
        for (const batch of batches) log.putBack(assignment, batch, 0)
        throw new Error('one partition only')
      }
      return batches
    })
    const [back] = first.filter(({ partition }) => partition === 0)
    const kept = back!.records.slice(0, 3)
    const rest = { ...back!, from: kept[2]!.offset + 1, records: back!.records.slice(3) }
    log.putBack(assignment, rest, 300)
    const putAt = performance.now()
    const others = await pollSome(log, assignment, 100)
    expect(others.map(({ partition }) => partition)).toEqual([1])
    const again = await pollSome(log, assignment, 4)
    expect(performance.now() - putAt).toBeGreaterThanOrEqual(290)
    expect(
      again.map(({ from, next, records }) => ({ from, next, offsets: records.map(({ offset }) => offset) })),
    ).toEqual([{ from: 3, next: 7, offsets: [3, 4, 5, 6] }])
    const after = await pollSome(log, assignment, 100)
    expect(after[0]?.from).toBe(7)
  })
})

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
    const { input, to, group, slot } = await topics(2, 60)
    const log = scene.log({ input, group, slot, brokers: proxy.brokers, requestTimeoutMs: 500 })
    const atStart = await faultDuring(api, fault, () => pump(log, to, 20, 5))
    const later = await faultDuring(api, fault, async () => {
      await log.acquire(never)
      return await pump(log, to, 60, 5)
    })
    expect(atStart || later).toBe(true)
    await expectAll(to, 2, 60)
  })

  /** Whether the fault was met. */
  async function faultDuring(api: ApiName, fault: Fault, work: () => Promise<unknown>): Promise<boolean> {
    let met = false
    const hit = proxy.fail(api, fault).then(() => (met = true))
    await work()
    if (!met) await Promise.race([hit, new Promise((resolve) => setTimeout(resolve, 150))])
    return met
  }

  test.for<[ApiName, Buffer]>([
    ['AddPartitionsToTxn', body((w) => w.tags().int32(0).unsigned(1).tags())],
    ['Produce', body((w) => w.tags().unsigned(1).int32(0).tags())],
    ['TxnOffsetCommit', body((w) => w.tags().int32(0).unsigned(1).tags())],
  ])('an answer of %s that leaves a partition out counts as unknown', async ([api, answer]) => {
    const { input, to, group, slot } = await topics(1, 20)
    const log = scene.log({ input, group, slot, brokers: proxy.brokers })
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 10)
    const answered = proxy.answer(api, answer)
    const result = await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)
    await answered
    expect(result).toMatchObject({ kind: 'discarded', code: 'NO_ANSWER' })
    await pump(log, to, 20, 10)
    await expectAll(to, 1, 20)
  })

  function body(write: (w: BodyWriter) => BodyWriter): Buffer {
    return write(new BodyWriter()).written()
  }
})

describe('after a discard', () => {
  test('nothing is committed before the next acquire', async () => {
    const { input, to, group, slot } = await topics(1, 20)
    const log = scene.log({ input, group, slot, brokers: proxy.brokers })
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 10)
    const cut = proxy.fail('Produce', 'after')
    const commit = () => log.commit(passThrough(batches, to), nextOffsets(batches), assignment)
    expect(await commit()).toMatchObject({ kind: 'discarded', code: 'NO_ANSWER' })
    await cut
    expect(assignment.ended.aborted).toBe(true)
    expect(await commit()).toMatchObject({ kind: 'discarded', code: 'ENDED' })
    expect(await log.poll(assignment, 10, 0)).toEqual([])
    expect((await log.acquire(never)).positions.get(0)).toEqual({ start: 0, committed: null })
    expect(await commit()).toMatchObject({ kind: 'discarded', code: 'ENDED' })
    expect(await scene.visible(to)).toEqual([])
  })

  test('a fence whose replies are lost again and again is got over', async () => {
    const { input, to, group, slot } = await topics(1, 20)
    const log = scene.log({ input, group, slot, brokers: proxy.brokers })
    for (let round = 0; round < 3; round++) {
      const lost = [proxy.fail('InitProducerId', 'after'), proxy.fail('InitProducerId', 'after')]
      const assignment = await log.acquire(never)
      await Promise.all(lost)
      const batches = await pollSome(log, assignment, 5)
      expect(await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)).toEqual({
        kind: 'committed',
      })
    }
    await pump(log, to, 20, 5)
    await expectAll(to, 1, 20)
  })

  test('a lost reply of the fence that ends our own open transaction is no other process', async () => {
    const { input, to, group, slot } = await topics(1, 20)
    const log = scene.log({ input, group, slot, brokers: proxy.brokers })
    for (let round = 0; round < 7; round++) {
      const assignment = await log.acquire(never)
      const batches = await pollSome(log, assignment, 5)
      const cut = proxy.fail('TxnOffsetCommit', 'before')
      const lost = proxy.fail('InitProducerId', 'after')
      expect(await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)).toMatchObject({
        kind: 'discarded',
      })
      await cut
      await log.acquire(never)
      await lost
    }
    await pump(log, to, 20, 5)
    await expectAll(to, 1, 20)
  })
})

describe('the order of fence and offsets', () => {
  test('the successor in a slot fences first, and never waits for what its predecessor left open', async () => {
    const { input, to, group, slot } = await topics(1, 20)
    const a = scene.log({ input, group, slot, brokers: proxy.brokers })
    const old = await a.acquire(never)
    const batches = await pollSome(a, old, 10)
    const end = proxy.hold('EndTxn')
    const commit = a.commit(passThrough(batches, to), nextOffsets(batches), old)
    await end.arrived
    const b = scene.log({ input, group, slot })
    const assignment = await b.acquire(within(3_000))
    expect(assignment.positions.get(0)).toEqual({ start: 0, committed: null })
    end.release()
    expect(await commit).toMatchObject({ kind: 'discarded' })
    expect(await pump(b, to, 20, 10)).toEqual([])
    await expectAll(to, 1, 20)
  })

  test('an offset in a living slot’s open transaction is waited for', async () => {
    const { input, group } = await topics(2, 20)
    const a = scene.log({
      input,
      group,
      slot: 'a',
      brokers: proxy.brokers,
      rebalanceTimeoutMs: 1_000,
      requestTimeoutMs: 5_000,
    })
    const old = await a.acquire(never)
    const end = proxy.hold('EndTxn')
    const offsets = new Map([0, 1].map((partition) => [partition, 5]))
    const commit = a.commit([], offsets, old)
    await end.arrived
    const b = scene.log({ input, group, slot: 'b', rebalanceTimeoutMs: 1_000 })
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
    const { input, to, group } = await topics(2, 40)
    const zombie = scene.log({
      input,
      group,
      slot: 'zombie',
      brokers: proxy.brokers,
      heartbeatMs: 100,
      sessionTimeoutMs: 1_500,
    })
    const old = await zombie.acquire(never)
    const batches = await pollSome(zombie, old, 20)
    // It neither hears nor sends heartbeats, as when its process is stopped.
    const heartbeat = proxy.hold('Heartbeat')
    await heartbeat.arrived
    const living = scene.log({ input, group, slot: 'living' })
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
    await expectAll(to, 2, 40)
  })

  test('of two processes with one slot the later one works and the earlier one ends with a clear message', async () => {
    const { input, to, group, slot } = await topics(1, 40)
    const first = scene.log({ input, group, slot })
    const old = await first.acquire(never)
    const batches = await pollSome(first, old, 10)
    const second = scene.log({ input, group, slot })
    const assignment = await second.acquire(within(3_000))
    expect(assignment.positions.get(0)).toEqual({ start: 0, committed: null })
    expect(await first.commit(passThrough(batches, to), nextOffsets(batches), old)).toMatchObject({ kind: 'discarded' })
    const refused = await first.acquire(within(5_000)).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(SlotTaken)
    expect(String(refused)).toMatch(/slot s1 .*set SLUICE_SLOT/)
    await first.close()
    expect(await pump(second, to, 40, 10)).toEqual([])
    await expectAll(to, 1, 40)
  })

  test('a survivor that took us for dead costs one discard, and is not taken for another process', async () => {
    const { input, to, group, slot } = await topics(1, 20)
    const log = scene.log({ input, group, slot })
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 10)
    await scene.writer(`${group}/${slot}`)
    expect(await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)).toMatchObject({
      kind: 'discarded',
      code: expect.stringMatching(/PRODUCER_FENCED|INVALID_PRODUCER_EPOCH/),
    })
    expect(await pump(log, to, 20, 10)).toEqual([])
    await expectAll(to, 1, 20)
  })
})

describe('the group', () => {
  test('a process that starts again at once has its partitions at once, at the same generation', async () => {
    const { input, group } = await topics(2, 2)
    const one = scene.log({ input, group, slot: 'one', brokers: proxy.brokers, sessionTimeoutMs: 20_000 })
    const { generation } = await one.acquire(never)
    proxy.cut()
    const started = performance.now()
    const again = await scene.log({ input, group, slot: 'one', sessionTimeoutMs: 20_000 }).acquire(within(3_000))
    expect(again.generation).toBe(generation)
    expect([...again.positions.keys()]).toEqual([0, 1])
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  test('a batch that takes longer than the session keeps its place', async () => {
    const { input, to, group, slot } = await topics(1, 10)
    const log = scene.log({ input, group, slot, sessionTimeoutMs: 1_000 })
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 10)
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    expect(assignment.ended.aborted).toBe(false)
    expect(await log.commit(passThrough(batches, to), nextOffsets(batches), assignment)).toEqual({ kind: 'committed' })
  })

  test('a fetch that waits at the broker stands before no commit', async () => {
    const { input, to, group, slot } = await topics(1, 10)
    const log = scene.log({ input, group, slot, fetchMaxWaitMs: 4_000 })
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
    const { input, group } = await topics(2, 2)
    const [one, two] = ['one', 'two'].map((slot) => scene.log({ input, group, slot, sessionTimeoutMs: 20_000 }))
    const both = await Promise.all([one!.acquire(never), two!.acquire(never)])
    expect(both.length).toBe(2)
    await one!.close()
    await eventually(async () => {
      const { positions } = await two!.acquire(within(3_000))
      expect(positions.size).toBe(2)
    }, 3_000)
  })

  test('the leader ends the transaction that a dead slot left open, so that readers do not wait for its time-out', async () => {
    const { input, to, group } = await topics(2, 40)
    const doomed = await openProxy(kafka.brokers)
    const dead = scene.log({ input, group, slot: 'dead', brokers: doomed.brokers })
    const assignment = await dead.acquire(never)
    const batches = await pollSome(dead, assignment, 10)
    const end = doomed.hold('EndTxn')
    const commit = dead.commit(passThrough(batches, to), nextOffsets(batches), assignment)
    await end.arrived
    doomed.sever()
    expect(await commit).toMatchObject({ kind: 'discarded' })
    const { list, onStatus } = statuses()
    const survivor = scene.log({ input, group, slot: 'survivor', onStatus })
    const started = performance.now()
    await pump(survivor, to, 40, 10, within(12_000))
    expect(performance.now() - started).toBeLessThan(10_000)
    expect(list.filter(({ kind }) => kind === 'ended')).toMatchObject([{ kind: 'ended', slot: 'dead' }])
    await expectAll(to, 2, 40)
    await doomed.close()
  })

  test('partitions added to the input are read without a restart', async () => {
    const { input, group, slot } = await topics(1, 1)
    const log = scene.log({ input, group, slot, metadataMs: 200 })
    const assignment = await log.acquire(never)
    await scene.grow(input, 3)
    await new Promise((resolve) => assignment.ended.addEventListener('abort', resolve, { once: true }))
    expect([...(await log.acquire(within(5_000))).positions.keys()]).toEqual([0, 1, 2])
  })
})

describe('the log', () => {
  test('input that retention deleted unread is reported, not skipped in silence', async () => {
    const { input, group, slot } = await topics(1, 30)
    const { list, onStatus } = statuses()
    const log = scene.log({ input, group, slot, onStatus })
    const assignment = await log.acquire(never)
    expect(await log.commit([], new Map([[0, 5]]), assignment)).toEqual({ kind: 'committed' })
    await scene.deleteBefore(input, 0, 20)
    const again = await log.acquire(never)
    expect(again.positions.get(0)).toEqual({ start: 20, committed: 5 })
    expect(list.filter(({ kind }) => kind === 'gap')).toMatchObject([{ partition: 0, from: 5, to: 20 }])
    expect((await pollSome(log, again, 100))[0]).toMatchObject({ from: 20, next: 30 })
  })

  test('an offset that retention overtakes ends the assignment', async () => {
    const { input, group, slot } = await topics(1, 30)
    const { list, onStatus } = statuses()
    const log = scene.log({ input, group, slot, onStatus, brokers: proxy.brokers })
    const fetch = proxy.hold('Fetch')
    const assignment = await log.acquire(never)
    await fetch.arrived
    await scene.deleteBefore(input, 0, 20)
    fetch.release()
    await new Promise((resolve) => assignment.ended.addEventListener('abort', resolve, { once: true }))
    expect((await log.acquire(never)).positions.get(0)).toEqual({ start: 20, committed: null })
    expect(list.some(({ kind, text }) => kind === 'stalled' && text.includes('offset 0'))).toBe(true)
  })

  test('a committed offset beyond the end is reported and holds up no other partition', async () => {
    const { input, to, group, slot } = await topics(2, 40)
    const { list, onStatus } = statuses()
    const log = scene.log({ input, group, slot, onStatus })
    const assignment = await log.acquire(never)
    await log.commit([], new Map([[1, 999]]), assignment)
    const again = await log.acquire(never)
    expect([...again.positions.keys()]).toEqual([0])
    expect(list.filter(({ kind }) => kind === 'stalled')).toMatchObject([{ partition: 1 }])
    expect(await pump(log, to, 20, 10)).toEqual([])
  })

  test.for(['gzip', 'snappy', 'lz4', 'zstd'])('records that %s compressed are read', async (codec) => {
    const topic = await scene.topic(1, 1, [{ name: 'compression.type', value: codec }])
    const values = numbered(300, 'a fairly repetitive record ')
    await scene.put(topic, 0, values)
    const bare = await scene.topic(1)
    await scene.putPacked(bare, codec, values)
    for (const input of [topic, bare]) {
      const log = scene.log({ input, group: scene.unique('g'), slot: 's1' })
      const assignment = await log.acquire(never)
      const read: string[] = []
      while (read.length < values.length) {
        for (const { records } of await pollSome(log, assignment, 100))
          read.push(...records.map(({ value }) => String(value)))
      }
      expect(read).toEqual(values)
      await log.close()
    }
  })

  test('aborted records are not read, however their transactions overlap', async () => {
    const { input, group, slot } = await topics(1, 0)
    const [a, b] = [await scene.writer(scene.unique('a')), await scene.writer(scene.unique('b'))]
    await a.write(input, 0, ['a0 aborted'])
    await b.write(input, 0, ['b0 aborted'])
    await a.write(input, 0, ['a1 aborted'])
    await b.abort()
    await b.write(input, 0, ['b1'])
    await a.abort()
    await b.commit()
    await a.write(input, 0, ['a2 aborted'])
    await a.abort()
    await a.write(input, 0, numbered(30, 'long aborted '))
    await scene.put(input, 0, ['plain'])
    await a.abort()
    await a.write(input, 0, ['a3'])
    await a.commit()
    const log = scene.log({ input, group, slot, partitionFetchBytes: 100 })
    const assignment = await log.acquire(never)
    const read: string[] = []
    const runs = []
    while (read.length < 3) {
      for (const run of await pollSome(log, assignment, 1)) {
        runs.push([run.from, run.next])
        read.push(...run.records.map(({ value }) => String(value)))
      }
    }
    expect(read).toEqual(['b1', 'plain', 'a3'])
    expect(read).toEqual((await scene.visible(input)).map(({ value }) => value))
    expect(runs.slice(1).map(([from]) => from)).toEqual(runs.slice(0, -1).map(([, next]) => next))
    expect(await log.poll(assignment, 10, 100)).toEqual([])
  })
})
