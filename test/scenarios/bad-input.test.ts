import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { ModelOutput } from '../../src/decision/event.ts'
import { count } from '../avro/mutate.ts'
import { headerOf, inShort } from './support/answers.ts'
import type { Answer } from './support/answers.ts'
import { endInOrder, endProcesses } from './support/cli.ts'
import { deploy, event } from './support/deployment.ts'
import type { Deployment, SendOptions } from './support/deployment.ts'
import type { ProcessorProcess } from './support/processor.ts'

/** What any sender may do to a topic: every record has one answer, nothing bad is executed, and the process goes on. */

const HOUR = 3_600_000
let it: Deployment
let processor: ProcessorProcess

beforeAll(async () => {
  it = await deploy(inject('stack'))
  processor = it.start()
  await processor.untilReady()
})

afterAll(async () => {
  await endProcesses()
  await it.close()
})

const encoded = (of: ModelOutput = event()): Promise<Buffer> => it.records.encode('ModelOutput', it.topics.input, of)

/** The value with the last `bytes` cut off and something else in their place. */
const withTail = async (bytes: number, tail: readonly number[]): Promise<Buffer> => {
  const value = await encoded()
  return Buffer.concat([value.subarray(0, value.length - bytes), Buffer.from(tail)])
}

async function withSchemaId(id: number): Promise<Buffer> {
  const value = await encoded()
  value.writeInt32BE(id, 1)
  return value
}

/** A schema of the producer's own: ours and a field that may be nested without end. */
async function nested(depth: number): Promise<Buffer> {
  const url = `${inject('stack').registry}/subjects/${it.topics.input}-value/versions`
  const { schema } = (await (await fetch(`${url}/latest`)).json()) as { schema: string }
  const ours = JSON.parse(schema) as { fields: unknown[] }
  const node = { type: 'record', name: 'Node', fields: [{ name: 'next', type: ['null', 'Node'], default: null }] }
  ours.fields.push({ name: 'chain', type: ['null', node], default: null })
  const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' }
  const body = JSON.stringify({ schemaType: 'AVRO', schema: JSON.stringify(ours) })
  const answer = await fetch(url, { method: 'POST', headers, body })
  expect(answer.status).toBe(200)
  const { id } = (await answer.json()) as { id: number }
  const value = Buffer.concat([await encoded(), Buffer.alloc(depth, 2), Buffer.from([0])])
  value.writeInt32BE(id, 1)
  return value
}

/** The value with other bytes for its time, as a number in Avro's variable length. */
async function withTime(bytes: readonly number[]): Promise<Buffer> {
  const of = event()
  const value = await encoded(of)
  const texts = [of.id, of.source, of.tenant].reduce((sum, text) => sum + 1 + text.length, 0)
  const at = 5 + texts
  let end = at
  while ((value[end]! & 0x80) !== 0) end += 1
  return Buffer.concat([value.subarray(0, at), Buffer.from(bytes), value.subarray(end + 1)])
}

const PROTO = JSON.parse('{"__proto__": "a"}') as ModelOutput['attributes']
const TWO_62 = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]
const MINUS_6E15 = [0xff, 0xff, 0xf3, 0xc8, 0xbb, 0xa1, 0x99, 0x16]

const contextRecord = () =>
  it.records.encode('Context', it.topics.context, {
    entity: 'seller',
    key: 's',
    version: 1,
    time: 1,
    source: '/t',
    attributes: {},
  })

