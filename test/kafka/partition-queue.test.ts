import { describe, expect, test } from 'vitest'
import { PartitionQueue } from '../../src/kafka/partition-queue.ts'
import type { FetchedPartition } from '../../src/kafka/wire/messages/fetch.ts'
import { encodeBatches, stamp, writeInt64 } from '../../src/kafka/wire/record-batch.ts'
import { crc32c } from '../../src/kafka/wire/crc32c.ts'
import type { PartitionBatch } from '../../src/processor/ports.ts'

const record = (value: string) => ({ key: null, value: Buffer.from(value), timestamp: 0, headers: [] })

/** A batch of records at `base`; `control` makes its one record a marker. */
function batch(base: number, count: number, control = false): Buffer {
  const values = Array.from({ length: count }, (_, index) => record(String(base + index)))
  const [encoded] = encodeBatches(values, 1_000_000, control)
  const bytes = stamp(encoded!, { id: 7, epoch: 0 }, 0)
  writeInt64(bytes, base, 0)
  if (control) bytes.writeInt16BE(0x30, 21)
  bytes.writeUInt32BE(crc32c(bytes, 21), 17)
  return bytes
}

const fetched = (...batches: readonly Buffer[]): FetchedPartition => ({
  topic: 't',
  partition: 3,
  code: 0,
  highWatermark: 1_000,
  logStart: 0,
  aborted: [],
  records: Buffer.concat(batches),
})

function queueWith(start: number, ...parts: readonly FetchedPartition[]): PartitionQueue {
  const queue = new PartitionQueue('t', 3, start)
  for (const part of parts) queue.add(part, queue.fetchAt)
  return queue
}

const shape = (run: PartitionBatch | null) =>
  run === null ? null : [run.from, run.next, ...run.records.map(({ offset }) => offset)]

describe('runs', () => {
  test('are contiguous over batches, markers and compaction', () => {
    const queue = queueWith(0, fetched(batch(0, 2), batch(2, 1, true), batch(5, 2)), fetched(batch(7, 1, true)))
    expect(shape(queue.take(2, 0))).toEqual([0, 2, 0, 1])
    expect(shape(queue.take(1, 0))).toEqual([2, 6, 5])
    expect(shape(queue.take(9, 0))).toEqual([6, 8, 6])
    expect(queue.take(9, 0)).toBeNull()
    expect(queue.size).toBe(0)
  })

  test('start inside a batch', () => {
    expect(shape(queueWith(3, fetched(batch(0, 5))).take(9, 0))).toEqual([3, 5, 3, 4])
  })

  test('without a record are not handed out, and belong to the next one', () => {
    const queue = queueWith(0, fetched(batch(0, 1, true), batch(1, 1, true)))
    expect(queue.take(9, 0)).toBeNull()
    queue.add(fetched(batch(2, 1)), 2)
    expect(shape(queue.take(9, 0))).toEqual([0, 3, 2])
  })

  test('of a fetch that another one overtook are thrown away', () => {
    const queue = queueWith(0, fetched(batch(0, 3)))
    queue.add(fetched(batch(0, 3), batch(3, 2)), 0)
    queue.add(fetched(batch(3, 1)), 3)
    expect(shape(queue.take(9, 0))).toEqual([0, 4, 0, 1, 2, 3])
  })

  test('given back come first, in order, not before their time, and in parts if need be', () => {
    const queue = queueWith(0, fetched(batch(0, 6)))
    const [first, second] = [queue.take(2, 0)!, queue.take(3, 0)!]
    queue.putBack(second, 50)
    queue.putBack(first, 100)
    expect(queue.take(9, 99)).toBeNull()
    expect(queue.available(99)).toBe(0)
    expect(shape(queue.take(9, 100))).toEqual([0, 2, 0, 1])
    expect(shape(queue.take(1, 100))).toEqual([2, 3, 2])
    expect(shape(queue.take(9, 100))).toEqual([3, 5, 3, 4])
    expect(shape(queue.take(9, 100))).toEqual([5, 6, 5])
  })

  test('given back out of order are a bug', () => {
    const queue = queueWith(0, fetched(batch(0, 4)))
    const first = queue.take(2, 0)!
    queue.take(2, 0)
    expect(() => queue.putBack(first, 0)).toThrow('out of order')
  })

  test('with bytes changed on the way are refused, and nothing is skipped', () => {
    const broken = batch(0, 2)
    broken[70] = (broken[70] ?? 0) ^ 1
    const queue = new PartitionQueue('t', 3, 0)
    expect(() => queue.add(fetched(broken), 0)).toThrow('checksum')
    expect(queue.fetchAt).toBe(0)
  })
})
