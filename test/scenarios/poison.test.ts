import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { inShort } from './support/answers.ts'
import type { Answer } from './support/answers.ts'
import { endInOrder, endProcesses } from './support/cli.ts'
import { deploy, event, many } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import type { ProcessorProcess } from './support/processor.ts'

/** A record that kills whoever reads it, and one that brings an error of ours to light. */

const MINE = 'mine-in-the-payload'
const mined = (deed: 'die' | 'throw') => ({
  NODE_OPTIONS: `--import=${new URL('support/mined-payload.ts', import.meta.url).href}`,
  MINE,
  DEED: deed,
})

const stack = inject('stack')
let it: Deployment

beforeAll(async () => {
  it = await deploy(stack)
})
afterEach(endProcesses)
afterAll(() => it.close())

/** Twenty events around a mined one, in one partition. */
async function sendMined(): Promise<{ readonly all: readonly string[]; readonly mine: string }> {
  const before = await it.send(many(10), { key: 'one key' })
  const [mine] = await it.send([event({ attributes: { text: MINE } })], { key: 'one key' })
  const after = await it.send(many(10), { key: 'one key' })
  return { all: [...before, ...after], mine: mine ?? '' }
}

/** Starts a processor again whenever it has died, until `isOver`. */
async function superviseUntil(isOver: () => boolean): Promise<{ deaths: number; last: ProcessorProcess }> {
  for (let deaths = 0; ; deaths++) {
    const last = it.start(mined('die'))
    while (!last.hasEnded() && !isOver()) await new Promise((resolve) => setTimeout(resolve, 20))
    if (!last.hasEnded()) return { deaths, last }
    expect((await last.ended).signal).toBe('SIGKILL')
    if (deaths > 9) throw new Error('the partition does not come past the record')
  }
}

const letterOf = (answer: Answer): Extract<Answer, { kind: 'dead letter' }> => {
  if (answer.kind === 'dead letter') return answer
  throw new Error(`${answer.position} has a verdict`)
}

describe('a record that kills the process', () => {
  test(
    'is a dead letter after three deaths, unread, and all around it is decided once',
    { timeout: 120_000 },
    async () => {
      const { all, mine } = await sendMined()
      const answered = (): boolean => [...all, mine].every((one) => it.answers.find(one) !== undefined)
      const { deaths, last } = await superviseUntil(answered)
      expect(deaths).toBe(3)
      expect(new Set((await it.answers.all(all)).map(inShort))).toEqual(new Set(['execute confidence.sufficient']))
      const { code, record } = letterOf(await it.answers.of(mine))
      expect([code, record.value?.includes(MINE)]).toEqual(['record.poison', true])
      expect(await last.metric('decision_dead_letters_total', { code })).toBe(1)
      expect(await last.metric('decision_isolations_total', { kind: 'deaths' })).toBeGreaterThan(0)
      expect(last.log().map(({ message }) => message)).toContainEqual(
        expect.stringContaining('three processes in a row died'),
      )
      const later = await it.send(many(20))
      await it.answers.all(later)
      expect(await it.answers.audit()).toEqual({ lost: [], doubled: [], events: 41 })
      await endInOrder(last)
    },
  )

  test(
    'processes that are stopped and started, or join and leave, are held against no record',
    { timeout: 120_000 },
    async () => {
      const stays = it.start({ SLUICE_SLOT: 'stays' })
      await stays.untilReady()
      for (let time = 0; time < 3; time++) {
        const comes = it.start({ SLUICE_SLOT: 'comes' })
        await comes.untilReady()
        await it.answers.all(await it.send(many(8)))
        expect(await comes.metric('decision_isolations_total')).toBe(0)
        await endInOrder(comes)
      }
      await it.answers.all(await it.send(many(8)))
      expect(await stays.metric('decision_isolations_total')).toBe(0)
      await endInOrder(stays)
    },
  )
})

test('a record that throws is a dead letter with the error, in the same process', { timeout: 60_000 }, async () => {
  const processor = it.start(mined('throw'))
  await processor.untilReady()
  const { all, mine } = await sendMined()
  await it.answers.all([...all, mine])
  const { code, record } = letterOf(await it.answers.of(mine))
  const message = Buffer.from(record.headers.get('__connect.errors.exception.message') ?? []).toString()
  expect([code, message]).toEqual([
    'record.failed',
    'Sluice could not decide it, which is a bug: RangeError: the digest exploded',
  ])
  expect(await processor.metric('decision_isolations_total', { kind: 'error' })).toBeGreaterThan(0)
  expect(await it.answers.audit()).toMatchObject({ lost: [], doubled: [] })
  await endInOrder(processor)
})
