import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fetchRecords } from '../../src/kafka/wire/messages/fetch.ts'
import { listOffsets } from '../../src/kafka/wire/messages/offsets.ts'
import { produce } from '../../src/kafka/wire/messages/produce.ts'
import { commitTxn, initProducerId, NEWCOMER } from '../../src/kafka/wire/messages/transaction.ts'
import { heartbeat } from '../../src/kafka/wire/messages/group.ts'
import { batchOf, CONCURRENT, KafkaCaller } from './kafka-caller.ts'
import type { ClusterSubject } from './kafka-caller.ts'

const NODES = [1, 2, 3]
const NOT_LEADER = 6
const NOT_COORDINATOR = 16
const NOT_ENOUGH_REPLICAS = 19
const STALE_EPOCH = 47
const FENCED = 90

/** What holds with three brokers, of which one may be frozen. */
export function clusterConformance(name: string, open: () => Promise<ClusterSubject>): void {
  describe(`${name} shares its work out as Kafka does`, () => {
    let subject: ClusterSubject
    let caller: KafkaCaller

    beforeAll(async () => {
      subject = await open()
      caller = new KafkaCaller(subject)
      await caller.stableOffset(subject.unique('g'), await subject.topic(1))
      await caller.fence(subject.unique('id'))
    })
    afterAll(async () => {
      caller.close()
      await subject.close()
    })

    test('a broker that does not lead says so, and one that does not coordinate', async () => {
      const topic = await subject.topic(1)
      const id = subject.unique('id')
      const group = subject.unique('g')
      const producer = await caller.fence(id)
      await caller.stableOffset(group, topic)
      const send = caller.cluster.send.bind(caller.cluster)
      const leader = await caller.leader(topic, 0)
      const limits = { maxWaitMs: 0, maxBytes: 1_000, partitionMaxBytes: 1_000 }
      for (const node of NODES.filter((it) => it !== leader)) {
        const batch = batchOf(NEWCOMER, -1, ['a'], false)
        expect((await send(node, 'produce', produce(null, 5_000, [{ topic, partition: 0, batch }])))[0]?.code).toBe(
          NOT_LEADER,
        )
        const fetched = await send(node, 'fetch', fetchRecords([{ topic, partition: 0, offset: 0 }], limits))
        expect(fetched.partitions[0]?.code).toBe(NOT_LEADER)
        expect((await send(node, 'query', listOffsets(topic, [0], 'latest')))[0]?.code).toBe(NOT_LEADER)
      }
      const seat = { group, member: 'm', instance: null, generation: 1 }
      const transactional = await caller.cluster.coordinator('transaction', id)
      for (const node of NODES.filter((it) => it !== transactional)) {
        expect((await send(node, 'query', initProducerId(id, 60_000, NEWCOMER))).code).toBe(NOT_COORDINATOR)
        expect((await send(node, 'query', commitTxn(id, producer))).code).toBe(NOT_COORDINATOR)
      }
      const grouped = await caller.cluster.coordinator('group', group)
      for (const node of NODES.filter((it) => it !== grouped)) {
        expect((await send(node, 'query', heartbeat(seat))).code).toBe(NOT_COORDINATOR)
      }
    })

    test('while a marker cannot be written the transaction is ending, whoever asks for what', async () => {
      const topic = await subject.topic(3)
      const id = subject.unique('id')
      const producer = await caller.fence(id)
      const coordinator = await caller.cluster.coordinator('transaction', id)
      const leaders = await Promise.all([0, 1, 2].map((partition) => caller.leader(topic, partition)))
      const frozen = leaders.findIndex((node) => node !== coordinator)
      const living = leaders.findIndex((node) => node !== leaders[frozen])
      await caller.added(id, producer, topic, frozen, living)
      expect(await caller.produce(id, producer, topic, frozen, 0, ['a'])).toEqual([0, 0])
      expect(await caller.produce(id, producer, topic, living, 0, ['b'])).toEqual([0, 0])
      await subject.freeze(leaders[frozen]!)
      expect(await caller.end(id, producer)).toBe(0)
      await caller.grown(topic, living, 2)
      expect(await caller.visible(topic, living)).toEqual(['0:b'])
      expect(await caller.end(id, producer)).toBe(CONCURRENT)
      expect(await caller.end(id, producer, 'abort')).toBe(CONCURRENT)
      expect(await caller.end(id, { ...producer, epoch: 5 })).toBe(FENCED)
      expect((await caller.init(id)).code).toBe(CONCURRENT)
      expect((await caller.init(id, producer)).code).toBe(CONCURRENT)
      expect((await caller.init(id, { id: producer.id + 1_000, epoch: 0 })).code).toBe(CONCURRENT)
      expect(await caller.add(id, producer, topic, living)).toEqual([CONCURRENT])
      expect(await caller.add(id, { ...producer, epoch: 5 }, topic, living)).toEqual([CONCURRENT])
      expect(await caller.addOffsets(id, producer, subject.unique('g'))).toBe(CONCURRENT)
      expect(await caller.produce(id, producer, topic, living, 1, ['c'])).toEqual([NOT_ENOUGH_REPLICAS, -1])
      expect((await caller.produce(id, { ...producer, epoch: 5 }, topic, living, 0, ['c']))[0]).toBe(STALE_EPOCH)
      await subject.thaw(leaders[frozen]!)
      expect(await caller.untilEnded(id, producer)).toBe(0)
      expect(await caller.settled(topic, frozen)).toEqual(['0:a'])
    })
  })
}
