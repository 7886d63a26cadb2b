import avsc from 'avsc'
import type { Type } from 'avsc'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createWalk } from '../../src/avro/bounds.ts'
import { KINDS } from '../../src/avro/record-types.ts'
import { bundled } from '../../src/avro/schemas.ts'
import { valueOf } from './arbitrary.ts'
import { count, mutate, reblock, seeded, text } from './mutate.ts'
import { SAMPLES } from './samples.ts'

const LIMIT = 256 * 1024

/** What this thread has computed so far, milliseconds: unlike time it is the same on a machine that is busy. */
const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** A schema with everything in it that ours do not have. */
const odd = avsc.Type.forSchema({
  type: 'record',
  name: 'Odd',
  fields: [
    { name: 'nothing', type: { type: 'array', items: 'null' } },
    { name: 'hollow', type: { type: 'array', items: { type: 'record', name: 'Hollow', fields: [] } } },
    {
      name: 'tree',
      type: { type: 'record', name: 'Tree', fields: [{ name: 'kids', type: { type: 'array', items: 'Tree' } }] },
    },
    { name: 'pair', type: { type: 'fixed', name: 'Pair', size: 2 } },
    { name: 'number', type: ['null', 'int', 'float'] },
    { name: 'nested', type: { type: 'map', values: { type: 'map', values: { type: 'array', items: 'bytes' } } } },
  ],
} as never)

const types: readonly (readonly [name: string, type: Type])[] = [
  ...KINDS.map((kind) => [kind, bundled(kind).type] as const),
  ['Odd', odd],
]

const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    fc.constant({ kids: [] }),
    fc.record({ kids: fc.array(tie('tree'), { maxLength: 2 }) }),
  ),
}))

/** Values of `odd` are nested without end if drawn from its schema. */
const oddValue = fc.record({
  nothing: fc.array(fc.constant(null), { maxLength: 4 }),
  hollow: fc.array(fc.constant({}), { maxLength: 4 }),
  tree,
  pair: fc.constant(Buffer.from([1, 2])),
  number: fc.oneof(fc.constant(null), fc.constant({ int: -5 }), fc.constant({ float: 0.5 })),
  nested: fc.dictionary(text(), fc.dictionary(text(), fc.array(fc.constant(Buffer.from('xy')), { maxLength: 2 }))),
})

const valuesOf = (name: string, type: Type): fc.Arbitrary<unknown> => (name === 'Odd' ? oddValue : valueOf(type))

describe.each(types)('%s', (name, type) => {
  const walk = createWalk(type, LIMIT)

  test('the walk of a value ends where the value does', () => {
    fc.assert(
      fc.property(valuesOf(name, type), fc.nat(9), (value, before) => {
        const bytes = Buffer.concat([Buffer.alloc(before, 0xff), type.toBuffer(value)])
        expect(walk(bytes, before)).toBe(bytes.length)
        expect(walk(Buffer.concat([bytes, Buffer.from([0, 7])]), before)).toBe(bytes.length)
      }),
      { numRuns: 300 },
    )
  })

  // Items that take no bytes are limited by the record's size, which is less when it is cut.
  const codes = name === 'Odd' ? ['record.truncated', 'record.bounds'] : ['record.truncated']
  test('every value cut short is truncated, wherever it is cut', () => {
    fc.assert(
      fc.property(valuesOf(name, type), (value) => {
        const bytes = type.toBuffer(value)
        for (let end = 0; end < bytes.length; end += 1) {
          expect(walk(bytes.subarray(0, end), 0)).toMatchObject({ code: expect.toBeOneOf(codes) as unknown })
        }
      }),
      { numRuns: 30 },
    )
  })

  test('maps and arrays cut into blocks, with or without their sizes, are the same value', () => {
    fc.assert(
      fc.property(valuesOf(name, type), fc.integer(), (value, seed) => {
        const bytes = reblock(type, value, seeded(seed))
        expect(walk(bytes, 0)).toBe(bytes.length)
        expect(type.decode(bytes, 0).value).toEqual(type.fromBuffer(type.toBuffer(value)))
      }),
      { numRuns: 200 },
    )
  })
})

