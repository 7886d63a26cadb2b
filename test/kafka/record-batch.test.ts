import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32c } from '../../src/kafka/wire/crc32c.ts'
import { encodeBatches, sequenceAfter, stamp } from '../../src/kafka/wire/record-batch.ts'
import type { Writable } from '../../src/kafka/wire/record-batch.ts'
import { readBatches, RecordCursor } from '../../src/kafka/wire/record-reader.ts'

const PLACE = { topic: 't', partition: 0 }
const PRODUCER = { id: 2 ** 40 + 5, epoch: 12 }

function read(bytes: Buffer) {
  return readBatches(bytes).flatMap((batch) => {
    const cursor = new RecordCursor(batch, PLACE)
    const records = []
    for (let record = cursor.next(0); record !== null; record = cursor.next(0)) records.push(record)
    return records
  })
}

const bytes = fc.uint8Array({ maxLength: 200 }).map((it) => Buffer.from(it))
const header = fc.tuple(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.oneof(bytes, fc.string({ unit: 'binary', maxLength: 60 })),
)
const anyRecord: fc.Arbitrary<Writable> = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  timestamp: fc.integer({ min: 0, max: 2 ** 42 }),
  headers: fc.uniqueArray(header, { maxLength: 4, selector: ([name]) => name }),
})

/** The record count and compressed records of a batch, for another codec. */
function recompressed(batch: Buffer, codec: number, pack: (records: Buffer) => Buffer): Buffer {
  const packed = Buffer.concat([batch.subarray(0, 61), pack(batch.subarray(61))])
  packed.writeInt32BE(packed.length - 12, 8)
  packed.writeInt16BE(packed.readInt16BE(21) | codec, 21)
  packed.writeUInt32BE(crc32c(packed, 21), 17)
  return packed
}

const compressible = (): Buffer => {
  const records = Array.from({ length: 300 }, (_, index) => ({
    key: null,
    value: Buffer.from(`record ${index % 7}`),
    timestamp: 5,
    headers: [],
  }))
  return stamp(encodeBatches(records, 1_000_000, true)[0]!, PRODUCER, 0)
}

describe('a record batch', () => {
  test('is read as it was written, whatever is in it', () => {
    fc.assert(
      fc.property(
        fc.array(anyRecord, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 100, max: 3_000 }),
        (records, max) => {
          const encoded = encodeBatches(records, max, true)
          const back = read(Buffer.concat(encoded.map((batch) => stamp(batch, PRODUCER, 3))))
          expect(
            back.map(({ key, value, timestamp, headers }) => ({ key, value, timestamp, headers: [...headers] })),
          ).toEqual(
            records.map(({ key, value, timestamp, headers }) => ({
              key,
              value,
              timestamp,
              headers: headers.map(([name, content]) => [name, Buffer.from(content)]),
            })),
          )
        },
      ),
    )
  })

  test('is asked for one header as for all', () => {
    fc.assert(
      fc.property(fc.array(header, { maxLength: 5 }), fc.string({ maxLength: 5 }), (headers, other) => {
        const record = { key: null, value: null, timestamp: 0, headers }
        const bytes = stamp(encodeBatches([record], 10_000, false)[0]!, PRODUCER, 0)
        const all = new Map(headers.map(([name, content]) => [name, Buffer.from(content)]))
        for (const name of [...all.keys(), other, 'traceparent', 'ü']) {
          const [found] = read(bytes)
          expect(found!.headers.get(name)).toEqual(all.get(name))
          expect(found!.headers.has(name)).toBe(all.has(name))
        }
        const [back] = read(bytes)
        expect([back!.headers.size, [...back!.headers.keys()], [...back!.headers.values()]]).toEqual([
          all.size,
          [...all.keys()],
          [...all.values()],
        ])
        for (const [name, content] of all) expect(back!.headers.get(name)).toEqual(content)
      }),
    )
  })

  test('whose header is cut off is refused when it is asked for', () => {
    const bytes = stamp(
      encodeBatches([{ key: null, value: null, timestamp: 0, headers: [['a', 'b']] }], 1000, false)[0]!,
      PRODUCER,
      0,
    )
    bytes[bytes.length - 2] = 0x7e
    bytes.writeUInt32BE(crc32c(bytes, 21), 17)
    expect(() => read(bytes)[0]!.headers.get('c')).toThrow('malformed')
    expect(() => read(bytes)[0]!.headers.get('a')).toThrow('malformed')
  })

  test('is no larger than asked, but for one record that is', () => {
    const of = (size: number): Writable => ({ key: null, value: Buffer.alloc(size), timestamp: 0, headers: [] })
    const batches = encodeBatches([of(300), of(300), of(5_000), of(300)], 1_000, false)
    expect(batches.map(({ count }) => count)).toEqual([2, 1, 1])
    expect(batches[0]!.bytes.length).toBeLessThanOrEqual(1_000)
  })

  test('says who sent it and where it stands in the sequence', () => {
    const [batch] = readBatches(compressible())
    expect(batch).toMatchObject({
      producerId: PRODUCER.id,
      transactional: true,
      control: false,
      count: 300,
      lastOffset: 299,
    })
    expect(batch!.bytes.readInt16BE(51)).toBe(12)
  })

  test('cut off at the end of a fetch is left for the next one', () => {
    const whole = compressible()
    expect(readBatches(Buffer.concat([whole, whole.subarray(0, -1)])).length).toBe(1)
    expect(readBatches(whole.subarray(0, 40))).toEqual([])
  })

  test('with a changed bit, or of an older format, is refused', () => {
    const flipped = compressible()
    flipped[100] = (flipped[100] ?? 0) ^ 4
    expect(() => readBatches(flipped)).toThrow('does not match its checksum')
    const old = compressible()
    old[16] = 1
    expect(() => readBatches(old)).toThrow('message format 1')
  })

  test('whose records claim more than there is, is refused', () => {
    const hostile = compressible()
    hostile[61] = 0xfe
    hostile[62] = 0x7f
    hostile.writeUInt32BE(crc32c(hostile, 21), 17)
    expect(() => read(hostile)).toThrow('malformed')
  })
})

