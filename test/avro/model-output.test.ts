import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createWalk } from '../../src/avro/bounds.ts'
import { readModelOutput } from '../../src/avro/model-output.ts'
import { bundled } from '../../src/avro/schemas.ts'
import type { ModelOutput } from '../../src/decision/event.ts'
import { valueOf } from './arbitrary.ts'
import { mutate, reblock, seeded } from './mutate.ts'
import { modelOutput } from './samples.ts'

const { type } = bundled('ModelOutput')
const walk = createWalk(type, 256 * 1024)

/** What the walk and avsc make of the bytes; null where either refuses them. */
function byAvsc(bytes: Buffer): ModelOutput | null {
  if (walk(bytes, 0) !== bytes.length) return null
  try {
    return type.fromBuffer(bytes) as ModelOutput
  } catch {
    return null
  }
}

/** Beyond it numbers are avsc's matter. */
const isPlain = ({ time, expiresAt }: ModelOutput): boolean =>
  Math.abs(time) < 2 ** 51 && Math.abs(expiresAt ?? 0) < 2 ** 51

test('events that are plainly right are read, and as avsc reads them', () => {
  fc.assert(
    fc.property(valueOf(type), fc.nat(9), (value, before) => {
      const bytes = type.toBuffer(value)
      const read = readModelOutput(Buffer.concat([Buffer.alloc(before, 0xff), bytes]), before)
      if (read === null) expect(isPlain(value as ModelOutput)).toBe(false)
      else expect(read).toStrictEqual(byAvsc(bytes))
    }),
    { numRuns: 2000 },
  )
})

test.each([
  ['beyond ASCII', 'Ünïcødé 審査 🦉'],
  ['long', 'x'.repeat(300)],
  ['long and beyond ASCII', 'ß'.repeat(300)],
  ['with a byte order mark', '\ufeffid'],
  ['empty', ''],
])('text that is %s', (_what, text) => {
  const value = { ...modelOutput, id: text, tenant: text, attributes: { [text]: text } }
  expect(readModelOutput(type.toBuffer(value), 0)).toStrictEqual(value)
})

test('texts of the same length that differ anywhere are told apart', () => {
  const random = seeded(5)
  for (let run = 0; run < 20_000; run += 1) {
    const tenant = Array.from({ length: 4 }, () => 'ab'[Math.floor(random() * 2)]).join('')
    expect(readModelOutput(type.toBuffer({ ...modelOutput, tenant }), 0)?.tenant).toBe(tenant)
  }
})

test('other cuts into blocks are left to avsc', () => {
  const random = seeded(3)
  for (let run = 0; run < 500; run += 1) {
    const bytes = reblock(type, modelOutput, random)
    const read = readModelOutput(bytes, 0)
    if (read !== null) expect(read).toStrictEqual(byAvsc(bytes))
  }
})

test('of 200,000 mutated events none is read that avsc refuses, or otherwise than avsc reads it', () => {
  const random = seeded(11)
  const good = type.toBuffer(modelOutput)
  let read = 0
  for (let run = 0; run < 200_000; run += 1) {
    const bytes = mutate(good, random)
    const event = readModelOutput(bytes, 0)
    if (event === null) continue
    read += 1
    const expected = byAvsc(bytes)
    // A deep comparison of every one would take a minute.
    if (!isSame(event, expected)) expect(event).toStrictEqual(expected)
  }
  expect(read).toBeGreaterThan(1000)
})

const isSame = (a: ModelOutput, b: ModelOutput | null): boolean => textOf(a) === textOf(b)

/** JSON that tells NaN, −0 and infinities apart. */
const textOf = (value: unknown): string =>
  JSON.stringify(value, (_name, it: unknown) =>
    typeof it === 'number' && (!Number.isFinite(it) || Object.is(it, -0))
      ? `number ${Object.is(it, -0) ? '-0' : it}`
      : it,
  )