describe('hostile bytes', () => {
  const strings = avsc.Type.forSchema({ type: 'array', items: 'string' })
  const nulls = avsc.Type.forSchema({ type: 'array', items: 'null' })
  const longs = avsc.Type.forSchema({ type: 'map', values: 'long' })
  const cases: readonly (readonly [what: string, type: Type, bytes: readonly number[], code: string])[] = [
    ['nine bytes that announce 2^40 nulls', nulls, [...count(2 ** 40), 0, 0], 'record.bounds'],
    ['the same in a block with a size', nulls, [...count(-(2 ** 40)), 0, 0, 0], 'record.bounds'],
    ['many blocks of nulls', nulls, [...count(5), ...count(5), ...count(5), 0], 'record.bounds'],
    ['2^40 strings', strings, [...count(2 ** 40), 0], 'record.bounds'],
    [
      'the least number there is as a count',
      strings,
      [255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0],
      'record.bounds',
    ],
    ['a string of 2^40 bytes', strings, [2, ...count(2 ** 40), 65], 'record.bounds'],
    ['a string of negative length', strings, [2, ...count(-3), 65], 'record.bounds'],
    ['a block of negative size', strings, [...count(-1), ...count(-1), 2, 65, 0], 'record.bounds'],
    ['a block of a size beyond the record', strings, [...count(-1), ...count(2 ** 30), 2, 65, 0], 'record.bounds'],
    ['a number of eleven bytes', strings, [128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0], 'record.bounds'],
    ['a number of 65 bits', strings, [255, 255, 255, 255, 255, 255, 255, 255, 255, 2], 'record.bounds'],
    ['a block that is shorter than it says', strings, [...count(-1), ...count(3), 2, 65, 0], 'record.malformed'],
    ['a block that is longer than it says', strings, [...count(-1), ...count(1), 2, 65, 0], 'record.malformed'],
    [
      '−2^52 − 1, which avsc reads as 2^52',
      avsc.Type.forSchema('long'),
      [129, 128, 128, 128, 128, 128, 128, 16],
      'record.malformed',
    ],
    ['text that is not UTF-8', strings, [2, 2, 0xff, 0], 'record.malformed'],
    ['text with half a surrogate pair', strings, [2, 6, 0xed, 0xa0, 0x80, 0], 'record.malformed'],
    ['a map with the key __proto__', longs, [2, 18, ...Buffer.from('__proto__'), 2, 0], 'record.malformed'],
    ['a map with a key twice', longs, [4, 2, 65, 2, 2, 65, 4, 0], 'record.malformed'],
    ['a map with a key twice in two blocks', longs, [2, 2, 65, 2, 2, 2, 65, 4, 0], 'record.malformed'],
    ['a boolean of 2', avsc.Type.forSchema('boolean'), [2], 'record.malformed'],
    ['an int of 33 bits', avsc.Type.forSchema('int'), [...count(2 ** 31)], 'record.malformed'],
    ['a union branch that is not there', avsc.Type.forSchema(['null', 'int']), [4], 'record.malformed'],
    ['a negative union branch', avsc.Type.forSchema(['null', 'int']), [1], 'record.malformed'],
    [
      'nested without end',
      avsc.Type.forSchema({
        type: 'record',
        name: 'T',
        fields: [{ name: 'a', type: { type: 'array', items: 'T' } }],
      } as never),
      Array.from({ length: 5000 }, () => 2),
      'record.bounds',
    ],
  ]

  test.each(cases)('%s', (_, type, bytes, code) => {
    const started = cpuMs()
    expect(createWalk(type, LIMIT)(Buffer.from(bytes), 0)).toMatchObject({ code })
    expect(cpuMs() - started).toBeLessThan(50)
  })

  test('the fault names the field and the place', () => {
    const bytes = bundled('Verdict').type.toBuffer(SAMPLES.Verdict)
    const at = bytes.indexOf('policy.trusted_seller')
    bytes[at - 1] = 0x7f
    expect(createWalk(bundled('Verdict').type, LIMIT)(bytes, 0)).toMatchObject({
      detail: expect.stringMatching(
        /^changes\.without: a length is negative \(byte \d+ of the Avro body\)$/,
      ) as unknown,
    })
  })
})

/**
 * How long a walk takes, at best of several once it seems slow: a hostile input is slow every time, a busy machine is
 * not. Milliseconds.
 */
function timed<T>(walk: () => T): { readonly result: T; readonly ms: number } {
  const once = (): { readonly result: T; readonly ms: number } => {
    const started = cpuMs()
    return { result: walk(), ms: cpuMs() - started }
  }
  let best = once()
  for (let again = 0; best.ms > 5 && again < 10; again += 1) {
    const next = once()
    if (next.ms < best.ms) best = next
  }
  return best
}

/** Counts rather than asserts inside, since 200,000 assertions would take longer than all else. */
test('200,000 mutated values: no exception, no delay, and never a verdict other than avsc’s', () => {
  const random = seeded(20_260_000)
  const seeds = types.flatMap(([name, type]) => {
    const values = fc.sample(valuesOf(name, type), { numRuns: 40, seed: 7 })
    return values.map((value) => ({ type, walk: createWalk(type, LIMIT), bytes: reblock(type, value, random) }))
  })
  const outcomes = new Map<string, number>()
  const disagreements: string[] = []
  let slowestMs = 0
  const before = process.memoryUsage().rss
  for (let i = 0; i < 200_000; i += 1) {
    const seed = seeds[i % seeds.length]!
    const bytes = mutate(seed.bytes, random)
    const { result, ms } = timed(() => seed.walk(bytes, 0))
    const outcome = typeof result === 'number' ? 'whole' : result.code
    slowestMs = Math.max(slowestMs, ms)
    // The others must not reach avsc, which may never come back, even from a number cut short: that is the point.
    if (typeof result === 'number' && !agrees(seed.type, bytes, result)) disagreements.push(bytes.toString('hex'))
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  expect(disagreements).toEqual([])
  expect([...outcomes.keys()].sort()).toEqual(['record.bounds', 'record.malformed', 'record.truncated', 'whole'])
  expect(Math.min(...outcomes.values())).toBeGreaterThan(1_000)
  expect(slowestMs).toBeLessThan(50)
  expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 * 1024)
}, 120_000)

/** Whether avsc ends at the same place, or finds a number that a double cannot hold. */
function agrees(type: Type, bytes: Buffer, end: number): boolean {
  try {
    return type.decode(bytes, 0).offset === end
  } catch (error) {
    return error instanceof Error && error.message === 'potential precision loss'
  }
}
