import { expect, test } from 'vitest'
import { keyPartition, murmur2 } from '../../src/kafka/key-partition.ts'

/** The expectations of org.apache.kafka.common.utils.UtilsTest.testMurmur2. */
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
])('murmur2 of %s is what the Java client says', (text, expected) => {
  expect(murmur2(Buffer.from(text))).toBe(expected)
})

test('three bytes are mixed as the Java client mixes them', () => {
  expect(murmur2(Buffer.from('abc'))).toBe(479470107)
})

test('a hash with its sign bit set gives a partition all the same', () => {
  expect(keyPartition(Buffer.from('21'), 7)).toBe((-973932308 & 0x7fffffff) % 7)
})
