import { expect, test } from 'vitest'
import { fuzz } from './fuzz.ts'

const INPUTS = 200_000

test(
  '200,000 hostile records from bytes to a verdict: no crash, no hang, each a verdict or a dead letter',
  { timeout: 240_000 },
  async () => {
    const before = process.memoryUsage().rss
    const { verdicts, deadLetters, crashes, slowestMs, slowest } = await fuzz(INPUTS, 20_261_125, () => undefined)
    expect(crashes).toEqual([])
    expect(sumOf(verdicts) + sumOf(deadLetters)).toBe(INPUTS)
    expect([...verdicts.keys()].sort()).toEqual(['execute', 'reject', 'review'])
    expect(deadLetters.size).toBeGreaterThanOrEqual(8)
    expect(sumOf(verdicts)).toBeGreaterThan(20_000)
    expect(slowestMs, slowest).toBeLessThan(50)
    expect(process.memoryUsage().rss - before).toBeLessThan(512 * 1024 * 1024)
  },
)

const sumOf = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((a, b) => a + b, 0)
