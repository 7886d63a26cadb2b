import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ContextValue } from '../../src/decision/facts.ts'
import type { Grant, Observation } from '../../src/processor/ports.ts'
import { blast, Caller, DAY, HOUR, inquiryAt, velocity, lost, some } from './state-caller.ts'
import type { StateSubject } from './state-caller.ts'
import { outageConformance } from './state-outages.ts'
import { windowConformance } from './state-windows.ts'

const seller = [{ name: 'seller', key: 's-1', hash: 'hash-of-s-1' }]
const told = (version: number): ContextValue => ({
  source: 'crm',
  version,
  time: 5,
  attributes: { trusted: true, n: version },
})

const counts = (observations: readonly Observation[], limit = 'velocity'): (number | undefined)[] =>
  observations.map((it) => it.counters.get(limit))
const granted = (grants: readonly Grant[]): boolean[] => grants.map((it) => it.granted)

/** What every state store promises, whatever it is made of. */
export function stateStoreConformance(name: string, open: () => Promise<StateSubject>): void {
  describe(`${name} keeps the promises of a state store`, () => {
    let subject: StateSubject
    let caller: Caller

    beforeEach(async () => {
      subject = await open()
      caller = new Caller(subject.store)
    })
    afterEach(() => subject.close())

    describe('once', () => {
      test('a redelivered event is counted once and gets the same observation', async () => {
        await caller.own()
        const before = await caller.observe(0, some(3), { committed: 0 })
        await subject.advance(1000)
        const again = await caller.observe(0, some(3), { committed: 0 })
        expect(again).toEqual(before)
        expect(counts([...before, ...(await caller.observe(3, some(1)))])).toEqual([0, 1, 2, 3])
      })

      test('a batch cut differently gets the same facts', async () => {
        const cutsOf = fc.uniqueArray(fc.integer({ min: 1, max: 19 }), { maxLength: 6 })
        await fc.assert(
          fc.asyncProperty(cutsOf, cutsOf, async (first, second) => {
            // A process that had the partition before would miss it after the flush.
            await subject.close()
            subject = await open()
            caller = new Caller(subject.store)
            await subject.flush()
            await caller.own()
            const wishes = Array.from({ length: 20 }, (_, n) => ({
              actionKey: `k${n % 7}`,
              counters: [velocity(`a${n % 3}`)],
            }))
            const run = async (cuts: readonly number[], upTo: number): Promise<Observation[]> => {
              const edges = [0, ...cuts.filter((it) => it < upTo).sort((a, b) => a - b), upTo]
              const seen: Observation[] = []
              for (const [at, edge] of edges.slice(1).entries()) {
                seen.push(...(await caller.observe(edges[at]!, wishes.slice(edges[at], edge), { committed: 0 })))
                await subject.advance(1)
              }
              return seen
            }
            const once = await run(first, 15)
            await caller.own()
            const again = await run(second, 20)
            expect(again.slice(0, 15)).toEqual(once)
            expect(await run([], 20)).toEqual(again)
            expect(lost(again)).toEqual(some(20).map(() => false))
          }),
          { numRuns: 25 },
        )
      })

      test('a call whose reply was lost is harmless', async () => {
        await caller.own()
        await subject.loseNextReply()
        expect((await caller.ask([caller.range(0, some(3))])).kind).toBe('unavailable')
        await subject.back()
        expect(counts(await caller.observe(3, some(2)))).toEqual([3, 4])
      })

      test('a call whose reply was lost gives its observations to the one that asks again', async () => {
        await caller.own()
        await subject.loseNextReply()
        await caller.ask([caller.range(0, some(3))])
        await subject.back()
        await caller.own(0, 0, 0)
        const seen = await caller.observe(0, some(3))
        expect([counts(seen), lost(seen)]).toEqual([
          [0, 1, 2],
          [false, false, false],
        ])
      })

      test('a policy change does not change what was recorded, nor give it to another entity', async () => {
        await subject.putContext('hash-of-s-1', told(4))
        await caller.own()
        const asked = { counters: [velocity(), blast()], context: seller }
        const before = await caller.observe(0, some(2, asked), { committed: 0 })
        const grants = await caller.reserve(0, some(2, asked))
        const others = {
          counters: [
            { ...velocity(), key: 'v-bob' },
            { ...blast(), key: 'blast-m2' },
          ],
          context: [{ name: 'seller', key: 's-2', hash: 'other-than-s-1' }],
        }
        const again = await caller.observe(0, some(2, others), { committed: 0 })
        expect(again.map((it) => [it.now, it.counters.size, it.context.size])).toEqual(
          before.map((it) => [it.now, 0, 0]),
        )
        expect((await caller.reserve(0, some(2, others))).map((it) => it.counters.size)).toEqual([0, 0])
        expect(await caller.observe(0, some(2, asked), { committed: 0 })).toEqual(before)
        expect(await caller.reserve(0, some(2, asked))).toEqual(grants)
      })

      test('offsets without an event are passed', async () => {
        await caller.own()
        const range = { ...caller.range(0, some(1)), next: 10 }
        expect((await caller.ask([range])).kind).toBe('observed')
        const next = await caller.ask([{ ...caller.range(10, []), next: 20 }])
        expect(next).toMatchObject({ kind: 'observed' })
        expect([counts(await caller.observe(20, some(1))), lost(await caller.observe(21, some(1)))]).toEqual([
          [1],
          [false],
        ])
      })

      test('an event that can be decoded only later is observed then, once', async () => {
        await caller.own()
        const wishes = [{ actionKey: 'a' }, { actionKey: 'b' }, { actionKey: 'c' }]
        const whole = caller.range(0, wishes, { committed: 0 })
        const undecoded = { ...whole, inquiries: whole.inquiries.slice(1, 2) }
        expect((await caller.ask([undecoded])).kind).toBe('observed')
        await caller.own()
        const seen = await caller.observe(0, wishes, { committed: 0 })
        expect([counts(seen), lost(seen)]).toEqual([
          [1, 0, 2],
          [false, false, false],
        ])
        await subject.advance(1000)
        await caller.own()
        expect(await caller.observe(0, wishes, { committed: 0 })).toEqual(seen)
        const repeat = await caller.observe(3, [{ actionKey: 'a' }, {}])
        expect([repeat[0]?.first?.decisionId, ...counts(repeat)]).toEqual(['model.outputs:0:0', 3, 3])
      })

      test('partitions of one call count together, in order', async () => {
        await caller.ownAll(new Map([0, 1].map((it) => [it, { start: 0, committed: null }])))
        const others = [{ actionKey: 'x' }, { actionKey: 'y' }]
        const answer = await caller.ask([caller.range(0, some(2)), caller.range(0, others, { partition: 1 })])
        if (answer.kind !== 'observed') throw new Error(answer.kind)
        expect(counts([0, 1].flatMap((it) => [...answer.observations.get(it)!.values()]))).toEqual([0, 1, 2, 3])
      })
    })

    describe('repeats', () => {
      test('the same event again names the first and is not counted', async () => {
        await caller.own()
        const seen = await caller.observe(0, [{ actionKey: 'a' }, { actionKey: 'a' }, { actionKey: 'b' }])
        expect(seen.map((it) => it.first)).toEqual([null, { decisionId: 'model.outputs:0:0', digest: 'd1' }, null])
        expect(counts(seen)).toEqual([0, 1, 1])
      })

      test('the same id with another payload names the first and is counted', async () => {
        await caller.own()
        const seen = await caller.observe(0, [
          { actionKey: 'a' },
          { actionKey: 'a', digest: 'd2' },
          { actionKey: 'a', digest: 'd2' },
        ])
        const first = { decisionId: 'model.outputs:0:0', digest: 'd1' }
        expect(seen.map((it) => it.first)).toEqual([null, first, first])
        expect(counts([...seen, ...(await caller.observe(3, some(1)))])).toEqual([0, 1, 2, 3])
      })

      test('an event is forgotten after its time, not after its last repeat', async () => {
        await caller.own()
        await caller.observe(0, [{ actionKey: 'a' }], {}, HOUR)
        await subject.advance(HOUR - 1000)
        const repeat = await caller.observe(1, [{ actionKey: 'a' }], {}, HOUR)
        await subject.advance(2000)
        const fresh = await caller.observe(2, [{ actionKey: 'a' }], {}, HOUR)
        expect([...repeat, ...fresh].map((it) => it.first !== null)).toEqual([true, false])
      })

      test('nothing is remembered where the policy says zero', async () => {
        await caller.own()
        const seen = await caller.observe(0, some(2, { actionKey: 'a' }), {}, 0)
        expect(seen.map((it) => it.first)).toEqual([null, null])
      })
    })

    describe('ownership', () => {
      test('tokens grow, across a loss of state too', async () => {
        const first = await caller.own()
        const second = await caller.own()
        await subject.flush()
        await subject.advance(1)
        expect(second).toBeGreaterThan(first)
        expect(await caller.own()).toBeGreaterThan(second)
      })

      test('an old owner is refused and changes nothing', async () => {
        await caller.ownAll(new Map([0, 1].map((it) => [it, { start: 0, committed: null }])))
        const newer = new Caller(subject.store)
        await newer.own(1)
        const ranges = [caller.range(0, some(3)), caller.range(0, some(3), { partition: 1 })]
        expect(await caller.ask(ranges)).toEqual({ kind: 'fenced', partition: 1 })
        const claims = [{ offset: 0, inquiry: inquiryAt(0, { counters: [blast()] }) }]
        const reserved = await caller.store.reserve([{ partition: 1, token: caller.tokens.get(1)!, claims }])
        expect(reserved).toEqual({ kind: 'fenced', partition: 1 })
        const seen = await newer.observe(0, some(2, { counters: [velocity(), blast()] }), { partition: 1 })
        expect([counts(seen), counts(seen, 'blast')]).toEqual([
          [0, 1],
          [0, 0],
        ])
      })

      test('a caller without a token is sent to acquire', async () => {
        expect(await caller.ask([caller.range(0, some(1))])).toEqual({ kind: 'fenced', partition: 0 })
      })

      test('state that forgot its owner refuses it', async () => {
        await caller.own()
        await caller.observe(0, some(1))
        await subject.flush()
        expect(await caller.ask([caller.range(1, some(1))])).toEqual({ kind: 'fenced', partition: 0 })
      })
    })

    describe('loss', () => {
      test('a new partition has lost nothing', async () => {
        await caller.own(0, 7, null)
        expect(lost(await caller.observe(7, some(1)))).toEqual([false])
      })

      test('state that never knew a committed partition was lost, until the longest window has passed', async () => {
        await caller.own(0, 7, 7)
        expect(lost(await caller.observe(7, some(1)))).toEqual([true])
        await subject.advance(DAY - 5000)
        expect(lost(await caller.observe(8, some(1)))).toEqual([true])
        await subject.advance(10_000)
        expect(lost(await caller.observe(9, some(1)))).toEqual([false])
      })

      test('below an offset that somebody has set, state cannot tell what was decided', async () => {
        await caller.own(0, 1, 1)
        await caller.ask([])
        const at = (isSetByHand: boolean) => new Map([[0, { start: 2, committed: 2, isSetByHand }]])
        await caller.observe(1, some(3), { committed: 1 })
        await caller.ownAll(at(false))
        const before = await caller.observe(2, some(2))
        await caller.ownAll(at(true))
        const after = await caller.observe(2, some(2))
        expect([before, after].map((seen) => seen.map((it) => it.counters.get('velocity')))).toEqual([
          [1, 2],
          [0, 1],
        ])
      })

      test('a flushed state is noticed at acquire, and felt by every partition', async () => {
        await caller.ownAll(new Map([0, 1].map((it) => [it, { start: 0, committed: null }])))
        await caller.observe(0, some(1))
        await subject.flush()
        await caller.ownAll(
          new Map([
            [0, { start: 1, committed: 1 }],
            [1, { start: 0, committed: null }],
          ]),
        )
        expect(lost(await caller.observe(0, some(1), { partition: 1 }))).toEqual([true])
      })

      test('a watermark below the committed offset shows loss, one above does not', async () => {
        await caller.own()
        await caller.observe(0, some(10))
        await caller.own(0, 6, 6)
        expect(lost(await caller.observe(6, some(4)))).toEqual(some(4).map(() => false))
        await caller.own(0, 11, 11)
        expect(lost(await caller.observe(11, some(1)))).toEqual([true])
      })

      test('a log that begins later than what was committed is no loss', async () => {
        await caller.own()
        await caller.observe(0, some(10))
        await caller.own(0, 50, 10)
        expect(lost(await caller.observe(50, some(1)))).toEqual([false])
      })

      test('a gap before a range shows loss, and every owner must acquire anew', async () => {
        await caller.ownAll(new Map([0, 1].map((it) => [it, { start: 0, committed: null }])))
        await caller.observe(0, some(2))
        expect(await caller.ask([caller.range(3, some(1))])).toEqual({ kind: 'fenced', partition: 0 })
        expect((await caller.ask([caller.range(0, some(1), { partition: 1 })])).kind).toBe('fenced')
        await caller.own(0, 3, 3)
        expect(lost(await caller.observe(3, some(1)))).toEqual([true])
      })

      test('what was recorded before a loss is observed anew, into counters that begin anew', async () => {
        await caller.own()
        await caller.observe(0, some(2, { counters: [velocity(), blast()] }), { committed: 0 })
        await caller.reserve(0, some(2, { counters: [blast()] }))
        expect((await caller.ask([{ ...caller.range(5, some(1)), committed: 0 }])).kind).toBe('fenced')
        await caller.own(0, 1, 1)
        const seen = await caller.observe(1, some(2, { counters: [velocity(), blast()] }), { committed: 1 })
        expect([counts(seen), counts(seen, 'blast'), lost(seen)]).toEqual([
          [0, 1],
          [0, 0],
          [true, true],
        ])
        expect(granted(await caller.reserve(1, some(1, { counters: [blast()] })))).toEqual([true])
      })

      test('partitions that are taken one after the other after a loss stay with their owners', async () => {
        await caller.ownAll(new Map([0, 1].map((it) => [it, { start: 0, committed: null }])))
        await caller.observe(0, some(2))
        await caller.observe(0, some(2, { actionKey: 'other' }), { partition: 1 })
        await subject.flush()
        const second = new Caller(subject.store)
        await caller.own(0, 2, 2)
        await second.own(1, 2, 2)
        expect(lost(await second.observe(2, some(1), { partition: 1 }))).toEqual([true])
        expect((await caller.ask([caller.range(2, some(1))])).kind).toBe('observed')
      })

      test('a call that was overtaken is refused and counts nothing', async () => {
        await caller.own()
        await caller.observe(0, some(3), { committed: 0 })
        await caller.observe(3, some(1), { committed: 3 })
        expect(await caller.ask([caller.range(0, some(3), { committed: 0 })])).toEqual({ kind: 'fenced', partition: 0 })
        const seen = await caller.observe(4, some(1))
        expect([counts(seen), lost(seen)]).toEqual([[4], [false]])
      })

      test('offsets set back by an operator are observed anew, as loss', async () => {
        await caller.own()
        await caller.observe(0, some(10))
        await caller.own(0, 10, 10)
        await caller.observe(10, some(1))
        await caller.own(0, 0, 0)
        expect((await caller.ask([caller.range(0, some(2))])).kind).toBe('fenced')
        await caller.own(0, 0, 0)
        const seen = await caller.observe(0, some(2))
        expect([lost(seen), seen.map((it) => it.first)]).toEqual([
          [true, true],
          [null, null],
        ])
      })
    })

    describe('places', () => {
      const wish = { counters: [blast()] }

      test('places are taken in order until a limit is used up', async () => {
        await caller.own()
        await caller.observe(0, some(3, wish))
        const grants = await caller.reserve(0, some(3, wish))
        expect(granted(grants)).toEqual([true, true, false])
        expect(grants.map((it) => it.counters.get('blast'))).toEqual([0, 1, 2])
        expect(counts(await caller.observe(3, [wish]), 'blast')).toEqual([2])
      })

      test('all limits have room, or none is taken from', async () => {
        await caller.own()
        const [narrow, wide] = [blast('n', 1, 'narrow'), blast('w', 9, 'wide')]
        await caller.observe(0, some(3))
        const grants = await caller.reserve(0, [
          { counters: [narrow] },
          { counters: [wide, narrow] },
          { counters: [wide] },
        ])
        expect(granted(grants)).toEqual([true, false, true])
        expect(grants[2]!.counters).toEqual(new Map([['wide', 0]]))
      })

      test('an event with more room does not lend it to another', async () => {
        await caller.own()
        await caller.observe(0, some(3))
        const wishes = [Number.MAX_SAFE_INTEGER, 0, 2].map((max) => ({ counters: [blast('x', max)] }))
        expect(granted(await caller.reserve(0, wishes))).toEqual([true, false, true])
      })

      test('a claim is answered once for ever', async () => {
        await caller.own()
        await caller.observe(0, some(4, wish), { committed: 0 })
        const first = await caller.reserve(0, some(3, wish))
        await caller.own()
        expect(await caller.reserve(1, some(3, wish))).toEqual([
          ...first.slice(1),
          { granted: false, counters: new Map([['blast', 2]]) },
        ])
      })

      test('no place is taken before the owners of all partitions have told what they know', async () => {
        const one = new Caller(subject.store, 2)
        const asked = { counters: [blast()] }
        await one.own(0)
        await one.observe(0, some(1, asked), { committed: 0 })
        const claims = [{ offset: 0, inquiry: inquiryAt(0, asked) }]
        const answer = await one.store.reserve([{ partition: 0, token: one.tokens.get(0)!, claims }])
        expect(answer).toMatchObject({ kind: 'unavailable', fault: { code: 'state.unavailable', retry: true } })
        await one.ownAll(new Map([0, 1].map((it) => [it, { start: 0, committed: null }])))
        expect((await one.ask([])).kind).toBe('observed')
        expect(granted(await one.reserve(0, some(1, asked)))).toEqual([true])
      })

      test('a claim whose reply was lost is answered the same', async () => {
        await caller.own()
        await caller.observe(0, some(2, wish), { committed: 0 })
        await subject.loseNextReply()
        const claims = [{ offset: 0, inquiry: inquiryAt(0, wish) }]
        const answer = await caller.store.reserve([{ partition: 0, token: caller.tokens.get(0)!, claims }])
        expect(answer.kind).toBe('unavailable')
        await subject.back()
        await caller.own(0, 0, 0)
        expect((await caller.reserve(0, some(2, wish))).map((it) => it.counters.get('blast'))).toEqual([0, 1])
      })

      test('proposal limits take no part, a limit of zero gives nothing, and no limit always has room', async () => {
        await caller.own()
        await caller.observe(0, some(3))
        const grants = await caller.reserve(0, [
          { counters: [velocity()] },
          { counters: [blast('z', 0)] },
          { counters: [] },
        ])
        expect(granted(grants)).toEqual([true, false, true])
        expect(counts(await caller.observe(3, some(1)))).toEqual([3])
      })
    })

    describe('context', () => {
      test('what is known of an entity is read, and replayed as it was then', async () => {
        await subject.putContext('hash-of-s-1', told(4))
        await caller.own()
        const asked = {
          context: [...seller, { name: 'buyer', key: 'b', hash: 'unknown' }, { name: 'shop', key: null, hash: null }],
        }
        const before = await caller.observe(0, [asked], { committed: 0 })
        await subject.putContext('hash-of-s-1', told(5))
        expect(before[0]!.context).toEqual(new Map([['seller', told(4)]]))
        expect(await caller.observe(0, [asked], { committed: 0 })).toEqual(before)
        expect((await caller.observe(1, [asked]))[0]!.context).toEqual(new Map([['seller', told(5)]]))
      })

      test('names and values of any text come through', async () => {
        const value = {
          source: '", ]\n\u2028ü',
          version: 1,
          time: -1,
          attributes: { '"}': '\\', __proto_: null, 'ü\u0000': 1.5 },
        }
        await subject.putContext('odd', value)
        await caller.own()
        const odd = { ...velocity('odd'), limit: 'a",[\n' }
        const [seen] = await caller.observe(
          0,
          [{ counters: [odd], context: [{ name: '"x\n', key: 'k', hash: 'odd' }] }],
          { committed: 0 },
        )
        expect(seen).toMatchObject({ counters: new Map([['a",[\n', 0]]), context: new Map([['"x\n', value]]) })
      })

      test.each([33, 65, 300, 70_000])('names of %d characters come through', async (length) => {
        await caller.own()
        const long = { ...velocity('long'), limit: 'ä'.repeat(length) }
        const [seen] = await caller.observe(0, [{ counters: [long] }])
        expect([...seen!.counters.keys()]).toEqual([long.limit])
      })
    })
  })
  windowConformance(name, open)
  outageConformance(name, open)
}
