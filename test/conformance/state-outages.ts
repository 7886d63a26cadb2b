import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BACKLOG_EVENTS, blast, Caller, inquiryAt, counts, lost, some } from './state-caller.ts'
import type { StateSubject } from './state-caller.ts'

/** What every state store promises of times when it could not be reached. */
export function outageConformance(name: string, open: () => Promise<StateSubject>): void {
  describe(`${name} keeps the promises of a state store through outages`, () => {
    let subject: StateSubject
    let caller: Caller

    beforeEach(async () => {
      subject = await open()
      caller = new Caller(subject.store)
    })
    afterEach(() => subject.close())

    test('what was decided meanwhile is counted afterwards, and nothing counts as lost', async () => {
      await caller.own()
      await caller.observe(0, some(2))
      await subject.away()
      expect((await caller.ask([caller.range(2, some(3))])).kind).toBe('unavailable')
      expect((await caller.ask([caller.range(5, some(3, { actionKey: 'again' }))])).kind).toBe('unavailable')
      await subject.back()
      const seen = await caller.observe(8, [{ actionKey: 'again' }, {}])
      expect(counts(seen)).toEqual([6, 6])
      expect(seen.map((it) => it.first?.decisionId)).toEqual(['model.outputs:0:5', undefined])
      expect(lost(seen)).toEqual([false, false])
    })

    test('a partition kept through an outage keeps what is remembered of it', async () => {
      await caller.own()
      await caller.observe(0, some(2))
      await subject.away()
      await caller.ask([caller.range(2, some(3))])
      expect((await caller.store.acquire(new Map([[0, { start: 5, committed: 5 }]]), 1, 1)).kind).toBe('unavailable')
      caller.tokens.clear()
      await caller.ask([caller.range(5, some(2))])
      await subject.back()
      expect((await caller.ask([caller.range(7, some(1))])).kind).toBe('fenced')
      await caller.own(0, 7, 7)
      const seen = await caller.observe(7, some(1))
      expect([counts(seen), lost(seen)]).toEqual([[7], [false]])
    })

    test('a partition that this process had, and of which nothing is committed yet, is missed where state has forgotten it', async () => {
      await caller.own()
      expect(lost(await caller.observe(0, some(1)))).toEqual([false])
      await subject.flush()
      expect((await caller.ask([caller.range(1, some(1))])).kind).toBe('fenced')
      await caller.own()
      expect(lost(await caller.observe(0, some(2)))).toEqual([true, true])
    })

    test('a batch that was discarded meanwhile is counted once', async () => {
      await caller.own()
      await caller.observe(0, some(2))
      await subject.away()
      await caller.ask([caller.range(2, some(5))])
      await subject.back()
      await caller.own(0, 4, 4)
      const seen = await caller.observe(4, some(2))
      expect([counts(seen), lost(seen)]).toEqual([
        [4, 5],
        [false, false],
      ])
      expect(counts(await caller.observe(6, some(1)))).toEqual([6])
    })

    test.each([1, 5])(
      'what could be decoded only in an outage is counted once, told in chunks from %i on',
      async (cut) => {
        await caller.own()
        expect((await caller.ask([{ ...caller.range(0, []), next: 5 }])).kind).toBe('observed')
        await subject.away()
        await caller.ask([caller.range(0, some(cut), { committed: 0 })])
        await caller.ask([caller.range(cut, some(8 - cut), { committed: 0 })])
        await subject.back()
        await caller.own(0, 6, 6)
        await subject.loseNextReply()
        expect((await caller.ask([caller.range(8, some(1))])).kind).toBe('unavailable')
        await subject.back()
        expect(counts(await caller.observe(8, some(1)))).toEqual([8])
        const [repeat] = await caller.observe(9, [{ actionKey: 'key-3' }])
        expect(repeat?.first?.decisionId).toBe('model.outputs:0:3')
      },
    )

    test('a partition given away is not remembered, which its next owner notices', async () => {
      await caller.ownAll(new Map([0, 1].map((it) => [it, { start: 0, committed: null }])))
      await caller.observe(0, some(1), { partition: 1 })
      await subject.away()
      await caller.ask([caller.range(1, some(3), { partition: 1 })])
      await subject.back()
      await caller.own(0, 0, null)
      await caller.own(1, 4, 4)
      expect(lost(await caller.observe(4, some(1), { partition: 1 }))).toEqual([true])
    })

    test('another owner in between makes what is remembered void', async () => {
      await caller.own()
      await caller.observe(0, some(1))
      await subject.away()
      await caller.ask([caller.range(1, some(3))])
      await subject.back()
      await caller.own(0, 9, 9)
      const seen = await caller.observe(9, some(1))
      expect([counts(seen), lost(seen)]).toEqual([[0], [true]])
    })

    test.each([
      [1, [4], false],
      [2, [0], true],
    ])('what is remembered outlives %i generations or not', async (passed, counted, isLost) => {
      await caller.own()
      await caller.observe(0, some(1))
      await subject.away()
      await caller.ask([caller.range(1, some(3))])
      await subject.back()
      caller.generation += passed
      await caller.own(0, 4, 4)
      const seen = await caller.observe(4, some(1))
      expect([counts(seen), lost(seen)]).toEqual([counted, [isLost]])
    })

    test('what one partition missed is counted before another is answered', async () => {
      await caller.ownAll(new Map([0, 1].map((it) => [it, { start: 0, committed: null }])))
      await caller.observe(0, some(2))
      await subject.away()
      await caller.ask([caller.range(0, some(3, { actionKey: 'other' }), { partition: 1 })])
      await subject.back()
      expect(counts(await caller.observe(2, [{}, { actionKey: 'other' }]))).toEqual([3, 4])
    })

    test('what was missed is told though nothing new comes', async () => {
      await caller.ownAll(new Map([0, 1].map((it) => [it, { start: 0, committed: null }])))
      await subject.away()
      await caller.ask([caller.range(0, some(3), { partition: 1 })])
      await subject.back()
      expect((await caller.ask([])).kind).toBe('observed')
      await caller.own(0, 0, null)
      await caller.own(1, 3, 3)
      const seen = await caller.observe(3, some(1), { partition: 1 })
      expect([counts(seen), lost(seen)]).toEqual([[3], [false]])
    })

    test('who has no token is sent to acquire before what was missed is forgotten', async () => {
      await subject.away()
      await caller.ask([caller.range(0, some(3))])
      await subject.back()
      expect(await caller.ask([])).toEqual({ kind: 'fenced', partition: 0 })
    })

    test('who could not acquire does so though nothing new comes, and nothing is remembered', async () => {
      await caller.own()
      await subject.away()
      expect((await caller.store.acquire(new Map([[0, { start: 0, committed: null }]]), 1, 1)).kind).toBe('unavailable')
      await subject.back()
      expect(await caller.ask([])).toEqual({ kind: 'fenced', partition: 0 })
      await caller.own()
      expect((await caller.ask([])).kind).toBe('observed')
    })

    test('who was replaced during an outage is told so though nothing new comes', async () => {
      await caller.own()
      await subject.away()
      await subject.flush()
      await subject.back()
      expect(await caller.ask([])).toEqual({ kind: 'fenced', partition: 0 })
    })

    test('an outage longer than memory counts as loss', async () => {
      await caller.own()
      await subject.away()
      for (let from = 0; from < BACKLOG_EVENTS + 10; from += 10) await caller.ask([caller.range(from, some(10))])
      await subject.back()
      expect((await caller.ask([caller.range(BACKLOG_EVENTS + 10, some(1))])).kind).toBe('fenced')
      await caller.own(0, BACKLOG_EVENTS + 10, BACKLOG_EVENTS + 10)
      expect(lost(await caller.observe(BACKLOG_EVENTS + 10, some(1)))).toEqual([true])
    })

    test('reservations are refused meanwhile, and nothing is taken', async () => {
      await caller.own()
      await caller.observe(0, some(2), { committed: 0 })
      await subject.away()
      const claims = [{ offset: 0, inquiry: inquiryAt(0, { counters: [blast()] }) }]
      const answer = await caller.store.reserve([{ partition: 0, token: caller.tokens.get(0)!, claims }])
      expect(answer).toMatchObject({ kind: 'unavailable', fault: { code: 'state.unavailable', retry: true } })
      await subject.back()
      expect(await caller.store.reserve([{ partition: 0, token: caller.tokens.get(0)!, claims }])).toEqual(answer)
      await caller.ask([])
      expect(await caller.store.reserve([{ partition: 0, token: caller.tokens.get(0)!, claims }])).toEqual(answer)
      await caller.own(0, 0, 0)
      expect((await caller.reserve(1, [{ counters: [blast()] }]))[0]!.counters.get('blast')).toBe(0)
    })
  })
}
