import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Codec } from '../../src/processor/ports.ts'
import { runProcessor } from '../../src/processor/run.ts'
import type { Processor } from '../../src/processor/run.ts'
import { bytesOf, codeOf, deadLetterId, flow, TOPIC, verdictOf, visibleIds } from './flow.ts'

type Flow = ReturnType<typeof flow>

const idsOf = (partition: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, offset) => `${TOPIC}:${partition}:${offset}`)

const done = (it: Flow): number => [...it.log.committed.values()].reduce((sum, next) => sum + next, 0)

const lettersOf = (it: Flow): readonly string[] =>
  it.log.visible.filter(({ topic }) => topic === 'dlq').map((one) => `${deadLetterId(one)} ${codeOf(one)}`)

/** Runs until every record is committed, or `isOver`. */
async function run(it: Flow, processor: Processor, total: number, isOver = (): boolean => false): Promise<void> {
  const stop = new AbortController()
  let hasEnded = false
  const running = runProcessor(processor, stop.signal).finally(() => (hasEnded = true))
  running.catch(() => undefined)
  const end = performance.now() + 2000
  const goesOn = (): boolean => done(it) < total && !isOver() && !hasEnded && performance.now() < end
  while (goesOn()) await new Promise((resolve) => setTimeout(resolve, 1))
  stop.abort()
  if (!isOver()) await running
}

/** Calls `meet` instead of decoding a record whose bytes hold `mark`. */
const mined = (codec: Codec, mark: string, meet: () => ReturnType<Codec['decode']>): Codec => ({
  ...codec,
  decode: (record) => (record.value?.includes(mark) === true ? meet() : codec.decode(record)),
})

describe('a record that processes die of', () => {
  /** A process that dies does nothing more and says nothing of it: here it waits for ever, and another one is begun. */
  async function live(it: Flow, name: string, total: number): Promise<'died' | 'done'> {
    let isDead = false
    const die = (): Promise<never> => {
      isDead = true
      return new Promise(() => undefined)
    }
    const codec = mined(it.processor.codec, 'deadly', die)
    await run(it, { ...it.processor, attempts: it.attempts.store(name), codec }, total, () => isDead)
    return isDead ? 'died' : 'done'
  }

  async function liveOn(it: Flow, total: number): Promise<number> {
    for (let deaths = 0; deaths < 50; deaths++) if ((await live(it, `run ${deaths}`, total)) === 'done') return deaths
    throw new Error(
      `still dying: ${JSON.stringify([[...it.log.committed], it.seen.isolated.slice(-9), [...it.attempts.byPartition]])}`,
    )
  }

  test('is set aside unread after the third, and everything around it has its verdict once', async () => {
    const it = flow({ partitions: 1 })
    for (let n = 0; n < 12; n++) it.log.append(0, bytesOf({ id: n === 3 ? 'deadly' : `e-${n}` }))
    expect(await liveOn(it, 12)).toBe(3)
    expect(visibleIds(it.log)).toEqual(idsOf(0, 12))
    expect(lettersOf(it)).toEqual([`${TOPIC}:0:3 record.poison`])
    const letter = it.log.visible.find(({ topic }) => topic === 'dlq')
    expect(letter?.value).toEqual(bytesOf({ id: 'deadly' }))
    const told = it.seen.isolated.map((why) => (why.kind === 'deaths' ? why.suspicion : why.kind))
    expect(told).toEqual([
      { start: 0, deaths: 1, until: 0 },
      { start: 0, deaths: 2, until: 5 },
      { start: 3, deaths: 3, until: 5 },
    ])
  })

  test('several of them, wherever they lie: those are set aside and no others, and no partition stops', async () => {
    const places = fc.uniqueArray(fc.integer({ min: 0, max: 39 }), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(places, async (deadly) => {
        const it = flow({ partitions: 2 })
        for (let n = 0; n < 40; n++) it.log.append(n % 2, bytesOf({ id: deadly.includes(n) ? 'deadly' : `e-${n}` }))
        const deaths = await liveOn(it, 40)
        expect(visibleIds(it.log).toSorted()).toEqual([...idsOf(0, 20), ...idsOf(1, 20)].toSorted())
        const expected = deadly.map((n) => `${TOPIC}:${n % 2}:${Math.floor(n / 2)} record.poison`)
        expect(lettersOf(it).toSorted()).toEqual(expected.toSorted())
        expect(deaths).toBeLessThanOrEqual(5 * deadly.length)
      }),
      { numRuns: 100 },
    )
  })

  test('processes that end in order, however often and wherever, are held against nothing', async () => {
    const it = flow({ partitions: 2 })
    let readings = 0
    for (let time = 0; time < 6; time++) {
      it.log.append(time % 2, bytesOf({ id: `e-${time}` }))
      const attempts = { ...it.attempts.store(`run ${time}`), reading: async () => void readings++ }
      await run(it, { ...it.processor, attempts }, time + 1)
    }
    expect([done(it), it.seen.isolated, lettersOf(it)]).toEqual([6, [], []])
    // What is read is noted only after a death, so a batch costs no round trip more.
    expect(readings).toBe(0)
  })

  test('nor is a process that takes its partitions anew after a discarded transaction', async () => {
    const it = flow({ partitions: 1 })
    for (let n = 0; n < 6; n++) it.log.append(0, bytesOf({ id: `e-${n}` }))
    it.log.failNext('refused', 'refused', 'refused', 'refused', 'reply lost')
    await run(it, it.processor, 6)
    expect([it.seen.discarded.length, it.seen.isolated, lettersOf(it)]).toEqual([5, [], []])
    expect(visibleIds(it.log)).toEqual(idsOf(0, 6))
  })
})

