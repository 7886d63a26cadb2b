import type { Producer } from '../../../src/kafka/wire/messages/transaction.ts'
import type { PartitionCodes } from '../../../src/kafka/wire/messages/transaction.ts'
import type { Agenda } from './agenda.ts'
import { CODE } from './codes.ts'
import { Group, refusedJoin, refusedSync } from './group.ts'
import type { JoinAnswer, JoinWish, SyncAnswer } from './group.ts'
import type { Offsets } from './group-offsets.ts'

export type GroupsSettings = {
  readonly now: () => number
  readonly agenda: Agenda
  readonly initialDelayMs: number
  readonly minSessionMs: number
  readonly dropsPending: boolean
  readonly isTopic: (topic: string, partition: number) => boolean
  /** What the transaction coordinator says of a group that has no offsets of the transaction yet. */
  readonly verify: (id: string, producer: Producer, group: string) => number
}

type Seat = { readonly member: string; readonly instance: string | null; readonly generation: number }
type Places = readonly { readonly topic: string; readonly partition: number }[]

export class GroupCoordinator {
  readonly #settings: GroupsSettings
  readonly #groups = new Map<string, Group>()
  #memberCount = 0

  constructor(settings: GroupsSettings) {
    this.#settings = settings
  }

  join(name: string, wish: JoinWish, misplaced: number, reply: (answer: JoinAnswer) => void): void {
    if (misplaced !== CODE.none) return reply(refusedJoin(misplaced, wish.member))
    if (wish.sessionTimeoutMs < this.#settings.minSessionMs) {
      return reply(refusedJoin(CODE.invalidSessionTimeout, wish.member))
    }
    const group = wish.member === '' ? this.#made(name) : this.#groups.get(name)
    if (group === undefined) return reply(refusedJoin(CODE.unknownMember, wish.member))
    group.join(wish, reply)
  }

  sync(
    name: string,
    seat: Seat,
    assignments: ReadonlyMap<string, Buffer>,
    misplaced: number,
    reply: (answer: SyncAnswer) => void,
  ): void {
    const group = this.#groups.get(name)
    if (misplaced !== CODE.none) return reply(refusedSync(misplaced))
    if (group === undefined) return reply(refusedSync(CODE.unknownMember))
    group.sync(seat, assignments, reply)
  }

  heartbeat(name: string, member: string, instance: string | null, generation: number): number {
    return this.#groups.get(name)?.heartbeat(member, instance, generation) ?? CODE.unknownMember
  }

  leave(name: string, member: string, instance: string | null): number {
    return this.#groups.get(name)?.leave(member, instance) ?? CODE.unknownMember
  }

  commit(name: string, seat: Seat, offsets: Offsets): number {
    const group = seat.generation < 0 ? this.#made(name) : this.#groups.get(name)
    if (group === undefined) return CODE.illegalGeneration
    const code = group.commitRefusal(seat.member, seat.instance, seat.generation, false)
    if (code === CODE.none) group.offsets.commit(offsets)
    return code
  }

  commitWithin(asked: {
    readonly id: string
    readonly group: string
    readonly producer: Producer
    readonly seat: Seat
    readonly offsets: Offsets
  }): PartitionCodes {
    const known = asked.offsets.filter(({ topic, partition }) => this.#settings.isTopic(topic, partition))
    const code = known.length === 0 ? CODE.none : this.#commitWithin({ ...asked, offsets: known })
    return asked.offsets.map((it) => {
      const { topic, partition } = it
      return { topic, partition, code: known.includes(it) ? code : CODE.unknownTopicOrPartition }
    })
  }

  offsets(
    name: string,
    places: Places,
    isStable: boolean,
  ): readonly (PartitionCodes[number] & { offset: number; metadata: string })[] {
    const offsets = this.#groups.get(name)?.offsets
    return places.map(({ topic, partition }) => {
      if (isStable && offsets?.isPending(topic, partition)) {
        return { topic, partition, offset: -1, metadata: '', code: CODE.unstableOffsetCommit }
      }
      const metadata = offsets?.metadata(topic, partition) ?? ''
      return { topic, partition, offset: offsets?.get(topic, partition) ?? -1, metadata, code: CODE.none }
    })
  }

  mark(name: string, producer: Producer, isCommit: boolean): void {
    this.#made(name).offsets.mark(producer, isCommit)
  }

  committed(name: string, topic: string, partition: number): number | null {
    return this.#groups.get(name)?.offsets.get(topic, partition) ?? null
  }

  describe(name: string) {
    const group = this.#groups.get(name)
    return group === undefined ? null : { state: group.state, generation: group.generation, members: group.members }
  }

  unload(name: string, code: number | null): void {
    this.#groups.get(name)?.unload(code)
  }

  load(name: string): void {
    this.#groups.get(name)?.load()
  }

  #commitWithin({
    id,
    group: name,
    producer,
    seat,
    offsets,
  }: {
    readonly id: string
    readonly group: string
    readonly producer: Producer
    readonly seat: Seat
    readonly offsets: Offsets
  }): number {
    const needsWord = !(this.#groups.get(name)?.offsets.isOpenFor(producer.id) ?? false)
    const verified = needsWord ? this.#settings.verify(id, producer, name) : CODE.none
    if (verified !== CODE.none) return verified
    const group = seat.generation < 0 ? this.#made(name) : this.#groups.get(name)
    if (group === undefined) return CODE.illegalGeneration
    const code = group.commitRefusal(seat.member, seat.instance, seat.generation, true)
    return code === CODE.none ? group.offsets.commitWithin(producer, offsets) : code
  }

  #made(name: string): Group {
    const known = this.#groups.get(name)
    if (known !== undefined) return known
    const { now, agenda, initialDelayMs, dropsPending } = this.#settings
    const memberId = (prefix: string): string => `${prefix}-${++this.#memberCount}`
    const group = new Group(name, { now, agenda, initialDelayMs, memberId, dropsPending })
    this.#groups.set(name, group)
    return group
  }
}