describe('compression', () => {
  test.for<[string, number, (records: Buffer) => Buffer]>([
    ['gzip', 1, (records) => gzipSync(records)],
    ['zstd', 4, (records) => zstdCompressSync(records)],
  ])('%s is read', ([, codec, pack]) => {
    const plain = compressible()
    expect(read(recompressed(plain, codec, pack)).map(({ value }) => String(value))).toEqual(
      read(plain).map(({ value }) => String(value)),
    )
  })

  test('that would unpack to more than a process has is refused', () => {
    const bomb = recompressed(compressible(), 1, () => gzipSync(Buffer.alloc(70 * 1024 * 1024)))
    expect(() => read(bomb)).toThrow('cannot be unpacked')
  })

  test('of an unknown codec is refused', () => {
    expect(() => read(recompressed(compressible(), 7, (records) => records))).toThrow('codec 7')
  })
})

test('the checksum is CRC-32C', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
})

test('a sequence wraps after 2^31 − 1', () => {
  expect(sequenceAfter(0x7fff_fffe, 3)).toBe(1)
})

test('headers that records share are written as if each had its own', () => {
  const shared = (['a', 'b', 'c', 'd'] as const).map((it) => [`name-${it}`, it.repeat(20)] as const)
  const some = fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 8 })
  fc.assert(
    fc.property(fc.array(fc.tuple(some, fc.nat(9_000)), { minLength: 1, maxLength: 12 }), (drawn) => {
      const records = drawn.map(([picks, size], at) => ({
        key: null,
        value: Buffer.alloc(size % 3 === 0 ? size : size % 90),
        timestamp: at,
        headers: picks.map((pick) => shared[pick] ?? ([`own-${pick}`, `${at}`] as const)),
      }))
      const own = records.map((it) => ({ ...it, headers: it.headers.map(([name, value]) => [name, value] as const) }))
      const [together] = encodeBatches(records, 1_000_000, false)
      const [apart] = encodeBatches(own, 1_000_000, false)
      const stamped = [together, apart].map((it) => stamp(it!, { id: 7, epoch: 0 }, 0).toString('hex'))
      expect(stamped[0]).toBe(stamped[1])
    }),
    { numRuns: 500 },
  )
})