/** Attributes and payload are the last fields: an empty map's 0 and a null's 0. */
const RECORDS: readonly (readonly [name: string, code: string, value: () => Promise<Buffer | null>])[] = [
  ['JSON instead of Avro', 'record.magic', async () => Buffer.from('{"action":"item.flag"}')],
  ['magic byte 1', 'record.magic', async () => Buffer.concat([Buffer.from([1]), (await encoded()).subarray(1)])],
  ['no value', 'record.tombstone', async () => null],
  ['an empty value', 'record.too_short', async () => Buffer.alloc(0)],
  ['half a schema id', 'record.too_short', async () => Buffer.from([0, 0, 0])],
  ['a header alone', 'record.truncated', async () => (await encoded()).subarray(0, 5)],
  ['the last byte missing', 'record.truncated', () => withTail(1, [])],
  ['the second half missing', 'record.truncated', () => withTail(30, [])],
  ['one byte too many', 'record.trailing_bytes', () => withTail(0, [0])],
  ['two records in one', 'record.trailing_bytes', async () => Buffer.concat([await encoded(), await encoded()])],
  ['2^53 entries promised', 'record.bounds', () => withTail(2, count(2 ** 53))],
  ['a block of −2^40 entries', 'record.bounds', () => withTail(2, [...count(-(2 ** 40)), ...count(8)])],
  [
    'a block of −2^62 bytes',
    'record.bounds',
    () => withTail(2, [...count(-4), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
  ],
  ['nested 100,000 deep', 'record.bounds', () => nested(100_000)],
  ['a number that no double holds', 'record.malformed', () => withTime(TWO_62)],
  ['a number that loses its sign in a double', 'record.malformed', () => withTime(MINUS_6E15)],
  ['text that is half a character', 'record.malformed', () => encoded(event({ action: '\ud800' }))],
  ['an attribute named `__proto__`', 'record.malformed', () => encoded(event({ attributes: PROTO }))],
  ['larger than allowed', 'record.oversized', () => encoded(event({ payload: Buffer.alloc(300_000) }))],
  ['schema id unknown', 'schema.unknown', () => withSchemaId(2_147_483_000)],
  ['schema id 0', 'schema.unknown', () => withSchemaId(0)],
  ['schema id negative', 'schema.unknown', () => withSchemaId(-1)],
  ['a schema of another topic', 'schema.foreign', contextRecord],
]

describe('a record that cannot be read', () => {
  test.each(RECORDS)('%s is a dead letter, %s, and the event behind it is decided', async (_, code, value) => {
    const bytes = await value()
    const before = await processor.metric('decision_dead_letters_total', { code })
    const at = await it.put(bytes, { key: 'sender', partition: 1 })
    const [after] = await it.send([event()], { partition: 1 })
    const answer = await it.answers.of(at)
    expect(inShort(answer)).toBe(`dead letter ${code}`)
    expectUntouched(answer, bytes, at)
    expect(inShort(await it.answers.of(after!))).toBe('execute confidence.sufficient')
    expect(await processor.metric('decision_dead_letters_total', { code })).toBe(before + 1)
  })

  test('the log names each code, and shows nothing of what was sent', () => {
    const told = processor.log().filter(({ message }) => message === 'record set aside as a dead letter')
    expect(new Set(told.map((line) => line['code']))).toEqual(new Set(RECORDS.map(([, code]) => code)))
    expect(processor.stdout()).not.toContain('item.flag')
  })
})

function expectUntouched(answer: Answer, bytes: Buffer | null, at: string): void {
  if (answer.kind !== 'dead letter') throw new Error(`${at} was decided`)
  const { record } = answer
  expect(record.value?.toString('hex')).toBe(bytes?.toString('hex'))
  expect(record.key?.toString()).toBe('sender')
  expect(record.partition).toBe(1)
  expect(headerOf(record, '__connect.errors.exception.message')).not.toBe('')
  expect(headerOf(record, 'traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
}

type Unsafe = readonly [name: string, expected: string, more: Partial<ModelOutput>, options?: SendOptions]
const UNSAFE: readonly Unsafe[] = [
  ['a score that is not a number', 'review confidence.invalid', { confidence: NaN }],
  ['an infinite score', 'review confidence.invalid', { confidence: Infinity }],
  ['a negative infinite score', 'review confidence.invalid', { confidence: -Infinity }],
  ['a negative score', 'review confidence.out_of_range', { confidence: -0.01 }],
  ['a score in percent', 'review confidence.out_of_range', { confidence: 93 }],
  ['a score just above 1', 'review confidence.out_of_range', { confidence: 1 + Number.EPSILON }],
  ['no score', 'review confidence.missing', { confidence: null }],
  ['a score of zero', 'reject confidence.below_reject', { confidence: 0 }],
  ['a score of minus zero', 'reject confidence.below_reject', { confidence: -0 }],
  ['an unknown action', 'reject action.unknown', { action: 'item.burn' }],
  ['the action `constructor`', 'reject action.unknown', { action: 'constructor' }],
  ['the action `__proto__`', 'reject action.unknown', { action: '__proto__' }],
  ['the action `toString`', 'reject action.unknown', { action: 'toString' }],
  ['an action of another case', 'reject action.unknown', { action: 'Item.Flag' }],
  ['no action', 'reject action.unknown', { action: '' }],
  ['no id', 'review event.incomplete', { id: '' }],
  ['an expired event', 'reject event.expired', { expiresAt: Date.now() - 1 }],
  ['an event that expired in 1970', 'reject event.expired', { expiresAt: 0 }],
  ['an event of next year', 'review event.time_in_future', { time: Date.now() + 365 * 24 * HOUR }],
  ['an event of the year 200000', 'review event.time_in_future', { time: 6_248_000_000_000_000 }],
  ['an event of last week', 'reject event.too_old', { time: Date.now() - 7 * 24 * HOUR }],
  ['an event of long before 1970', 'reject event.too_old', { time: -4_000_000_000_000_000 }],
  ['no key', 'review event.unkeyed', {}, { key: null }],
  ['a name of 100,000 characters', 'reject action.unknown', { action: 'a'.repeat(100_000) }],
]

describe('an event that must not be executed', () => {
  for (const [name, expected, more, options] of UNSAFE) {
    test(`${name}: ${expected}`, async () => {
      const [at] = await it.send([event(more)], options)
      expect(inShort(await it.answers.of(at!))).toBe(expected)
    })
  }

  test('the same event again is rejected and names the first decision', async () => {
    const twice = event()
    const [first, second] = await it.send([twice, twice])
    expect(inShort(await it.answers.of(first!))).toBe('execute confidence.sufficient')
    const verdict = await it.answers.verdict(second!)
    expect(verdict.code).toBe('event.duplicate')
    expect(verdict.facts.first?.decisionId).toBe(first)
  })

  test('the same id in another partition is known as well', async () => {
    const twice = event()
    const [first] = await it.send([twice], { partition: 0 })
    expect(inShort(await it.answers.of(first!))).toBe('execute confidence.sufficient')
    const [second] = await it.send([twice], { partition: 1 })
    expect(inShort(await it.answers.of(second!))).toBe('reject event.duplicate')
  })

  test('the same id with another payload goes to a person', async () => {
    const one = event()
    const [first, second] = await it.send([one, { ...one, confidence: 0.99, payload: Buffer.from('other') }])
    expect(inShort(await it.answers.of(first!))).toBe('execute confidence.sufficient')
    expect(inShort(await it.answers.of(second!))).toBe('review event.conflict')
  })

  test('attributes may be named after what every object has', async () => {
    const attributes = { constructor: 1, toString: null, hasOwnProperty: 'x' }
    const [at] = await it.send([event({ attributes })])
    const verdict = await it.answers.verdict(at!)
    expect(verdict.route).toBe('execute')
    expect(new Map(Object.entries(verdict.event.attributes))).toEqual(new Map(Object.entries(attributes)))
  })
})

test('nothing was lost or doubled, and the process is as fine as before', async () => {
  const [last] = await it.send([event()])
  await it.answers.of(last!)
  expect(await it.answers.audit()).toMatchObject({ lost: [], doubled: [] })
  expect(await processor.health()).toMatchObject({ status: 200, ready: true })
  await endInOrder(processor)
  expect(processor.stderr()).toBe('')
})
