import fc from 'fast-check'
import { expect, test } from 'vitest'
import { assignPartitions } from '../../src/kafka/assign.ts'

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

const claimant = (member: string, owned: readonly number[] = [], generation = 1) => ({
  member,
  instance: `i-${member}`,
  owned,
  generation,
})

test('a newcomer takes only what evens the shares out', () => {
  const shares = assignPartitions([claimant('a', [0, 1, 2]), claimant('b', [3, 4, 5]), claimant('c')], range(6))
  expect([...shares]).toEqual([
    ['a', [0, 1]],
    ['b', [3, 4]],
    ['c', [2, 5]],
  ])
})

test('of two who claim a partition the later generation has it', () => {
  const shares = assignPartitions([claimant('a', [0, 1], 3), claimant('b', [0, 1], 4)], range(4))
  expect(shares.get('b')).toEqual([0, 1])
})

test('shares are even, complete and without overlap, and move no more than they must', () => {
  const owned = fc.uniqueArray(fc.nat(11), { maxLength: 12 })
  const members = fc.array(fc.tuple(owned, fc.nat(3)), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(members, fc.integer({ min: 0, max: 12 }), (list, count) => {
      const claimants = list.map(([own, generation], index) => claimant(`m${index}`, own, generation))
      const shares = assignPartitions(claimants, range(count))
      const sizes = [...shares.values()].map((share) => share.length)
      expect([...shares.values()].flat().toSorted((a, b) => a - b)).toEqual(range(count))
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      const again = claimants.map((it) => ({ ...it, owned: shares.get(it.member) ?? [], generation: 9 }))
      expect(assignPartitions(again, range(count))).toEqual(shares)
    }),
  )
})
