import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CommittedView } from '../../src/kafka/committed.ts'
import type { AbortedTransaction } from '../../src/kafka/wire/messages/fetch.ts'
import type { RecordBatch } from '../../src/kafka/wire/record-reader.ts'

/**
 * A log in one line: `a` a record of producer a's transaction, `a+` its commit marker, `a-` its abort marker, `.` a
 * record outside of transactions.
 */
type Log = readonly string[]

const producerOf = (step: string): number => (step === '.' ? -1 : step.charCodeAt(0))

function batchesOf(log: Log): RecordBatch[] {
  return log.map((step, offset) => ({
    baseOffset: offset,
    lastOffset: offset,
    producerId: producerOf(step),
    transactional: step !== '.',
    control: step.length === 2,
    count: 1,
    bytes: Buffer.alloc(0),
  }))
}

type Transaction = AbortedTransaction & { readonly lastOffset: number; readonly aborted: boolean }

function transactionsOf(log: Log): readonly Transaction[] {
  const open = new Map<number, number>()
  const ended: Transaction[] = []
  for (const [offset, step] of log.entries()) {
    const producerId = producerOf(step)
    if (step.length === 1 && step !== '.' && !open.has(producerId)) open.set(producerId, offset)
    if (step.length !== 2) continue
    const firstOffset = open.get(producerId) ?? offset
    open.delete(producerId)
    ended.push({ producerId, firstOffset, lastOffset: offset, aborted: step === `${step[0]}-` })
  }
  return ended
}

/** As a broker lists them: those that end in the fetched range or after it, in the order in which they ended. */
const listed = (log: Log, from: number, next: number): readonly AbortedTransaction[] =>
  transactionsOf(log).filter(
    ({ aborted, firstOffset, lastOffset }) => aborted && lastOffset >= from && firstOffset < next,
  )

/** What the view shows when the log is fetched in responses cut at `cuts`. */
function shown(log: Log, cuts: readonly number[] = []): readonly number[] {
  const view = new CommittedView()
  const edges = [0, ...cuts.toSorted((a, b) => a - b), log.length]
  return edges.slice(1).flatMap((next, index) => {
    const from = edges[index]!
    return view.visible(batchesOf(log).slice(from, next), listed(log, from, next)).map(({ baseOffset }) => baseOffset)
  })
}

/** What is right by definition. */
function committed(log: Log): readonly number[] {
  const aborted = transactionsOf(log).filter((it) => it.aborted)
  return [...log.keys()].filter((offset) => {
    const step = log[offset]!
    const hidden = aborted.some(
      ({ producerId, firstOffset, lastOffset }) =>
        producerId === producerOf(step) && firstOffset <= offset && offset <= lastOffset,
    )
    return step.length === 1 && !hidden
  })
}

describe('a read_committed reader', () => {
  test.for<[string, string, number[]]>([
    ['one abort', 'a a a- .', [3]],
    ['overlapping, aborted in reverse', 'a b a b- . a- b b+', [4, 6]],
    ['the second begins first to end', 'a b b- a a- a a+', [5]],
    ['the same producer twice in one response', 'a a- a a- a a+', [4]],
    ['a commit between two aborts', 'a a- a a+ a a-', [2]],
    ['a plain record inside', 'a . a a-', [1]],
  ])('%s: %s', ([, line, expected]) => {
    const log = line.split(' ')
    expect(committed(log)).toEqual(expected)
    expect(shown(log)).toEqual(expected)
  })

  test('a transaction longer than a response stays hidden', () => {
    const log = ['a', 'a', 'a', 'a', 'a', '.', 'a-', 'a', 'a+']
    expect(shown(log, [2, 4, 5])).toEqual([5, 7])
  })

  test('it hides from the marker of the list on, even if a later response does not list it again', () => {
    const view = new CommittedView()
    const batches = batchesOf(['a', 'a', 'a-', 'a'])
    expect(view.visible(batches.slice(0, 1), [{ producerId: producerOf('a'), firstOffset: 0 }])).toEqual([])
    expect(view.visible(batches.slice(1), []).map(({ baseOffset }) => baseOffset)).toEqual([3])
  })

  test('any log, fetched in any pieces, shows exactly what was committed', () => {
    const step = fc.constantFrom('a', 'b', 'c', 'a+', 'a-', 'b+', 'b-', 'c+', 'c-', '.')
    const ended = (log: Log): Log => [...log, 'a-', 'b+', 'c-']
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }).map(ended), fc.array(fc.nat(40), { maxLength: 5 }), (log, cuts) => {
        const valid = log.filter((it, at) => it.length === 1 || opens(log, it[0]!, at))
        const inside = cuts.filter((cut) => cut < valid.length)
        expect(shown(valid, inside)).toEqual(committed(valid))
      }),
      { numRuns: 300 },
    )
  })
})

/** Whether producer `name` has a transaction open before `at`: a marker ends one that there is. */
function opens(log: Log, name: string, at: number): boolean {
  const last = log.slice(0, at).findLast((step) => step.startsWith(name))
  return last === name
}
