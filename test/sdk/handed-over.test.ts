import { expect, test } from 'vitest'
import { HandedOver } from '../../src/sdk/handed-over.ts'

test('remembers a key until its time has passed', () => {
  let now = 1000
  const done = new HandedOver(10, 500, () => now)
  done.add('a')
  now = 1499
  expect(done.has('a')).toBe(true)
  now = 1500
  expect(done.has('a')).toBe(false)
})

test('forgets the oldest when it is full, and counts a repeated key as new', () => {
  const done = new HandedOver(3, 1e9, () => 0)
  for (const key of ['a', 'b', 'c', 'a', 'd']) done.add(key)
  expect(['a', 'b', 'c', 'd'].filter((key) => done.has(key))).toEqual(['a', 'c', 'd'])
})

test('does not grow with what has lapsed', () => {
  let now = 0
  const done = new HandedOver(1000, 10, () => now)
  for (let at = 0; at < 5000; at++) {
    now = at
    done.add(`key-${at}`)
  }
  expect(done.size).toBeLessThanOrEqual(11)
})
