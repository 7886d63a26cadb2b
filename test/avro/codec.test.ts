import { createHash } from 'node:crypto'
import avsc from 'avsc'
import type { Schema } from 'avsc'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCodec } from '../../src/avro/codec.ts'
import type { Writers } from '../../src/avro/registry.ts'
import { bundled } from '../../src/avro/schemas.ts'
import { createWriter, isFault } from '../../src/avro/writer.ts'
import type { ModelOutput } from '../../src/decision/event.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import type { Fault } from '../../src/processor/fault.ts'
import type { Decoded, Encoded, InputRecord } from '../../src/processor/ports.ts'
import { valueOf } from './arbitrary.ts'
import { count, reblock, seeded } from './mutate.ts'
import { modelOutput, verdict } from './samples.ts'

const MAX_BYTES = 4096
const OURS = 7
const OLDER = 3
const NEWER = 9
const LATE = 11

type SchemaJson = { readonly fields: readonly { readonly name: string; readonly [more: string]: unknown }[] }
const ours = JSON.parse(bundled('ModelOutput').text) as SchemaJson

/** From before `payload` and `scoreKind` existed, with whole numbers as attributes. */
const older = {
  ...ours,
  fields: ours.fields
    .filter((it) => it.name !== 'payload' && it.name !== 'scoreKind')
    .map((it) =>
      it.name === 'attributes' ? { ...it, type: { type: 'map', values: ['null', 'long', 'string'] } } : it,
    ),
}

/** With more than we know of, before and after what we do. */
const newer = {
  ...ours,
  fields: [
    { name: 'hints', type: { type: 'array', items: 'string' }, default: [] },
    ...ours.fields,
    { name: 'trail', type: { type: 'map', values: 'bytes' }, default: {} },
  ],
}

const schemas = new Map<number, string>([
  [OURS, bundled('ModelOutput').text],
  [OLDER, JSON.stringify(older)],
  [NEWER, JSON.stringify(newer)],
  [LATE, JSON.stringify({ ...ours, doc: 'equal in all that bytes depend on' })],
])
const FAULTS = new Map<number, Fault>([[404, { code: 'schema.unknown', detail: 'no', retry: false }]])

function make(id: number) {
  const schema = schemas.get(id)
  if (schema === undefined) return FAULTS.get(id) ?? { code: 'schema.unresolved' as const, detail: 'away', retry: true }
  return createWriter('ModelOutput', id, { schema, references: [] }, MAX_BYTES)
}

/** Knows all but one at once, as if the others had been asked for before. */
const writers: Writers = {
  find: (id) => (id === LATE ? undefined : make(id)),
  resolve: (id) => Promise.resolve(make(id)),
}
const codec = createCodec(writers, { execute: 21, review: 22, reject: 23 }, MAX_BYTES)

const record = (value: Buffer | null, key: Buffer | null = Buffer.from('k')): InputRecord => ({
  topic: 'model.outputs',
  partition: 3,
  offset: 1842,
  timestamp: 1_769_000_000_010,
  key,
  value,
  headers: new Map(),
})

function wire(id: number, body: Uint8Array): Buffer {
  const header = Buffer.alloc(5)
  header.writeInt32BE(id, 1)
  return Buffer.concat([header, body])
}

const encoded = (event: ModelOutput): Buffer => bundled('ModelOutput').type.toBuffer(event)
const encodedWith = (schema: unknown, value: unknown): Buffer => avsc.Type.forSchema(schema as Schema).toBuffer(value)

function received(decoded: Decoded | Promise<Decoded>) {
  if (decoded instanceof Promise || decoded.kind !== 'event') throw new Error(JSON.stringify(decoded))
  return decoded.received
}

