import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { PartitionLedger } from '../../src/audit/partition-ledger.ts'

test.each([
  { says: 'each once', events: [0, 1, 2], answers: [0, 1, 2], committed: 3, lost: [], orphans: [], doubled: [] },
  { says: 'one missing', events: [0, 1, 2], answers: [0, 2], committed: 3, lost: [1], orphans: [], doubled: [] },
  { says: 'one twice', events: [0, 1], answers: [0, 1, 1], committed: 2, lost: [], orphans: [], doubled: [1] },
  { says: 'where none lies', events: [0, 2], answers: [0, 1, 2], committed: 3, lost: [], orphans: [1], doubled: [] },
  {
    says: 'control records between',
    events: [1, 4],
    answers: [4, 1],
    committed: 5,
    lost: [],
    orphans: [],
    doubled: [],
  },
  { says: 'not committed yet', events: [0, 1, 2], answers: [0], committed: 1, lost: [], orphans: [], doubled: [] },
])('answers $says', ({ events, answers, committed, lost, orphans, doubled }) => {
  const ledger = new PartitionLedger(0)
  expect(answers.filter((it) => !ledger.answered(it))).toEqual(doubled)
  expect(ledger.inputRead(0, 5, events)).toEqual(orphans)
  expect(ledger.settle(committed)).toEqual(lost.map((it) => ({ from: it, next: it + 1 })))
  expect(ledger.state).toMatchObject({ sure: committed, lost: lost.length, untold: 0 })
})

test('in whatever order all is read, what was lost and doubled is told, once', () => {
  const log = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(log, fc.infiniteStream(fc.nat(2)), (counts, dice) => {
      const ledger = new PartitionLedger(0)
      const answers = counts.flatMap((count, offset) => Array.from({ length: count }, () => offset))
      const found = { doubled: 0, orphans: 0, lost: 0 }
      let read = 0
      const roll = (): number => Number(dice.next().value)
      while (answers.length > 0 || read < counts.length) {
        if (roll() === 0 && read < counts.length) found.orphans += ledger.inputRead(read, ++read, [read - 1]).length
        else if (answers.length > 0 && !ledger.answered(answers.shift()!)) found.doubled++
        const isAnswered = answers[0] ?? counts.length
        if (roll() === 1) for (const it of ledger.settle(Math.min(isAnswered, read))) found.lost += it.next - it.from
      }
      for (const it of ledger.settle(counts.length)) found.lost += it.next - it.from
      expect(found).toEqual({
        doubled: counts.reduce((sum, count) => sum + Math.max(0, count - 1), 0),
        orphans: 0,
        lost: counts.filter((count) => count === 0).length,
      })
    }),
  )
})

test('what retention has deleted is told as such, and not as lost', () => {
  const ledger = new PartitionLedger(10)
  for (let offset = 15; offset < 30; offset++) ledger.answered(offset)
  ledger.raiseFloor(15)
  ledger.inputRead(10, 20, [10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
  ledger.inputRead(25, 30, [25, 26, 27, 28, 29])
  expect(ledger.settle(30)).toEqual([])
  expect(ledger.state).toMatchObject({ sure: 30, untold: 5, lost: 0 })
})
