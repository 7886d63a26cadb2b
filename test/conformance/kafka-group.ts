import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Joined, Seat } from '../../src/kafka/wire/messages/group.ts'
import { KafkaCaller } from './kafka-caller.ts'
import type { JoinOptions, KafkaSubject } from './kafka-caller.ts'

const ILLEGAL_GENERATION = 22
const UNKNOWN_MEMBER = 25
const REBALANCING = 27
const MEMBER_ID_REQUIRED = 79
const REPLACED = 82

/** What the group coordinator promises to members of the classic protocol. */
export function groupConformance(name: string, open: () => Promise<KafkaSubject>): void {
  describe(`${name} keeps groups as Kafka does`, () => {
    let subject: KafkaSubject
    /** One connection each, since a join waits on its own. */
    let callers: readonly KafkaCaller[]
    let group: string
    let topic: string
    let id: string

    beforeAll(async () => {
      subject = await open()
      callers = [0, 1, 2].map(() => new KafkaCaller(subject))
      topic = await subject.topic(1)
      const first = { group: subject.unique('g'), member: '', instance: null, generation: -1 }
      await callers[0]!.stableOffset(first.group, topic)
    })
    beforeEach(() => {
      group = subject.unique('g')
      id = subject.unique('id')
    })
    afterAll(async () => {
      for (const caller of callers) caller.close()
      await subject.close()
    })

    const seatOf = (joined: Joined, instance: string | null = null): Seat => ({
      group,
      member: joined.member,
      instance,
      generation: joined.generation,
    })
    const join = (index: number, options: JoinOptions = {}) => callers[index]!.join(group, options)
    /** A request that waits, so that others can come meanwhile. */
    const waits = async <T>(work: Promise<T>, ms = 50): Promise<{ readonly answer: Promise<T> }> => {
      await subject.advance(ms)
      return { answer: work }
    }
    /** A request that is answered when what it starts is due. */
    const soon = async <T>(work: Promise<T>): Promise<T> => await (await waits(work, 30)).answer
    /** Heartbeats until one is answered so. */
    const told = async (index: number, seat: Seat, code: number): Promise<void> => {
      while ((await callers[index]!.beat(seat)) !== code) await subject.advance(10)
    }
    const joinedAlone = async (instance: string | null, options: JoinOptions = {}): Promise<Seat> => {
      const joined = await soon(join(0, { instance, ...options }))
      expect(joined.code).toBe(0)
      const seat = seatOf(joined, instance)
      expect(await callers[0]!.sync(seat, { [joined.member]: 'all' })).toEqual([0, 'all'])
      return seat
    }
    /** Two static members, `one` leading, both in their places. */
    const pair = async (options: JoinOptions = {}): Promise<readonly [Seat, Seat]> => {
      const first = await joinedAlone('one', options)
      const two = await waits(join(1, { instance: 'two', ...options }))
      await told(0, first, REBALANCING)
      const one = await soon(join(0, { instance: 'one', member: first.member, ...options }))
      const other = await two.answer
      expect([one.code, other.code, one.leader, other.leader]).toEqual([0, 0, one.member, one.member])
      const waiting = await waits(callers[1]!.sync(seatOf(other, 'two')))
      const shares = { [one.member]: 'a', [other.member]: 'b' }
      expect(await callers[0]!.sync(seatOf(one, 'one'), shares)).toEqual([0, 'a'])
      expect(await waiting.answer).toEqual([0, 'b'])
      return [seatOf(one, 'one'), seatOf(other, 'two')]
    }

    describe('joining', () => {
      test('a member leads alone, at generation 1', async () => {
        const joined = await soon(join(0, { instance: 'one' }))
        expect(joined).toMatchObject({ code: 0, generation: 1, protocol: 'p', leader: joined.member })
        expect(joined.members).toEqual([{ member: joined.member, instance: 'one', metadata: Buffer.from('any') }])
      })

      test('a dynamic member is given its id first', async () => {
        const first = await join(0)
        expect([first.code, first.member === '']).toEqual([MEMBER_ID_REQUIRED, false])
        const joined = await soon(join(0, { member: first.member }))
        expect([joined.code, joined.member, joined.generation]).toEqual([0, first.member, 1])
      })

      test('with an id that the group does not know is refused', async () => {
        expect((await join(0, { member: 'stranger' })).code).toBe(UNKNOWN_MEMBER)
        await joinedAlone('one')
        expect((await join(1, { member: 'stranger' })).code).toBe(UNKNOWN_MEMBER)
        expect((await join(1, { member: 'stranger', instance: 'two' })).code).toBe(UNKNOWN_MEMBER)
      })

      test('with another protocol is refused', async () => {
        await joinedAlone('one')
        expect((await join(1, { instance: 'two', protocol: 'q' })).code).toBe(23)
      })

      test('with a session shorter than allowed is refused', async () => {
        expect((await join(0, { instance: 'one', sessionTimeoutMs: 999 })).code).toBe(26)
      })

      test('of a second member moves the group on', async () => {
        const [one, two] = await pair()
        expect([one.generation, two.generation]).toEqual([2, 2])
      })

      test('again by a follower with nothing new gives the same place', async () => {
        const [, two] = await pair()
        const again = await join(1, { instance: 'two', member: two.member })
        expect(again).toMatchObject({ code: 0, generation: 2, member: two.member, members: [] })
        expect(await callers[1]!.sync(two)).toEqual([0, 'b'])
      })

      test('again by a follower with something new, or by the leader, moves the group on', async () => {
        const [one, two] = await pair()
        const moved = await waits(join(1, { instance: 'two', member: two.member, metadata: 'new' }))
        await told(0, one, REBALANCING)
        const led = await soon(join(0, { instance: 'one', member: one.member }))
        expect([led.generation, (await moved.answer).generation]).toEqual([3, 3])
        await callers[0]!.sync({ ...one, generation: 3 }, {})
        const again = await waits(join(0, { instance: 'one', member: one.member }))
        await told(1, { ...two, generation: 3 }, REBALANCING)
        const other = await soon(join(1, { instance: 'two', member: two.member, metadata: 'new' }))
        expect([(await again.answer).generation, other.generation]).toEqual([4, 4])
      })

      test('twice while it waits answers the second', async () => {
        const first = await joinedAlone('one')
        const two = await waits(join(1, { instance: 'two' }))
        await told(0, first, REBALANCING)
        const stale = join(0, { instance: 'one', member: first.member })
        await subject.advance(30)
        const [one, other] = [await stale, await two.answer]
        expect([one.code, other.code]).toEqual([0, 0])
        const again = await join(2, { instance: 'one', member: first.member })
        expect([again.code, again.generation, again.members.length]).toEqual([0, one.generation, 2])
      })
    })

    describe('a place', () => {
      test('of an old generation is refused everywhere', async () => {
        const [one] = await pair()
        const old = { ...one, generation: 1 }
        expect(await callers[0]!.beat(old)).toBe(ILLEGAL_GENERATION)
        expect((await callers[0]!.sync(old))[0]).toBe(ILLEGAL_GENERATION)
        expect(await callers[0]!.commitOutside(old, topic, 1)).toBe(ILLEGAL_GENERATION)
        expect(await callers[0]!.beat({ ...one, generation: 3 })).toBe(ILLEGAL_GENERATION)
      })

      test('of a stranger is refused everywhere', async () => {
        const one = await joinedAlone('one')
        for (const seat of [
          { ...one, member: 'stranger', instance: null },
          { ...one, member: 'stranger', instance: 'nobody' },
          { ...one, group: subject.unique('g') },
        ]) {
          expect(await callers[0]!.beat(seat)).toBe(UNKNOWN_MEMBER)
          expect((await callers[0]!.sync(seat))[0]).toBe(UNKNOWN_MEMBER)
          expect(await callers[0]!.leave(seat)).toBe(UNKNOWN_MEMBER)
        }
      })

      test('is kept by heartbeats and lost without', async () => {
        const one = await joinedAlone('one', { sessionTimeoutMs: 2_000 })
        for (let beat = 0; beat < 6; beat++) {
          await subject.advance(400)
          expect(await callers[0]!.beat(one)).toBe(0)
        }
        await subject.advance(3_000)
        expect(await callers[0]!.beat(one)).toBe(UNKNOWN_MEMBER)
        expect(await callers[0]!.commitOutside(one, topic, 1)).toBe(UNKNOWN_MEMBER)
      })

      test('that is lost moves the group on', async () => {
        const [one, two] = await pair({ sessionTimeoutMs: 1_000 })
        await told(0, one, REBALANCING)
        const led = await soon(join(0, { instance: 'one', member: one.member, sessionTimeoutMs: 1_000 }))
        expect([led.generation, led.members.length]).toEqual([3, 1])
        expect(await callers[1]!.beat(two)).toBe(UNKNOWN_MEMBER)
      })

      test('that is left moves the group on', async () => {
        const [one, two] = await pair()
        expect(await callers[1]!.leave(two)).toBe(0)
        expect(await callers[1]!.leave(two)).toBe(UNKNOWN_MEMBER)
        expect(await callers[0]!.beat(one)).toBe(REBALANCING)
        const led = await soon(join(0, { instance: 'one', member: one.member }))
        expect([led.generation, led.members.length]).toEqual([3, 1])
      })
    })

    describe('a rebalance', () => {
      test('waits for a dynamic member no longer than its time-out, and goes on without it', async () => {
        const required = await join(0)
        const first = await soon(join(0, { member: required.member, rebalanceTimeoutMs: 1_000 }))
        await callers[0]!.sync(seatOf(first), { [first.member]: 'all' })
        const second = (await join(1)).member
        const waiting = await waits(join(1, { member: second, rebalanceTimeoutMs: 1_000 }), 1_500)
        const joined = await waiting.answer
        expect([joined.code, joined.generation, joined.leader, joined.members.length]).toEqual([0, 2, second, 1])
        expect(await callers[0]!.beat(seatOf(first))).toBe(UNKNOWN_MEMBER)
      })

      test('goes on after its time-out with the place of a static member that did not join', async () => {
        const [one, two] = await pair({ rebalanceTimeoutMs: 1_000 })
        const moved = await waits(join(0, { instance: 'one', member: one.member, rebalanceTimeoutMs: 1_000 }), 1_500)
        const led = await moved.answer
        expect([led.code, led.generation, led.members.length]).toEqual([0, 3, 2])
        expect(await callers[1]!.beat(two)).toBe(ILLEGAL_GENERATION)
      })

      test('in which the leader does not join has another lead', async () => {
        const [one, two] = await pair({ rebalanceTimeoutMs: 1_000 })
        const options = { instance: 'two', member: two.member, metadata: 'new', rebalanceTimeoutMs: 1_000 }
        const moved = await waits(join(1, options), 1_500)
        const led = await moved.answer
        expect([led.code, led.leader, led.members.length]).toEqual([0, two.member, 2])
        expect(await callers[0]!.beat(one)).toBe(ILLEGAL_GENERATION)
      })

      test('refuses to share out before everybody has joined', async () => {
        const first = await joinedAlone('one')
        const two = await waits(join(1, { instance: 'two' }))
        await told(0, first, REBALANCING)
        expect((await callers[0]!.sync(first))[0]).toBe(REBALANCING)
        await soon(join(0, { instance: 'one', member: first.member }))
        expect((await two.answer).code).toBe(0)
      })

      test('puts those out that do not ask for their share', async () => {
        const first = await joinedAlone('one', { rebalanceTimeoutMs: 1_000 })
        const two = await waits(join(1, { instance: 'two', rebalanceTimeoutMs: 1_000 }))
        await told(0, first, REBALANCING)
        const one = await soon(join(0, { instance: 'one', member: first.member, rebalanceTimeoutMs: 1_000 }))
        const other = await two.answer
        const sharing = await callers[0]!.sync(seatOf(one, 'one'), { [one.member]: 'a', [other.member]: 'b' })
        expect(sharing).toEqual([0, 'a'])
        await told(1, seatOf(other, 'two'), UNKNOWN_MEMBER)
        await told(0, seatOf(one, 'one'), REBALANCING)
      })

      test('that begins while shares are awaited has everybody join again', async () => {
        const first = await joinedAlone('one')
        const two = await waits(join(1, { instance: 'two' }))
        await told(0, first, REBALANCING)
        await soon(join(0, { instance: 'one', member: first.member }))
        const other = seatOf(await two.answer, 'two')
        const sharing = await waits(callers[1]!.sync(other))
        const three = await waits(join(2, { instance: 'three' }))
        expect((await sharing.answer)[0]).toBe(REBALANCING)
        const [one] = await Promise.all([
          waits(join(0, { instance: 'one', member: first.member })),
          waits(join(1, { instance: 'two', member: other.member })),
        ])
        expect([(await one.answer).generation, (await three.answer).generation]).toEqual([3, 3])
      })
    })

    describe('a static member', () => {
      test('that is replaced is fenced, at the same generation and with the same share', async () => {
        const [one, two] = await pair()
        const next = await join(2, { instance: 'two' })
        expect(next).toMatchObject({ code: 0, generation: 2, leader: one.member, members: [] })
        expect(next.member).not.toBe(two.member)
        expect(await callers[2]!.sync(seatOf(next, 'two'))).toEqual([0, 'b'])
        expect(await callers[0]!.beat(one)).toBe(0)
        expect(await callers[1]!.beat(two)).toBe(REPLACED)
        expect((await callers[1]!.sync(two))[0]).toBe(REPLACED)
        expect((await join(1, { instance: 'two', member: two.member })).code).toBe(REPLACED)
        expect(await callers[1]!.commitOutside(two, topic, 1)).toBe(REPLACED)
        expect(await callers[1]!.leave(two)).toBe(REPLACED)
      })

      test('that leads and is replaced is told of its old id as the leader', async () => {
        const [one] = await pair()
        const next = await join(2, { instance: 'one' })
        expect(next).toMatchObject({ code: 0, generation: 2, leader: one.member, members: [] })
        expect(await callers[2]!.sync(seatOf(next, 'one'))).toEqual([0, 'a'])
      })

      test('that is replaced while it waits to join is answered so', async () => {
        const first = await joinedAlone('one')
        const two = await waits(join(1, { instance: 'two' }))
        await told(0, first, REBALANCING)
        const next = await waits(join(2, { instance: 'two' }))
        expect((await two.answer).code).toBe(REPLACED)
        await soon(join(0, { instance: 'one', member: first.member }))
        expect((await next.answer).code).toBe(0)
      })

      test('leaves by its instance alone', async () => {
        const [, two] = await pair()
        expect(await callers[1]!.leave({ ...two, member: '' })).toBe(0)
        expect(await callers[1]!.beat(two)).toBe(UNKNOWN_MEMBER)
      })
    })

    test('a static member that is replaced before it has its share has everybody join again', async () => {
      const first = await joinedAlone('one')
      const two = await waits(join(1, { instance: 'two' }))
      await told(0, first, REBALANCING)
      const one = await soon(join(0, { instance: 'one', member: first.member }))
      const other = await two.answer
      const next = await waits(join(2, { instance: 'two' }))
      await told(0, seatOf(one, 'one'), REBALANCING)
      expect(await callers[1]!.beat(seatOf(other, 'two'))).toBe(REPLACED)
      const again = await soon(join(0, { instance: 'one', member: first.member }))
      expect([again.generation, (await next.answer).generation]).toEqual([3, 3])
    })

    describe('offsets of a transaction', () => {
      const committing = async (seat: Seat): Promise<number> => {
        const producer = await callers[0]!.fence(id)
        await callers[0]!.addedOffsets(id, producer, group)
        return await callers[0]!.commitWithin(id, producer, seat, topic, 5)
      }

      test('need the place of now', async () => {
        const [one] = await pair()
        expect(await committing({ ...one, generation: 1 })).toBe(ILLEGAL_GENERATION)
        expect(await committing({ ...one, member: 'stranger', instance: null })).toBe(UNKNOWN_MEMBER)
        expect(await committing({ ...one, instance: 'nobody' })).toBe(UNKNOWN_MEMBER)
        expect(await committing(one)).toBe(0)
        expect((await callers[0]!.committed(group, topic))[0]).toBe(88)
      })

      test('of a replaced member are refused', async () => {
        const [one] = await pair()
        await join(2, { instance: 'one' })
        expect(await committing(one)).toBe(REPLACED)
      })

      test('of a group that is not there need no generation', async () => {
        const nobody = { group, member: '', instance: null, generation: -1 }
        expect(await committing({ ...nobody, generation: 1, member: 'm' })).toBe(ILLEGAL_GENERATION)
        expect(await committing(nobody)).toBe(0)
      })

      test('without a place are taken although there are members, and plain ones are not', async () => {
        await joinedAlone('one')
        const nobody = { group, member: '', instance: null, generation: -1 }
        expect(await committing(nobody)).toBe(0)
        expect(await callers[0]!.commitOutside(nobody, topic, 1)).toBe(UNKNOWN_MEMBER)
      })

      test('are taken while the group moves on, as long as the generation is the last one', async () => {
        const [one, two] = await pair()
        const moved = await waits(join(1, { instance: 'two', member: two.member, metadata: 'new' }))
        await told(0, one, REBALANCING)
        expect(await committing(one)).toBe(0)
        const led = await soon(join(0, { instance: 'one', member: one.member }))
        expect((await moved.answer).code).toBe(0)
        expect(await committing(one)).toBe(ILLEGAL_GENERATION)
        expect(await committing(seatOf(led, 'one'))).toBe(0)
        expect(await callers[0]!.commitOutside(seatOf(led, 'one'), topic, 1)).toBe(REBALANCING)
      })
    })
  })
}