describe('decode', () => {
  const good = encoded(modelOutput)
  const cases: readonly (readonly [what: string, value: Buffer | null, code: string, retry: boolean])[] = [
    ['no value', null, 'record.tombstone', false],
    ['one byte more than allowed', Buffer.alloc(MAX_BYTES + 1), 'record.oversized', false],
    ['nothing', Buffer.alloc(0), 'record.too_short', false],
    ['four bytes', Buffer.alloc(4), 'record.too_short', false],
    ['JSON', Buffer.from('{}'), 'record.magic', false],
    ['an unknown id', wire(404, good), 'schema.unknown', false],
    ['an id while the registry is away', wire(405, good), 'schema.unresolved', true],
    ['no body', wire(OURS, Buffer.alloc(0)), 'record.truncated', false],
    ['a body cut short', wire(OURS, good.subarray(0, -1)), 'record.truncated', false],
    ['a byte too many', wire(OURS, Buffer.concat([good, Buffer.alloc(1)])), 'record.trailing_bytes', false],
    ['a hostile length', wire(OURS, Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0x1f])), 'record.bounds', false],
    ['text that is not UTF-8', wire(OURS, Buffer.from([2, 0xff])), 'record.malformed', false],
    [
      'a hostile length in a field we do not read',
      wire(NEWER, Buffer.from([2, 0xfe, 0xff, 0xff, 0xff, 0xff, 0x1f])),
      'record.bounds',
      false,
    ],
    ['a time no double can hold', wire(OURS, beyondTime()), 'record.malformed', false],
  ]

  test.each(cases)('%s', (_, value, code, retry) => {
    const decoded = codec.decode(record(value))
    expect(decoded).toMatchObject({ kind: 'fault', fault: { code, retry } })
  })

  test('gives the event, where it lay and the digest of its body', () => {
    const value = wire(OURS, good)
    const digest = createHash('sha256').update(good).digest().subarray(0, 16).toString('hex')
    expect(codec.decode(record(value, null))).toStrictEqual({
      kind: 'event',
      received: {
        event: modelOutput,
        source: {
          topic: 'model.outputs',
          partition: 3,
          offset: 1842,
          timestamp: 1_769_000_000_010,
          keyed: false,
          schemaId: OURS,
          digest,
        },
      },
      record: record(value, null),
    })
  })

  test('asks for a schema it does not have', async () => {
    const pending = codec.decode(record(wire(LATE, good)))
    expect(pending).toBeInstanceOf(Promise)
    expect(await pending).toMatchObject({ kind: 'event', received: { event: modelOutput } })
  })

  test('reads what a producer with an older schema wrote, with defaults for what it does not know', () => {
    const value = { ...modelOutput, attributes: { price: { long: 12 }, seller: { string: 's-93' } } }
    const plain = { ...value, attributes: { price: 12, seller: 's-93' } }
    const { event } = received(codec.decode(record(wire(OLDER, encodedWith(older, plain)))))
    expect(event).toStrictEqual({ ...plain, scoreKind: 'probability', payload: null })
  })

  test('reads what a producer with a newer schema wrote, without what we do not know', () => {
    const value = { ...modelOutput, hints: ['a', 'b'], trail: { x: Buffer.from('y') } }
    expect(received(codec.decode(record(wire(NEWER, encodedWith(newer, value))))).event).toStrictEqual(modelOutput)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 2, null])(
    'leaves a confidence of %s to the decision',
    (confidence) => {
      const value = wire(OURS, encoded({ ...modelOutput, confidence }))
      expect(received(codec.decode(record(value))).event.confidence).toBe(confidence)
    },
  )
})

