import { describe, expect, test } from 'vitest'
import { Writer as BodyWriter } from '../../src/kafka/wire/writer.ts'
import {
  endOf,
  eventually,
  nextOffsets,
  numbered,
  passThrough,
  pollSome,
  pump,
  statuses,
} from './support/kafka-scene.ts'
import { never, openStage } from './support/stage.ts'

const stage = openStage()

describe('in good weather', () => {
  test('every record has one verdict, in order, and the next process goes on where the last one ended', async () => {
    const { input, to, group, slot } = await stage.play(3, 600)
    const first = stage.scene.log({ input, group, slot })
    const assignment = await first.acquire(never)
    expect([...assignment.positions]).toEqual([0, 1, 2].map((p) => [p, { start: 0, committed: null }]))
    expect(await pump(first, to, 300, 50)).toEqual([])
    await first.close()
    expect(await pump(stage.scene.log({ input, group, slot }), to, 600, 50)).toEqual([])
    await stage.expectAll(to, 3, 600)
  })

  test('offsets alone, and outputs alone, are transactions too', async () => {
    const { input, to, group, slot } = await stage.play(1, 4)
    const log = stage.scene.log({ input, group, slot })
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 2)
    expect(await log.commit([], nextOffsets(batches), assignment)).toEqual({ kind: 'committed' })
    expect(await log.commit(passThrough(batches, to), new Map(), assignment)).toEqual({ kind: 'committed' })
    expect(await log.commit([], new Map(), assignment)).toEqual({ kind: 'committed' })
    expect((await stage.scene.visible(to)).map(({ value }) => value)).toEqual(['p0-0', 'p0-1'])
    expect((await log.acquire(never)).positions.get(0)).toEqual({ start: 2, committed: 2 })
  })

  test('transactions back to back wait for the markers of the last one, and none is discarded', async () => {
    const { input, to, group, slot } = await stage.play(2, 400)
    const log = stage.scene.log({ input, group, slot })
    expect(await pump(log, to, 400, 4)).toEqual([])
    const { requests, committed, markerWaits } = log.stats()
    expect(markerWaits).toBeGreaterThan(0)
    expect(requests.get('AddPartitionsToTxn')).toBe(committed + markerWaits)
    for (const api of ['Produce', 'AddOffsetsToTxn', 'TxnOffsetCommit', 'EndTxn'])
      expect(requests.get(api)).toBe(committed)
    await stage.expectAll(to, 2, 400)
  })

  test('what does not fit in one batch goes in several, in sequence', async () => {
    const { input, to, group, slot } = await stage.play(1, 500)
    const log = stage.scene.log({ input, group, slot, maxBatchBytes: 2_000 })
    expect(await pump(log, to, 500, 250)).toEqual([])
    expect(log.stats().requests.get('Produce')).toBeGreaterThan(2 * log.stats().committed)
    await stage.expectAll(to, 1, 500)
  })

  test('a topic that takes less than our batches gets smaller ones, and one record too many is named', async () => {
    const { input, group, slot } = await stage.play(1, 500)
    const to = await stage.scene.topic(1, 1, [{ name: 'max.message.bytes', value: '3000' }])
    const log = stage.scene.log({ input, group, slot })
    expect(new Set(await pump(log, to, 500, 250))).toEqual(new Set(['MESSAGE_TOO_LARGE']))
    await stage.expectAll(to, 1, 500)
    const assignment = await log.acquire(never)
    const large = { topic: to, partition: 0, key: null, value: Buffer.alloc(4000), timestamp: 0, headers: [] }
    expect(await log.commit([large], new Map(), assignment)).toMatchObject({
      kind: 'discarded',
      code: 'MESSAGE_TOO_LARGE',
      tooLarge: { topic: to, partition: 0 },
    })
  })

  test('what is put back is polled next and in order, no sooner than asked, while other partitions go on', async () => {
    const { input, group, slot } = await stage.play(2, 40)
    const log = stage.scene.log({ input, group, slot })
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

describe('the log', () => {
  test('input that retention deleted unread is reported, not skipped in silence', async () => {
    const { input, group, slot } = await stage.play(1, 30)
    const { list, onStatus } = statuses()
    const log = stage.scene.log({ input, group, slot, onStatus })
    const assignment = await log.acquire(never)
    expect(await log.commit([], new Map([[0, 5]]), assignment)).toEqual({ kind: 'committed' })
    await stage.scene.deleteBefore(input, 0, 20)
    const again = await log.acquire(never)
    expect(again.positions.get(0)).toEqual({ start: 20, committed: 5 })
    expect(list.filter(({ kind }) => kind === 'gap')).toMatchObject([{ partition: 0, from: 5, to: 20 }])
    expect((await pollSome(log, again, 100))[0]).toMatchObject({ from: 20, next: 30 })
  })

  test('an offset that retention overtakes ends the assignment', async () => {
    const { input, group, slot } = await stage.play(1, 30)
    const { list, onStatus } = statuses()
    const log = stage.scene.log({ input, group, slot, onStatus, brokers: stage.proxy.brokers })
    const fetch = stage.proxy.hold('Fetch')
    const assignment = await log.acquire(never)
    await fetch.arrived
    await stage.scene.deleteBefore(input, 0, 20)
    fetch.release()
    await endOf(assignment)
    expect((await log.acquire(never)).positions.get(0)).toEqual({ start: 20, committed: null })
    expect(list.some(({ kind, text }) => kind === 'stalled' && text.includes('offset 0'))).toBe(true)
  })

  test('an offset that an operator has set is told from one of ours', async () => {
    const { input, group, slot } = await stage.play(1, 30)
    const log = stage.scene.log({ input, group, slot })
    expect(await log.commit([], new Map([[0, 5]]), await log.acquire(never))).toEqual({ kind: 'committed' })
    expect((await log.acquire(never)).positions.get(0)).toEqual({ start: 5, committed: 5 })
    await log.close()
    await stage.scene.setOffset(group, input, 0, 2)
    const next = stage.scene.log({ input, group, slot })
    expect((await next.acquire(never)).positions.get(0)).toEqual({ start: 2, committed: 2, isSetByHand: true })
    await next.close()
  })

  test.for(['its leader says so', 'the metadata says so'])(
    'a topic that is deleted and made anew is read from its beginning: %s',
    async (how) => {
      const { input, to, group, slot } = await stage.play(1, 10)
      const log = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers, requestTimeoutMs: 20_000 })
      expect(await pump(log, to, 10, 10)).toEqual([])
      const assignment = await log.acquire(never)
      const looks = [stage.proxy.hold('Metadata')]
      if (how === 'the metadata says so') {
        looks.push(stage.proxy.hold('Metadata'))
        await stage.proxy.answer('Fetch', fetched(input, NOT_LEADER_OR_FOLLOWER))
        await looks[0]?.arrived
      }
      await stage.scene.remove(input)
      if (looks.length > 1) looks.shift()?.release()
      const acquired = endOf(assignment).then(async () => await log.acquire(never))
      await looks[0]?.arrived
      await stage.scene.make(input, 1)
      await stage.scene.put(input, 0, numbered(30, 'new '))
      looks[0]?.release()
      const anew = await Promise.race([acquired, pollSome(log, assignment, 1)])
      expect(anew).toMatchObject({ positions: new Map([[0, { start: 0, committed: null }]]) })
    },
  )

  test('a committed offset beyond the end is reported and holds up no other partition', async () => {
    const { input, to, group, slot } = await stage.play(2, 40)
    const { list, onStatus } = statuses()
    const log = stage.scene.log({ input, group, slot, onStatus })
    const assignment = await log.acquire(never)
    await log.commit([], new Map([[1, 999]]), assignment)
    const again = await log.acquire(never)
    expect([...again.positions.keys()]).toEqual([0])
    expect(list.filter(({ kind }) => kind === 'stalled')).toMatchObject([{ partition: 1 }])
    expect(await pump(log, to, 20, 10)).toEqual([])
    // What lies below 999 then was never read.
    await stage.scene.put(input, 1, numbered(1000, 'new '))
    expect([...(await log.acquire(never)).positions.keys()]).toEqual([0])
    await log.close()
    await stage.scene.setOffset(group, input, 1, 0)
    const next = stage.scene.log({ input, group, slot })
    expect((await next.acquire(never)).positions.get(1)?.start).toBe(0)
    await next.close()
  })

  test.for(['gzip', 'snappy', 'lz4', 'zstd'])('records that %s compressed are read', async (codec) => {
    const topic = await stage.scene.topic(1, 1, [{ name: 'compression.type', value: codec }])
    const values = numbered(300, 'a fairly repetitive record ')
    await stage.scene.put(topic, 0, values)
    const bare = await stage.scene.topic(1)
    await stage.scene.putPacked(bare, codec, values)
    for (const input of [topic, bare]) {
      const log = stage.scene.log({ input, group: stage.scene.unique('g'), slot: 's1' })
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
    const { input, group, slot } = await stage.play(1, 0)
    const [a, b] = [
      await stage.scene.writer(stage.scene.unique('a')),
      await stage.scene.writer(stage.scene.unique('b')),
    ]
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
    await stage.scene.put(input, 0, ['plain'])
    await a.abort()
    await a.write(input, 0, ['a3'])
    await a.commit()
    const log = stage.scene.log({ input, group, slot, partitionFetchBytes: 100 })
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
    expect(read).toEqual((await stage.scene.visible(input)).map(({ value }) => value))
    expect(runs.slice(1).map(([from]) => from)).toEqual(runs.slice(0, -1).map(([, next]) => next))
    expect(await log.poll(assignment, 10, 100)).toEqual([])
  })
})

const NOT_LEADER_OR_FOLLOWER = 6

/** An answer to Fetch about one partition, without records. */
function fetched(topic: string, code: number): Buffer {
  const w = new BodyWriter().int32(0).int16(0).int32(0)
  w.array([topic], (name) => {
    w.string(name).array([0], (partition) => {
      w.int32(partition).int16(code).int64(0).int64(0).int64(0).int32(0).int32(-1).nullableBytes(null)
    })
  })
  return w.written()
}
