import type { Type } from 'avsc'
import * as fc from 'fast-check'
import { shapeOf } from '../../src/avro/shape.ts'

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export const text = (): fc.Arbitrary<string> => fc.string({ maxLength: 5 }).filter((it) => it !== '__proto__')

/** A number as Avro writes it. */
export function count(value: number): number[] {
  let rest = value < 0 ? -value * 2 - 1 : value * 2
  const bytes: number[] = []
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return [...bytes, rest]
}

/** The value's encoding with its arrays and maps cut into blocks anywhere, some with their size in bytes before them. */
export function reblock(type: Type, value: unknown, random: () => number): Buffer {
  const shape = shapeOf(type)
  switch (shape.kind) {
    case 'record': {
      const fields = value as Readonly<Record<string, unknown>>
      return Buffer.concat(shape.fields.map((it) => reblock(it.type, fields[it.name], random)))
    }
    case 'union': {
      const whole = type.toBuffer(value)
      const index = (whole[0] ?? 0) >> 1
      const branch = shape.branches[index]!
      const inner = type.typeName === 'union:wrapped' && value !== null ? Object.values(value as object)[0] : value
      return Buffer.concat([whole.subarray(0, 1), reblock(branch, inner, random)])
    }
    case 'array':
      return blocks(
        (value as readonly unknown[]).map((it) => reblock(shape.items, it, random)),
        random,
      )
    case 'map': {
      const entries = Object.entries(value as object).map(([name, it]) => {
        const key = Buffer.from(name)
        return Buffer.concat([Buffer.from(count(key.length)), key, reblock(shape.items, it, random)])
      })
      return blocks(entries, random)
    }
    default:
      return type.toBuffer(value)
  }
}

function blocks(items: readonly Buffer[], random: () => number): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < items.length;) {
    const taken = items.slice(at, at + 1 + Math.floor(random() * items.length))
    at += taken.length
    const body = Buffer.concat(taken)
    const head = random() < 0.5 ? count(taken.length) : [...count(-taken.length), ...count(body.length)]
    parts.push(Buffer.from(head), body)
  }
  return Buffer.concat([...parts, Buffer.from([0])])
}

const HOSTILE = [-1, 1, 63, 64, 8191, 2 ** 20, 2 ** 31, 2 ** 40, 2 ** 53, -64, -(2 ** 20), -(2 ** 40)].map((it) =>
  Buffer.from(count(it)),
)

/** One to three changes of the kinds that matter to a reader of lengths, counts and branches. */
export function mutate(bytes: Buffer, random: () => number): Buffer {
  let mutated = bytes
  for (let changes = 1 + Math.floor(random() * 3); changes > 0; changes -= 1) mutated = mutateOnce(mutated, random)
  return mutated
}

function mutateOnce(bytes: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * bytes.length)
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
  const insert = (middle: Uint8Array, dropped: number) => Buffer.concat([before, middle, after.subarray(dropped)])
  const length = Math.floor(random() * 8)
  switch (Math.floor(random() * 8)) {
    case 0:
      return insert(Buffer.from([(bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8))]), 1)
    case 1:
      return insert(Buffer.from([Math.floor(random() * 256)]), 1)
    case 2:
      return insert(HOSTILE[Math.floor(random() * HOSTILE.length)]!, 1)
    case 3:
      return insert(HOSTILE[Math.floor(random() * HOSTILE.length)]!, 0)
    case 4:
      return before
    case 5:
      return insert(Buffer.alloc(0), length)
    case 6:
      return insert(after.subarray(0, length), 0)
    default:
      return insert(Buffer.alloc(length, random() < 0.5 ? 0xff : 0), length)
  }
}
