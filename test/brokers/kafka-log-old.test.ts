import { expect, test } from 'vitest'
import { txnOffsetCommit } from '../../src/kafka/wire/messages/transaction.ts'
import { Reader } from '../../src/kafka/wire/reader.ts'
import { readTxnOffsetCommit } from '../twins/kafka/transaction-requests.ts'
import { nextOffsets, passThrough, pollSome, pump, statuses } from './support/kafka-scene.ts'
import { never, openStage, within } from './support/stage.ts'

/** The whole suite runs on it with KAFKA_VERSION=3.9.1; this much always does. */
const stage = openStage({ version: '3.9.1' })

test('Kafka 3.9: everything once and in order, over a restart and a dead slot’s open transaction', async () => {
  const { input, to, group, slot } = await stage.play(2, 400)
  const dead = await stage.scene.writer(`${group}/dead`)
  await dead.write(to, 1, ['never ended'])
  const { list, onStatus } = statuses()
  const first = stage.scene.log({ input, group, slot, onStatus })
  expect(await pump(first, to, 200, 20)).toEqual([])
  const second = stage.scene.log({ input, group, slot })
  expect(await pump(second, to, 400, 20, within(10_000))).toEqual([])
  expect(list.filter(({ kind }) => kind === 'ended')).toMatchObject([{ slot: 'dead' }])
  await stage.expectAll(to, 2, 400)
})

test('Kafka 3.9: offsets of a transaction that was given up take nothing from the next one, however late they come', async () => {
  const { input, to, group, slot } = await stage.play(1, 10)
  const log = stage.scene.log({ input, group, slot, brokers: stage.proxy.brokers, requestTimeoutMs: 500 })
  const first = await log.acquire(never)
  const batches = await pollSome(log, first, 10)
  void stage.proxy.fail('TxnOffsetCommit', 'swallow')
  expect(await log.commit(passThrough(batches, to), nextOffsets(batches), first)).toMatchObject({ kind: 'discarded' })
  const stray = lastOffsets()
  const second = await log.acquire(never)
  const again = await pollSome(log, second, 10)
  const end = stage.proxy.hold('EndTxn')
  const committing = log.commit(passThrough(again, to), nextOffsets(again), second)
  await end.arrived
  const code = await sendAgain(stray)
  end.release()
  expect(await committing).toEqual({ kind: 'committed' })
  expect((await stage.scene.log({ input, group, slot }).acquire(never)).positions.get(0)?.start).toBe(10)
  expect(code).toBe(FENCED_INSTANCE_ID)
})

const FENCED_INSTANCE_ID = 82

/** What the client asked of the group, without the request's header. */
function lastOffsets() {
  const frame = stage.proxy.last.get('TxnOffsetCommit') ?? Buffer.alloc(0)
  const r = new Reader(frame.subarray(12))
  r.nullableString()
  r.tags()
  return readTxnOffsetCommit(r)
}

async function sendAgain({ id, producer, seat, group, offsets }: ReturnType<typeof lastOffsets>): Promise<number> {
  const next = new Map(offsets.map(({ partition, offset }) => [partition, offset]))
  const request = txnOffsetCommit(id, producer, { ...seat, group }, offsets[0]?.topic ?? '', next)
  const { cluster } = stage.scene
  const [answer] = await cluster.send(await cluster.coordinator('group', group), 'query', request)
  return answer?.code ?? -1
}