describe('a record that Sluice cannot decide, which is a bug', () => {
  const fail = (): never => {
    throw new TypeError('cannot read this')
  }

  test.each([
    ['while it is decoded', (it: Flow): Partial<Processor> => ({ codec: mined(it.processor.codec, 'odd', fail) })],
    [
      'a moment later',
      (it: Flow): Partial<Processor> => ({ codec: mined(it.processor.codec, 'odd', async () => fail()) }),
    ],
    [
      'while its orders are looked up',
      (it: Flow): Partial<Processor> => ({
        control: { matching: (event, reliable) => (event.id === 'odd' ? fail() : it.orders.matching(event, reliable)) },
      }),
    ],
    [
      'while its verdict is written',
      (it: Flow): Partial<Processor> => ({
        codec: {
          ...it.processor.codec,
          encode: (verdict, record) =>
            verdict.event.id === 'odd' ? fail() : it.processor.codec.encode(verdict, record),
        },
      }),
    ],
  ])('%s: is set aside with the error, and all others have their verdict', async (_, change) => {
    const it = flow({ partitions: 2 })
    for (let n = 0; n < 24; n++) it.log.append(n % 2, bytesOf({ id: n === 9 ? 'odd' : `e-${n}` }))
    await run(it, { ...it.processor, ...change(it) }, 24)
    expect(visibleIds(it.log).toSorted()).toEqual([...idsOf(0, 12), ...idsOf(1, 12)].toSorted())
    expect(lettersOf(it)).toEqual([`${TOPIC}:1:4 record.failed`])
    const letter = it.log.visible.find(({ topic }) => topic === 'dlq')
    expect(Object.fromEntries(letter?.headers ?? [])['__connect.errors.exception.message']).toContain(
      'TypeError: cannot read this',
    )
    expect(it.seen.isolated.map(({ kind }) => kind)).toEqual(['error', 'error'])
    const verdicts = it.log.visible.filter(({ topic }) => ['x', 'v', 'r'].includes(topic)).map(verdictOf)
    expect(new Set(verdicts.map(({ facts }) => facts.state))).toEqual(new Set(['ok']))
  })

  test('but not when every record throws: that is no record’s fault, and the process ends with the error', async () => {
    const it = flow({ partitions: 1 })
    for (let n = 0; n < 60; n++) it.log.append(0, bytesOf({ id: `odd-${n}` }))
    const codec = mined(it.processor.codec, 'odd', fail)
    await expect(run(it, { ...it.processor, codec }, 60)).rejects.toThrow('cannot read this')
    expect(done(it)).toBe(20)
  })
})
