import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Producer } from '../../src/kafka/wire/messages/transaction.ts'
import type { Seat } from '../../src/kafka/wire/messages/group.ts'
import { CONCURRENT, KafkaCaller } from './kafka-caller.ts'
import type { KafkaSubject } from './kafka-caller.ts'

const FENCED = 90
const STALE_EPOCH = 47
const NOT_IN_TRANSACTION = 48
const WRONG_MAPPING = 49
const UNSTABLE = 88

/** What the transaction coordinator and its partitions promise. */
export function transactionConformance(name: string, open: () => Promise<KafkaSubject>): void {
  describe(`${name} keeps transactions as Kafka does`, () => {
    let subject: KafkaSubject
    let caller: KafkaCaller
    let topic: string
    let id: string
    let nobody: Seat

    beforeAll(async () => {
      subject = await open()
      caller = new KafkaCaller(subject)
      await caller.stableOffset(subject.unique('g'), await subject.topic(1))
    })
    beforeEach(async () => {
      topic = await subject.topic(2)
      id = subject.unique('id')
      nobody = { group: subject.unique('g'), member: '', instance: null, generation: -1 }
    })
    afterAll(async () => {
      caller.close()
      await subject.close()
    })

    const opened = async (): Promise<Producer> => {
      const producer = await caller.fence(id)
      await caller.added(id, producer, topic, 0)
      return producer
    }
    const at = (producer: Producer, sequence: number, ...values: readonly string[]) =>
      caller.produce(id, producer, topic, 0, sequence, values)

    describe('InitProducerId', () => {
      test('gives an id once and a new epoch each time', async () => {
        const first = await caller.fence(id)
        const second = await caller.fence(id)
        expect([first.epoch, second]).toEqual([0, { id: first.id, epoch: 1 }])
        expect((await caller.fence(subject.unique('id'))).id).not.toBe(first.id)
      })

      test('of an owner gives the next epoch, and the same again when its answer was lost', async () => {
        const first = await caller.fence(id)
        const second = await caller.init(id, first)
        expect(second).toEqual({ code: 0, producer: { id: first.id, epoch: 1 } })
        expect(await caller.init(id, first)).toEqual(second)
        expect(await caller.init(id, second.producer)).toEqual({ code: 0, producer: { id: first.id, epoch: 2 } })
        expect((await caller.init(id, first)).code).toBe(FENCED)
      })

      test('of an owner is refused after a newcomer', async () => {
        const first = await caller.fence(id)
        const second = await caller.fence(id)
        expect((await caller.init(id, first)).code).toBe(FENCED)
        expect((await caller.init(id, second)).producer.epoch).toBe(2)
      })

      test('of an owner of another id, or of an epoch to come, is refused', async () => {
        const first = await caller.fence(id)
        expect((await caller.init(id, { id: first.id + 1_000, epoch: 0 })).code).toBe(FENCED)
        expect((await caller.init(id, { id: first.id, epoch: 5 })).code).toBe(FENCED)
        expect((await caller.init(id, { id: first.id, epoch: -1 })).code).toBe(42)
      })

      test('of an owner that the coordinator does not know is a newcomer’s', async () => {
        const { code, producer } = await caller.init(id, { id: 123_456, epoch: 7 })
        expect([code, producer.epoch, producer.id === 123_456]).toEqual([0, 0, false])
      })

      test('ends what is open first, and fences its producer meanwhile', async () => {
        const first = await opened()
        await at(first, 0, 'a')
        expect((await caller.init(id)).code).toBe(CONCURRENT)
        expect(await caller.end(id, first)).toBe(FENCED)
        const second = await caller.fence(id)
        expect(second).toEqual({ id: first.id, epoch: 2 })
        expect(await caller.settled(topic, 0)).toEqual([])
        expect((await at(first, 1, 'b'))[0]).toBe(STALE_EPOCH)
        expect(await caller.end(id, first)).toBe(FENCED)
      })

      test('of an owner with a transaction open gives the epoch that ended it', async () => {
        const first = await opened()
        await at(first, 0, 'a')
        expect((await caller.init(id, first)).code).toBe(CONCURRENT)
        await caller.settled(topic, 0)
        expect((await caller.fence(id, first)).epoch).toBe(1)
        expect((await caller.fence(id, first)).epoch).toBe(1)
        expect(await caller.add(id, first, topic, 1)).toEqual([FENCED])
        expect((await caller.fence(id)).epoch).toBe(2)
        expect((await caller.init(id, first)).code).toBe(FENCED)
      })

      test('of an owner after the end of its transaction gives the next epoch', async () => {
        const first = await opened()
        await at(first, 0, 'a')
        await caller.end(id, first)
        const second = await caller.fence(id, first)
        expect(second.epoch).toBe(1)
        expect(await caller.settled(topic, 0)).toEqual(['0:a'])
        expect((await at(first, 1, 'b'))[0]).toBe(STALE_EPOCH)
      })

      test('refuses a time-out above the brokers’', async () => {
        expect((await caller.init(id, undefined, 900_001)).code).toBe(50)
        expect((await caller.init(id, undefined, 0)).code).toBe(50)
      })
    })

    describe('a partition', () => {
      test('that was not added takes nothing', async () => {
        const producer = await opened()
        expect(await caller.produce(id, producer, topic, 1, 0, ['a'])).toEqual([NOT_IN_TRANSACTION, -1])
        await caller.added(id, producer, topic, 1)
        expect(await caller.produce(id, producer, topic, 1, 0, ['a'])).toEqual([0, 0])
      })

      test('takes nothing before any was added', async () => {
        const producer = await caller.fence(id)
        expect(await at(producer, 0, 'a')).toEqual([NOT_IN_TRANSACTION, -1])
      })

      test('takes nothing after the end', async () => {
        const producer = await opened()
        await at(producer, 0, 'a')
        await caller.end(id, producer)
        expect(await caller.settled(topic, 0)).toEqual(['0:a'])
        expect(await at(producer, 1, 'b')).toEqual([NOT_IN_TRANSACTION, -1])
        expect(await at(producer, 0, 'a')).toEqual([NOT_IN_TRANSACTION, -1])
      })

      test('takes nothing of an id that the coordinator does not know, or of another producer’s', async () => {
        const producer = await opened()
        expect((await caller.produce(subject.unique('id'), producer, topic, 0, 0, ['a']))[0]).toBe(WRONG_MAPPING)
        const other = { id: producer.id + 1_000, epoch: 0 }
        expect((await at(other, 0, 'a'))[0]).toBe(WRONG_MAPPING)
      })

      test('takes nothing of an epoch to come', async () => {
        const producer = await opened()
        expect((await at({ id: producer.id, epoch: 1 }, 0, 'a'))[0]).toBe(STALE_EPOCH)
      })

      test('takes nothing of an old epoch while the new one has a transaction open there', async () => {
        const first = await opened()
        const second = await caller.fence(id, first)
        await caller.added(id, second, topic, 0)
        expect(await at(second, 0, 'a')).toEqual([0, 1])
        expect(await at(first, 0, 'b')).toEqual([STALE_EPOCH, -1])
        expect(await at(first, 1, 'b')).toEqual([STALE_EPOCH, -1])
      })

      test('that refused a batch asks for the same sequence, not for a later one', async () => {
        const producer = await caller.fence(id)
        expect(await at(producer, 0, 'a')).toEqual([NOT_IN_TRANSACTION, -1])
        await caller.added(id, producer, topic, 0)
        expect(await at(producer, 1, 'b')).toEqual([45, -1])
        expect(await at(producer, 0, 'a')).toEqual([0, 0])
      })

      test('that does not exist is not added, nor are those beside it', async () => {
        const producer = await caller.fence(id)
        expect(await caller.add(id, producer, topic, 0, 9)).toEqual([55, 3])
        expect(await at(producer, 0, 'a')).toEqual([NOT_IN_TRANSACTION, -1])
      })

      test('may be added again', async () => {
        const producer = await opened()
        expect(await caller.add(id, producer, topic, 0)).toEqual([0])
        expect(await caller.add(id, producer, topic, 0, 1)).toEqual([0, 0])
      })
    })

    describe('whoever is not the producer', () => {
      test('of an unknown id adds and ends nothing', async () => {
        const producer = { id: 5, epoch: 0 }
        expect(await caller.add(id, producer, topic, 0)).toEqual([WRONG_MAPPING])
        expect(await caller.addOffsets(id, producer, nobody.group)).toBe(WRONG_MAPPING)
        expect(await caller.end(id, producer)).toBe(WRONG_MAPPING)
      })

      test('of another producer id or epoch adds and ends nothing', async () => {
        const { id: producerId } = await opened()
        for (const [producer, code] of [
          [{ id: producerId + 1_000, epoch: 0 }, WRONG_MAPPING],
          [{ id: producerId, epoch: 1 }, FENCED],
        ] as const) {
          expect(await caller.add(id, producer, topic, 1)).toEqual([code])
          expect(await caller.addOffsets(id, producer, nobody.group)).toBe(code)
          expect(await caller.end(id, producer)).toBe(code)
        }
      })
    })

    describe('EndTxn', () => {
      test('repeated says the same, and changes nothing', async () => {
        const producer = await opened()
        await at(producer, 0, 'a')
        expect(await caller.end(id, producer)).toBe(0)
        await caller.settled(topic, 0)
        expect(await caller.untilEnded(id, producer)).toBe(0)
        expect(await caller.end(id, producer, 'abort')).toBe(NOT_IN_TRANSACTION)
        expect(await caller.settled(topic, 0)).toEqual(['0:a'])
        expect((await caller.edges(topic, 0)).end).toBe(2)
      })

      test('of an abort repeated says the same', async () => {
        const producer = await opened()
        await at(producer, 0, 'a')
        expect(await caller.end(id, producer, 'abort')).toBe(0)
        await caller.settled(topic, 0)
        expect(await caller.untilEnded(id, producer, 'abort')).toBe(0)
        expect(await caller.end(id, producer)).toBe(NOT_IN_TRANSACTION)
      })

      test('without a transaction is refused', async () => {
        const producer = await caller.fence(id)
        expect(await caller.end(id, producer)).toBe(NOT_IN_TRANSACTION)
        expect(await caller.end(id, producer, 'abort')).toBe(NOT_IN_TRANSACTION)
      })

      test('delayed into the next transaction ends that', async () => {
        const producer = await opened()
        await at(producer, 0, 'a')
        await caller.end(id, producer)
        await caller.added(id, producer, topic, 0)
        await at(producer, 1, 'b')
        expect(await caller.end(id, producer)).toBe(0)
        expect(await caller.settled(topic, 0)).toEqual(['0:a', '2:b'])
      })

      test('delayed beyond a fence ends nothing', async () => {
        const first = await opened()
        await at(first, 0, 'a')
        await caller.fence(id)
        const second = await caller.fence(id)
        await caller.added(id, second, topic, 0)
        await at(second, 0, 'b')
        expect(await caller.end(id, first)).toBe(FENCED)
        expect(await caller.end(id, first, 'abort')).toBe(FENCED)
        expect((await caller.edges(topic, 0)).stable).toBe(2)
      })

      test('with nothing written is fine', async () => {
        const producer = await caller.fence(id)
        await caller.addedOffsets(id, producer, nobody.group)
        expect(await caller.end(id, producer)).toBe(0)
      })
    })

    test('a transaction that outlasts its time-out is aborted, and its producer fenced', async () => {
      const producer = await caller.fence(id, undefined, 1_500)
      await caller.added(id, producer, topic, 0)
      await at(producer, 0, 'a')
      expect((await caller.edges(topic, 0)).stable).toBe(0)
      expect(await caller.settled(topic, 0)).toEqual([])
      expect(await caller.end(id, producer)).toBe(FENCED)
      expect(await caller.add(id, producer, topic, 0)).toEqual([FENCED])
      expect((await caller.init(id, producer)).producer.epoch).toBe(1)
      expect((await caller.fence(id)).epoch).toBe(2)
    })

    describe('offsets of a transaction', () => {
      test('count once it is committed, and are unstable before', async () => {
        const producer = await caller.fence(id)
        expect(await caller.committed(nobody.group, topic)).toEqual([0, -1])
        await caller.addedOffsets(id, producer, nobody.group)
        expect(await caller.committed(nobody.group, topic)).toEqual([0, -1])
        expect(await caller.commitWithin(id, producer, nobody, topic, 5)).toBe(0)
        expect(await caller.committed(nobody.group, topic)).toEqual([UNSTABLE, -1])
        await caller.end(id, producer)
        expect(await caller.stableOffset(nobody.group, topic)).toBe(5)
      })

      test('do not count when it is aborted', async () => {
        expect(await caller.commitOutside(nobody, topic, 3)).toBe(0)
        const producer = await caller.fence(id)
        await caller.addedOffsets(id, producer, nobody.group)
        await caller.commitWithin(id, producer, nobody, topic, 5)
        await caller.end(id, producer, 'abort')
        expect(await caller.stableOffset(nobody.group, topic)).toBe(3)
      })

      test('the last commit counts, of those in one transaction', async () => {
        const producer = await caller.fence(id)
        await caller.addedOffsets(id, producer, nobody.group)
        expect(await caller.commitWithin(id, producer, nobody, topic, 9)).toBe(0)
        expect(await caller.commitWithin(id, producer, nobody, topic, 4)).toBe(0)
        await caller.end(id, producer)
        expect(await caller.stableOffset(nobody.group, topic)).toBe(4)
      })

      test('written before a plain commit do not count after it', async () => {
        const producer = await caller.fence(id)
        await caller.addedOffsets(id, producer, nobody.group)
        await caller.commitWithin(id, producer, nobody, topic, 9)
        expect(await caller.commitOutside(nobody, topic, 4)).toBe(0)
        await caller.end(id, producer)
        expect(await caller.stableOffset(nobody.group, topic)).toBe(4)
      })

      test('of a group that was not added are refused', async () => {
        const producer = await opened()
        expect(await caller.commitWithin(id, producer, nobody, topic, 5)).toBe(NOT_IN_TRANSACTION)
        expect(await caller.committed(nobody.group, topic)).toEqual([0, -1])
      })

      test('after the end are refused', async () => {
        const producer = await caller.fence(id)
        await caller.addedOffsets(id, producer, nobody.group)
        await caller.commitWithin(id, producer, nobody, topic, 5)
        await caller.end(id, producer)
        await caller.stableOffset(nobody.group, topic)
        await caller.untilEnded(id, producer)
        expect(await caller.commitWithin(id, producer, nobody, topic, 6)).toBe(NOT_IN_TRANSACTION)
        expect(await caller.stableOffset(nobody.group, topic)).toBe(5)
      })

      test('of a fenced producer are refused', async () => {
        const first = await caller.fence(id)
        await caller.addedOffsets(id, first, nobody.group)
        await caller.commitWithin(id, first, nobody, topic, 5)
        await caller.fence(id)
        expect(await caller.commitWithin(id, first, nobody, topic, 6)).toBe(STALE_EPOCH)
        expect(await caller.stableOffset(nobody.group, topic)).toBe(-1)
      })

      test('of an unknown id or another producer are refused', async () => {
        const producer = await caller.fence(id)
        await caller.addedOffsets(id, producer, nobody.group)
        const other = { id: producer.id + 1_000, epoch: 0 }
        expect(await caller.commitWithin(id, other, nobody, topic, 5)).toBe(WRONG_MAPPING)
        expect(await caller.commitWithin(subject.unique('id'), producer, nobody, topic, 5)).toBe(WRONG_MAPPING)
      })
    })
  })
}
