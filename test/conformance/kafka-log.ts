import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { fetchRecords } from '../../src/kafka/wire/messages/fetch.ts'
import { AT } from '../../src/kafka/wire/record-batch.ts'
import { NEWCOMER } from '../../src/kafka/wire/messages/transaction.ts'
import type { Producer } from '../../src/kafka/wire/messages/transaction.ts'
import { crc32c } from '../../src/kafka/wire/crc32c.ts'
import { batchOf, KafkaCaller, TIME } from './kafka-caller.ts'
import type { KafkaSubject } from './kafka-caller.ts'

const OUT_OF_ORDER = 45
const OUT_OF_RANGE = 1

const long = (name: string, length: number): string => name.padEnd(length, '.')

/** What a partition's leader promises: batches, sequences, what may be read. */
export function logConformance(name: string, open: () => Promise<KafkaSubject>): void {
  describe(`${name} keeps logs as Kafka does`, () => {
    let subject: KafkaSubject
    let caller: KafkaCaller
    let topic: string
    let id: string

    beforeAll(async () => {
      subject = await open()
      caller = new KafkaCaller(subject)
    })
    beforeEach(async () => {
      topic = await subject.topic(2)
      id = subject.unique('id')
    })
    afterAll(async () => {
      caller.close()
      await subject.close()
    })

    /** A producer with a transaction open in partition 0. */
    const opened = async (): Promise<Producer> => {
      const producer = await caller.fence(id)
      await caller.added(id, producer, topic, 0)
      return producer
    }
    const at = (producer: Producer, sequence: number, ...values: readonly string[]) =>
      caller.produce(id, producer, topic, 0, sequence, values)

    describe('sequences', () => {
      test('count records, and go on over transactions of one epoch', async () => {
        const producer = await opened()
        expect(await at(producer, 0, 'a', 'b')).toEqual([0, 0])
        expect(await at(producer, 2, 'c')).toEqual([0, 2])
        await caller.end(id, producer)
        await caller.added(id, producer, topic, 0)
        expect(await at(producer, 3, 'd')).toEqual([0, 4])
        expect(await at(producer, 0, 'x')).toEqual([OUT_OF_ORDER, -1])
      })

      test('with a gap or a step back are out of order', async () => {
        const producer = await opened()
        await at(producer, 0, 'a', 'b')
        expect(await at(producer, 3, 'd')).toEqual([OUT_OF_ORDER, -1])
        expect(await at(producer, 1, 'b', 'c')).toEqual([OUT_OF_ORDER, -1])
        expect(await at(producer, 2, 'c')).toEqual([0, 2])
      })

      test('may begin anywhere for a producer that the partition does not know', async () => {
        const producer = await opened()
        expect(await at(producer, 7, 'a')).toEqual([0, 0])
        expect(await at(producer, 8, 'b')).toEqual([0, 1])
      })

      test('begin at 0 in a new epoch', async () => {
        const producer = await opened()
        await at(producer, 0, 'a')
        await caller.end(id, producer)
        const next = await caller.fence(id, producer)
        await caller.added(id, next, topic, 0)
        expect(await at(next, 1, 'x')).toEqual([OUT_OF_ORDER, -1])
        expect(await at(next, 0, 'b')).toEqual([0, 2])
      })

      test('of each partition are its own', async () => {
        const producer = await opened()
        await caller.added(id, producer, topic, 1)
        expect(await at(producer, 0, 'a')).toEqual([0, 0])
        expect(await caller.produce(id, producer, topic, 1, 0, ['b'])).toEqual([0, 0])
      })

      test('wrap to 0', async () => {
        const producer = await opened()
        expect(await at(producer, 0x7fff_fffe, 'a', 'b')).toEqual([0, 0])
        expect(await at(producer, 0, 'c')).toEqual([0, 2])
      })
    })

    describe('a batch that comes twice', () => {
      test('is answered with the offset it has and not appended', async () => {
        const producer = await opened()
        await at(producer, 0, 'a', 'b')
        await at(producer, 2, 'c')
        expect(await at(producer, 0, 'a', 'b')).toEqual([0, 0])
        expect(await at(producer, 2, 'c')).toEqual([0, 2])
        await caller.end(id, producer)
        expect(await caller.settled(topic, 0)).toEqual(['0:a', '1:b', '2:c'])
      })

      test('is known by its sequences, whatever is in it', async () => {
        const producer = await opened()
        await at(producer, 0, 'a', 'b')
        expect(await at(producer, 0, 'x', 'y')).toEqual([0, 0])
        expect(await at(producer, 0, 'x')).toEqual([OUT_OF_ORDER, -1])
        await caller.end(id, producer)
        expect(await caller.settled(topic, 0)).toEqual(['0:a', '1:b'])
      })

      test('is known for the last five batches, and out of order before', async () => {
        const producer = await opened()
        for (let sequence = 0; sequence < 6; sequence++) await at(producer, sequence, `${sequence}`)
        expect(await at(producer, 1, '1')).toEqual([0, 1])
        expect(await at(producer, 0, '0')).toEqual([OUT_OF_ORDER, -1])
        expect(await at(producer, 6, '6')).toEqual([0, 6])
        expect(await at(producer, 1, '1')).toEqual([OUT_OF_ORDER, -1])
      })

      test('after the end of its transaction is known in the next one', async () => {
        const producer = await opened()
        await at(producer, 0, 'a')
        await caller.end(id, producer)
        await caller.added(id, producer, topic, 0)
        expect(await at(producer, 0, 'a')).toEqual([0, 0])
        await caller.end(id, producer)
        await caller.grown(topic, 0, 3)
        expect(await caller.settled(topic, 0)).toEqual(['0:a'])
      })

      test('of an idempotent producer without transactions as well', async () => {
        const producer = await caller.idempotent()
        const send = (sequence: number, value: string) =>
          caller.produceBytes(null, topic, 0, batchOf(producer, sequence, [value], false))
        expect([await send(0, 'a'), await send(0, 'a'), await send(1, 'b')]).toEqual([
          [0, 0],
          [0, 0],
          [0, 1],
        ])
        expect(await send(3, 'd')).toEqual([OUT_OF_ORDER, -1])
        expect(await caller.visible(topic, 0)).toEqual(['0:a', '1:b'])
      })

      test('without a producer is appended twice', async () => {
        const batch = batchOf(NEWCOMER, -1, ['a', 'b'], false)
        expect(await caller.produceBytes(null, topic, 0, batch)).toEqual([0, 0])
        expect(await caller.produceBytes(null, topic, 0, batch)).toEqual([0, 2])
        expect(await caller.visible(topic, 0)).toEqual(['0:a', '1:b', '2:a', '3:b'])
      })
    })

    describe('a batch that is not as it should be', () => {
      const bad: readonly (readonly [what: string, code: number, spoil: (batch: Buffer) => void])[] = [
        [
          'with a wrong checksum',
          2,
          (batch) => batch.writeUInt8(batch.readUInt8(batch.length - 2) ^ 1, batch.length - 2),
        ],
        ['with a base offset', 87, (batch) => batch.writeInt32BE(1, AT.baseOffset + 4)],
        ['that counts other than its offsets', 87, (batch) => sealed(batch, () => batch.writeInt32BE(3, AT.count))],
        ['that is a marker', 87, (batch) => sealed(batch, () => batch.writeInt16BE(0x20, AT.attributes))],
      ]
      test.for(bad)('%s is refused', async ([, code, spoil]) => {
        const batch = batchOf(NEWCOMER, -1, ['a', 'b'], false)
        spoil(batch)
        expect(await caller.produceBytes(null, topic, 0, batch)).toEqual([code, -1])
        expect(await caller.visible(topic, 0)).toEqual([])
      })

      test('with a producer and no sequence is refused', async () => {
        const producer = await caller.idempotent()
        const batch = batchOf(producer, -1, ['a'], false)
        expect(await caller.produceBytes(null, topic, 0, batch)).toEqual([87, -1])
      })

      test('and larger than the topic allows is refused', async () => {
        const batch = batchOf(
          NEWCOMER,
          -1,
          Array.from({ length: 1 }, () => 'x'.repeat(1_100_000)),
          false,
        )
        expect(batch.length).toBeGreaterThan(1_048_588)
        expect(await caller.produceBytes(null, topic, 0, batch)).toEqual([10, -1])
      })

      test('transactional under no id is refused', async () => {
        const producer = await opened()
        expect(await caller.produceBytes(null, topic, 0, batchOf(producer, 0, ['a'], true))).toEqual([53, -1])
      })

      test('without a transaction while its producer has one open there is refused', async () => {
        const producer = await opened()
        await at(producer, 0, 'a')
        expect(await caller.produceBytes(id, topic, 0, batchOf(producer, 1, ['b'], false))).toEqual([48, -1])
      })
    })

    describe('the edges of a log', () => {
      test('count control records; the last stable offset is before the first open transaction', async () => {
        const producer = await opened()
        expect(await caller.edges(topic, 0)).toEqual({ start: 0, stable: 0, end: 0 })
        await at(producer, 0, 'a', 'b')
        await caller.produceBytes(null, topic, 0, batchOf(NEWCOMER, -1, ['free'], false))
        expect(await caller.edges(topic, 0)).toEqual({ start: 0, stable: 0, end: 3 })
        await caller.end(id, producer)
        expect(await caller.settled(topic, 0)).toEqual(['0:a', '1:b', '2:free'])
        expect(await caller.edges(topic, 0)).toEqual({ start: 0, stable: 4, end: 4 })
      })

      test('a partition that was added and not written to gets a marker all the same', async () => {
        const producer = await opened()
        await caller.end(id, producer)
        await caller.grown(topic, 0, 1)
        expect(await caller.edges(topic, 0)).toEqual({ start: 0, stable: 1, end: 1 })
      })

      test('a time finds the first record that late', async () => {
        await caller.produceBytes(null, topic, 0, batchOf(NEWCOMER, -1, ['a', 'b'], false))
        expect(await caller.edge(topic, 0, TIME)).toEqual([0, 0])
        expect(await caller.edge(topic, 0, TIME + 1)).toEqual([0, -1])
      })

      test('retention moves the start, and what was before is out of range', async () => {
        for (const value of ['a', 'b', 'c']) {
          await caller.produceBytes(null, topic, 0, batchOf(NEWCOMER, -1, [value], false))
        }
        await subject.deleteBefore(topic, 0, 2)
        expect(await caller.edges(topic, 0)).toEqual({ start: 2, stable: 3, end: 3 })
        expect(await caller.fetch(topic, 0, 1)).toMatchObject({ code: OUT_OF_RANGE })
        expect(await caller.visible(topic, 0, {}, 2)).toEqual(['2:c'])
        expect(await caller.fetch(topic, 0, 3)).toMatchObject({ code: 0, highWatermark: 3, logStart: 2 })
        expect(await caller.fetch(topic, 0, 4)).toMatchObject({ code: OUT_OF_RANGE })
      })

      test('retention within a batch hides nothing of it from whoever reads on', async () => {
        await caller.produceBytes(null, topic, 0, batchOf(NEWCOMER, -1, ['a', 'b', 'c'], false))
        await subject.deleteBefore(topic, 0, 1)
        expect(await caller.fetch(topic, 0, 0)).toMatchObject({ code: OUT_OF_RANGE })
        expect(await caller.visible(topic, 0, {}, 1)).toEqual(['1:b', '2:c'])
      })

      test('a producer whose records were deleted goes on where it was', async () => {
        const producer = await opened()
        await at(producer, 0, 'a', 'b')
        await caller.end(id, producer)
        await caller.settled(topic, 0)
        await subject.deleteBefore(topic, 0, 3)
        await caller.added(id, producer, topic, 0)
        expect(await at(producer, 5, 'x')).toEqual([OUT_OF_ORDER, -1])
        expect(await at(producer, 2, 'c')).toEqual([0, 3])
      })
    })

    describe('a fetch', () => {
      test('of a partition that is not there says so', async () => {
        expect(await caller.fetch(topic, 0, 0)).toMatchObject({ code: 0, records: Buffer.alloc(0) })
        const leader = await caller.leader(topic, 0)
        const answer = await caller.cluster.send(
          leader,
          'fetch',
          fetchRecords([{ topic, partition: 9, offset: 0 }], { maxWaitMs: 0, maxBytes: 1, partitionMaxBytes: 1 }),
        )
        expect(answer.partitions[0]?.code).toBe(3)
      })

      test('gives whole batches from the one that holds the offset', async () => {
        await caller.produceBytes(null, topic, 0, batchOf(NEWCOMER, -1, ['a', 'b'], false))
        await caller.produceBytes(null, topic, 0, batchOf(NEWCOMER, -1, ['c', 'd'], false))
        const all = await caller.fetch(topic, 0, 0)
        expect((await caller.fetch(topic, 0, 1)).records).toEqual(all.records)
        expect((await caller.fetch(topic, 0, 2)).records.length).toBe(all.records.length / 2)
      })

      test('is cut after its bytes, but gives one batch whole', async () => {
        for (const value of ['a', 'b', 'c']) {
          await caller.produceBytes(null, topic, 0, batchOf(NEWCOMER, -1, [long(value, 1_000)], false))
        }
        const size = (await caller.fetch(topic, 0, 0)).records.length / 3
        const lengths = async (maxBytes: number, partitionMaxBytes: number) =>
          (await caller.fetch(topic, 0, 0, { maxBytes, partitionMaxBytes })).records.length / size
        expect(await lengths(8_000_000, 1)).toBe(1)
        expect(await lengths(1, 8_000_000)).toBe(1)
        expect(await lengths(8_000_000, size + 10)).toBe(1 + 10 / size)
        expect(await lengths(size * 2, 8_000_000)).toBe(2)
        expect(await caller.visible(topic, 0, { partitionMaxBytes: size + 10 })).toHaveLength(3)
      })

      test('of several partitions gives one batch in all whatever its bytes', async () => {
        for (const partition of [0, 1]) {
          await caller.produceBytes(null, topic, partition, batchOf(NEWCOMER, -1, [long('a', 1_000)], false))
        }
        const positions = [0, 1].map((partition) => ({ topic, partition, offset: 0 }))
        const counts = async (maxBytes: number) => {
          const limits = { maxWaitMs: 0, maxBytes, partitionMaxBytes: 8_000_000 }
          const answer = await caller.cluster.send(
            await caller.leader(topic, 0),
            'fetch',
            fetchRecords(positions, limits),
          )
          return answer.partitions.map(({ records }) => records.length > 0)
        }
        expect([await counts(10), await counts(1_500), await counts(8_000_000)]).toEqual([
          [true, false],
          [true, false],
          [true, true],
        ])
      })

      test('shows nothing behind an open transaction, and waits for it to end', async () => {
        const producer = await opened()
        await caller.produceBytes(null, topic, 0, batchOf(NEWCOMER, -1, ['before'], false))
        await at(producer, 0, 'a')
        await caller.produceBytes(null, topic, 0, batchOf(NEWCOMER, -1, ['after'], false))
        expect(await caller.visible(topic, 0)).toEqual(['0:before'])
        const waiting = caller.fetch(topic, 0, 1, { maxWaitMs: 8_000 })
        await subject.advance(50)
        await caller.end(id, producer)
        await subject.advance(50)
        expect((await waiting).records.length).toBeGreaterThan(0)
        expect(await caller.settled(topic, 0)).toEqual(['0:before', '1:a', '2:after'])
      })

      test('waits for a record, at most as long as it may', async () => {
        const empty = caller.fetch(topic, 0, 0, { maxWaitMs: 100 })
        await subject.advance(300)
        expect((await empty).records.length).toBe(0)
        const waiting = caller.fetch(topic, 0, 0, { maxWaitMs: 8_000 })
        await subject.advance(50)
        await caller.produceBytes(null, topic, 0, batchOf(NEWCOMER, -1, ['a'], false))
        await subject.advance(50)
        expect((await waiting).records.length).toBeGreaterThan(0)
      })
    })

    describe('aborted transactions', () => {
      test('are named to the reader, with where they began', async () => {
        const producer = await opened()
        await caller.produceBytes(null, topic, 0, batchOf(NEWCOMER, -1, ['free'], false))
        await at(producer, 0, 'a', 'b')
        expect(await caller.end(id, producer, 'abort')).toBe(0)
        expect(await caller.settled(topic, 0)).toEqual(['0:free'])
        const { aborted } = await caller.fetch(topic, 0, 0)
        expect(aborted).toEqual([{ producerId: producer.id, firstOffset: 1 }])
        expect((await caller.fetch(topic, 0, 3)).aborted).toEqual([{ producerId: producer.id, firstOffset: 1 }])
      })

      test('may overlap and end in any order', async () => {
        const ids = [0, 1, 2].map(() => subject.unique('id'))
        const producers = await Promise.all(ids.map((it) => caller.fence(it)))
        for (const [index, it] of ids.entries()) {
          await caller.added(it, producers[index]!, topic, 0)
          await caller.produce(it, producers[index]!, topic, 0, 0, [`${index}`])
        }
        for (const [index, it] of ids.entries()) await caller.produce(it, producers[index]!, topic, 0, 1, [`${index}+`])
        const marked = async (index: number, how: 'commit' | 'abort', end: number) => {
          await caller.end(ids[index]!, producers[index]!, how)
          await caller.grown(topic, 0, end)
        }
        await marked(2, 'abort', 7)
        expect(await caller.edges(topic, 0)).toEqual({ start: 0, stable: 0, end: 7 })
        await marked(0, 'abort', 8)
        expect(await caller.edges(topic, 0)).toEqual({ start: 0, stable: 1, end: 8 })
        await marked(1, 'commit', 9)
        expect(await caller.settled(topic, 0)).toEqual(['1:1', '4:1+'])
        expect(await caller.visible(topic, 0, { partitionMaxBytes: 1 })).toEqual(['1:1', '4:1+'])
        const { aborted } = await caller.fetch(topic, 0, 0)
        expect(new Set(aborted.map(({ firstOffset }) => firstOffset))).toEqual(new Set([0, 2]))
      })

      test('of one producer may follow each other within one answer', async () => {
        const producer = await caller.fence(id)
        let sequence = 0
        for (const how of ['abort', 'commit', 'abort'] as const) {
          await caller.added(id, producer, topic, 0)
          await at(producer, sequence++, how)
          await caller.end(id, producer, how)
        }
        expect(await caller.settled(topic, 0)).toEqual(['2:commit'])
      })
    })
  })
}

function sealed(batch: Buffer, change: () => void): void {
  change()
  batch.writeUInt32BE(crc32c(batch, AT.attributes), AT.crc)
}