describe('encode', () => {
  const bytesOf = (it: Encoded): Buffer => {
    if (it.kind === 'fault') throw new Error(it.fault.detail)
    return it.bytes
  }
  const whole = (it: Verdict): Buffer => bundled('Verdict').type.toBuffer(it)

  test('names the schema of the verdict’s topic', () => {
    const value = record(wire(OURS, encoded(modelOutput)))
    const ids = (['execute', 'review', 'reject'] as const).map((route) =>
      bytesOf(codec.encode({ ...verdict, route }, value)).readInt32BE(1),
    )
    expect(ids).toEqual([21, 22, 23])
  })

  test('copying the event’s bytes gives the bytes that encoding it gives', () => {
    fc.assert(
      fc.property(valueOf(bundled('Verdict').type), (value) => {
        const it = value as Verdict
        const bytes = bytesOf(codec.encode(it, record(wire(OURS, encoded(it.event)))))
        expect(bytes[0]).toBe(0)
        expect(bytes.subarray(5).equals(whole(it))).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  test('bytes that are not the shortest encoding are copied as they are, and read the same', () => {
    const random = seeded(1)
    for (let i = 0; i < 50; i += 1) {
      const body = reblock(bundled('ModelOutput').type, modelOutput, random)
      const { event } = received(codec.decode(record(wire(OURS, body))))
      const bytes = bytesOf(codec.encode({ ...verdict, event }, record(wire(OURS, body)))).subarray(5)
      expect(bytes.subarray(-body.length).equals(body)).toBe(true)
      expect(bundled('Verdict').type.fromBuffer(bytes)).toStrictEqual(verdict)
    }
  })

  test.each([
    ['older', OLDER, encodedWith(older, { ...modelOutput, attributes: { price: 12 } })],
    ['newer', NEWER, encodedWith(newer, { ...modelOutput, hints: ['a'] })],
  ])('an event of an %s schema is written with ours', (_, id, body) => {
    const value = record(wire(id, body))
    const { event } = received(codec.decode(value))
    expect(
      bytesOf(codec.encode({ ...verdict, event }, value))
        .subarray(5)
        .equals(whole({ ...verdict, event })),
    ).toBe(true)
  })

  test('a verdict larger than all before it is whole', () => {
    const findings = Array.from({ length: 5000 }, () => verdict.findings[0]!)
    const large = { ...verdict, findings }
    const bytes = bytesOf(codec.encode(large, record(wire(OURS, encoded(modelOutput))))).subarray(5)
    expect(bytes.length).toBeGreaterThan(128 * 1024)
    expect(bundled('Verdict').type.fromBuffer(bytes)).toStrictEqual(large)
  })

  test('a value that is no verdict is a fault with the names of the fields', () => {
    const wrong = { ...verdict, policy: { ...verdict.policy, version: 1.5 } }
    for (const value of [Buffer.alloc(5), wire(OURS, encoded(modelOutput))]) {
      expect(codec.encode(wrong, record(value))).toMatchObject({
        kind: 'fault',
        fault: {
          code: 'verdict.malformed',
          detail: expect.stringMatching(/no Verdict: `policy\.version` is not long/),
        },
      })
    }
  })
})

test.each([
  [
    'another record',
    { type: 'record', name: 'Payment', namespace: 'shop', fields: [] },
    /`shop\.Payment`, not `sluice\.ModelOutput`/,
  ],
  ['another type', '"string"', /`string`, not/],
  ['a field missing that has no default', { ...ours, fields: ours.fields.slice(1) }, /id/],
  ['no schema', 'nonsense', /.+/],
])('a schema of %s cannot be read', (_, schema, detail) => {
  const text = typeof schema === 'string' ? schema : JSON.stringify(schema)
  const writer = createWriter('ModelOutput', 1, { schema: text, references: [] }, MAX_BYTES)
  expect(isFault(writer) && writer).toMatchObject({
    code: 'schema.incompatible',
    detail: expect.stringMatching(detail) as unknown,
    retry: false,
  })
})

/** The same event at a time beyond 2^53. */
function beyondTime(): Buffer {
  const body = encoded({ ...modelOutput, time: 2 ** 40 })
  const at = body.indexOf(Buffer.from(count(2 ** 40)))
  const rest = body.subarray(at + count(2 ** 40).length)
  return Buffer.concat([body.subarray(0, at), Buffer.from(count(2 ** 60)), rest])
}
