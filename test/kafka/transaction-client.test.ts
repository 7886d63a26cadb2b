import { expect, test } from 'vitest'
import type { Cluster } from '../../src/kafka/cluster.ts'
import { TransactionClient } from '../../src/kafka/transaction-client.ts'
import { addOffsetsToTxn } from '../../src/kafka/wire/messages/transaction.ts'
import type { Request } from '../../src/kafka/wire/request.ts'
import { Writer } from '../../src/kafka/wire/writer.ts'

const FENCED = 90
const old = { id: 7, epoch: 1 }

function bodyOf(request: Request<unknown> | undefined): Buffer {
  const writer = new Writer()
  request?.write(writer)
  return writer.written()
}

/** Answers as a cluster does whose coordinator and leader are two brokers, the leader's answer held back until told. */
function heldAtTheLeader() {
  const sent: Request<unknown>[] = []
  const answered = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  let epoch = old.epoch - 1
  const answers = new Map<string, () => unknown>([
    ['InitProducerId', () => ({ code: 0, producer: { ...old, epoch: ++epoch } })],
    ['AddPartitionsToTxn', () => [{ topic: 'to', partition: 0, code: 0 }]],
    ['Produce', () => [{ topic: 'to', partition: 0, code: 0 }]],
    ['AddOffsetsToTxn', () => ({ code: FENCED })],
  ])
  const send = async (_node: number, _lane: string, request: Request<unknown>): Promise<unknown> => {
    sent.push(request)
    if (request.apiName === 'Produce') {
      arrived.resolve()
      await answered.promise
    }
    return answers.get(request.apiName)?.()
  }
  const cluster = { send, coordinator: async () => 1, leader: () => 2, refresh: async () => undefined }
  return { cluster: cluster as unknown as Cluster, sent, arrived: arrived.promise, answer: answered.resolve }
}

const SETTINGS = {
  transactionalId: 't',
  group: 'g',
  input: 'in',
  transactionTimeoutMs: 10_000,
  requestTimeoutMs: 5_000,
  maxBatchBytes: 100_000,
}

test('a fence in the middle of a transaction leaves its rest under the epoch that is over', async () => {
  const { cluster, sent, arrived, answer } = heldAtTheLeader()
  const client = new TransactionClient(cluster, SETTINGS)
  const never = new AbortController().signal
  await client.fence('newcomer', never)
  const output = { topic: 'to', partition: 0, key: null, value: Buffer.from('v'), timestamp: 1, headers: [] }
  const seat = { group: 'g', member: 'm', instance: 's', generation: 1 }
  const committing = client.commit([output], new Map([[0, 1]]), seat)
  const outcome = expect(committing).rejects.toThrow('PRODUCER_FENCED')
  await arrived
  await client.fence('newcomer', never)
  answer()
  await outcome
  expect(bodyOf(sent.at(-1))).toEqual(bodyOf(addOffsetsToTxn('t', old, 'g')))
})

test('a broker that trips over an owner’s request has fenced the owner, and a newcomer asks it again', async () => {
  const codes = [0, -1, -1, 0]
  const send = async () => ({ code: codes.shift(), producer: old })
  const cluster = { send, coordinator: async () => 1 } as unknown as Cluster
  const client = new TransactionClient(cluster, SETTINGS)
  const soon = AbortSignal.timeout(2_000)
  expect(await client.fence('newcomer', soon)).toBe('held')
  expect(await client.fence('owner', soon)).toBe('fenced')
  expect(await client.fence('newcomer', soon)).toBe('held')
  expect(codes).toEqual([])
})
