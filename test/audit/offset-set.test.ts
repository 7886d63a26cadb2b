import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { OffsetSet } from '../../src/audit/offset-set.ts'
import type { OffsetRange } from '../../src/audit/offset-set.ts'

const small = fc.integer({ min: 0, max: 60 })
const deeds = fc.array(
  fc.oneof(
    small.map((offset) => ({ kind: 'one' as const, offset })),
    fc.tuple(small, small).map(([a, b]) => ({ kind: 'run' as const, from: Math.min(a, b), next: Math.max(a, b) })),
  ),
  { maxLength: 60 },
)

test('holds what a plain set holds, in as few runs as can be', () => {
  fc.assert(
    fc.property(deeds, small, small, (list, a, b) => {
      const set = new OffsetSet()
      const plain = new Set<number>()
      for (const deed of list) {
        if (deed.kind === 'one')
          expect(set.add(deed.offset)).toBe(!plain.has(deed.offset) && plain.add(deed.offset).size > 0)
        else {
          set.addRange(deed)
          for (let offset = deed.from; offset < deed.next; offset++) plain.add(offset)
        }
      }
      const all = Array.from({ length: 62 }, (_, offset) => offset)
      expect(all.filter((it) => set.has(it))).toEqual(all.filter((it) => plain.has(it)))
      const runs = all.filter((it) => plain.has(it) && !plain.has(it - 1)).length
      expect(set.runs).toBe(runs)
      const [from, next] = [Math.min(a, b), Math.max(a, b)]
      expect(set.gaps({ from, next }).flatMap(listOf)).toEqual(
        all.filter((it) => it >= from && it < next && !plain.has(it)),
      )
    }),
  )
})

const listOf = ({ from, next }: OffsetRange): readonly number[] =>
  Array.from({ length: next - from }, (_, n) => from + n)

test('a million answers in any near order are one run', () => {
  const set = new OffsetSet()
  for (let offset = 0; offset < 1_000_000; offset += 10)
    for (const n of [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]) set.add(offset + n)
  expect([set.runs, set.has(0), set.has(999_999), set.has(1_000_000)]).toEqual([1, true, true, false])
})
