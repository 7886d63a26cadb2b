import { assignPartitions } from './assign.ts'
import type { Cluster } from './cluster.ts'
import { KafkaRefusal, NoAnswer, refuse, remedyOf, SlotTaken } from './errors.ts'
import { unlessAborted } from './waiting.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from './wire/messages/consumer-protocol.ts'
import { heartbeat, joinGroup, leaveGroup, syncGroup } from './wire/messages/group.ts'
import type { Joined, Seat } from './wire/messages/group.ts'

export type MembershipSettings = {
  readonly group: string
  /** group.instance.id (KIP-345): whoever joins with it has its partitions at once, without the others noticing. */
  readonly slot: string
  readonly input: string
  /** After this without a heartbeat the group gives the partitions to others; milliseconds, from 6000 by default. */
  readonly sessionTimeoutMs: number
  /** How long a rebalance waits for a member that does not join; milliseconds. */
  readonly rebalanceTimeoutMs: number
  readonly heartbeatMs: number
  readonly requestTimeoutMs: number
}

/** What one join gave. `slots`: those of all members, for the group's leader only. */
export type Place = {
  readonly seat: Seat
  readonly partitions: readonly number[]
  readonly slots: readonly string[] | null
}

/** Why a place is void. */
export type Moved = 'rebalance' | 'lapsed' | 'replaced'

const PROTOCOL = 'sluice-sticky'

/**
 * Static membership of the classic group protocol: joins when asked to, sends heartbeats on its own timer however long
 * processing takes, and says when the place is void. The coordinator is also the judge of the slot: whoever joined last
 * with its instance id has it, and everyone before is answered FENCED_INSTANCE_ID.
 */
export class Membership {
  readonly #cluster: Cluster
  readonly #settings: MembershipSettings
  readonly #onMoved: (why: Moved) => void
  #memberId = ''
  /** The member id of a seat that must not be had again. */
  #spentId: string | null = null
  /** The last member id that came with a place, which the coordinator has written down before it answered. */
  #settledId = ''
  #place: Place | null = null
  #last: { readonly owned: readonly number[]; readonly generation: number } = { owned: [], generation: -1 }
  /** How many partitions the input had when the leader shared it out, which a restart does not make it do again. */
  #assignedOf = 0
  /** How often we have asked for another share since: without something new to say, a join would move nothing. */
  #nudges = 0
  #stale = false
  #joining = false
  #beating: Promise<void> | null = null
  #timer: NodeJS.Timeout | null = null
  #taken: SlotTaken | null = null

  constructor(cluster: Cluster, settings: MembershipSettings, onMoved: (why: Moved) => void) {
    this.#cluster = cluster
    this.#settings = settings
    this.#onMoved = onMoved
  }

  /** The present place, or the one a join gives; one attempt. Rejects with SlotTaken for good. */
  async place(signal: AbortSignal): Promise<Place> {
    if (this.#taken !== null) throw this.#taken
    if (this.#place !== null && !this.#stale && !this.#isSpent(this.#place)) return this.#place
    this.#joining = true
    // An answer to a heartbeat of the old place must not be taken for one about the new.
    await this.#beating
    try {
      this.#place = await unlessAborted(this.#join(), signal)
    } catch (error) {
      this.heed(error)
      throw this.#taken ?? error
    } finally {
      this.#joining = false
    }
    this.#stale = false
    this.#timer ??= setInterval(() => this.#beatOnTime(), this.#settings.heartbeatMs)
    return this.#place
  }

  /** Another process has our slot. */
  get replaced(): boolean {
    return this.#taken !== null
  }

  holds(place: Place): boolean {
    return this.#place === place && !this.#stale
  }

  /** Asks the coordinator whether the place is still ours. Rejects with SlotTaken, KafkaRefusal or NoAnswer unless it is. */
  async confirm(): Promise<void> {
    await this.#beating
    try {
      await this.#beat()
    } catch (error) {
      this.heed(error)
      throw this.#taken ?? error
    }
    if (this.#stale) throw new KafkaRefusal('Heartbeat', REBALANCE_IN_PROGRESS)
  }

  /**
   * What was asked of the group with this place got no answer and may still be under way: the next place has another
   * seat, so that it is refused however late it comes. Offsets of a transaction that has ended do harm under a seat that
   * still counts: brokers up to 3.9 let them take the place of the same producer's next ones and then drop both.
   */
  spend({ seat }: Place): void {
    this.#spentId = seat.member
  }

  /** Has the group moved on when the topic's number of partitions is not what it was when it was assigned. */
  heedPartitions(count: number): void {
    if (this.#place === null || this.#stale || count <= this.#assignedOf) return
    this.#nudges++
    this.#move('rebalance')
  }

  /** Draws the consequences of a group error, whichever request had it. */
  heed(error: unknown): void {
    switch (remedyOf(error)) {
      case 'rejoin':
        return this.#move('rebalance')
      case 'lapsed':
        this.#memberId = ''
        return this.#move('lapsed')
      case 'replaced':
        this.#taken ??= new SlotTaken(this.#settings.slot, this.#settings.group, 'FENCED_INSTANCE_ID')
        return this.#move('replaced')
      case 'coordinator':
        return this.#cluster.forgetCoordinators()
      case null:
        if (error instanceof NoAnswer) this.#cluster.forgetCoordinators()
        return
      default:
    }
  }

  /** Gives the partitions up, so that others take over at once. Not when another process has the slot. */
  async leave(timeoutMs: number): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    if (this.#taken !== null || (this.#place === null && !this.#joining)) return
    const { group, slot } = this.#settings
    const node = await this.#cluster.coordinator('group', group)
    // A join may still be waiting on the group's own connection.
    const request = leaveGroup({ group, member: this.#memberId, instance: slot })
    await this.#cluster.send(node, 'query', request, timeoutMs)
    this.#place = null
  }

  async #join(): Promise<Place> {
    const { group, slot, rebalanceTimeoutMs, sessionTimeoutMs, requestTimeoutMs } = this.#settings
    if (this.#place !== null && this.#isSpent(this.#place)) await this.#renounce(this.#place.seat)
    const node = await this.#cluster.coordinator('group', group)
    const who = { group, member: this.#memberId, instance: slot }
    const request = joinGroup(who, this.#settings, { name: PROTOCOL, metadata: this.#subscription() })
    const waitMs = Math.max(rebalanceTimeoutMs, sessionTimeoutMs) + requestTimeoutMs
    const joined = await this.#cluster.send(node, 'group', request, waitMs)
    if (joined.code === FENCED_INSTANCE_ID && this.#forgetUnsettled()) return await this.#join()
    refuse(request.apiName, joined.code)
    this.#memberId = joined.member
    return await this.#sync(node, joined, waitMs)
  }

  #isSpent({ seat }: Place): boolean {
    return seat.member === this.#spentId
  }

  /**
   * A slot is joined anew by naming no member, which fences the one before without a rebalance. It would fence another
   * process as well that has the slot meanwhile, so the coordinator is asked first whether there is one. After a join
   * without an answer it cannot be asked: who has the slot is then ourselves, as far as can be known.
   */
  async #renounce(seat: Seat): Promise<void> {
    if (seat.member !== this.#memberId) return
    const code = await this.#ask(seat)
    if (code !== 0 && code !== ILLEGAL_GENERATION && code !== REBALANCE_IN_PROGRESS) refuse('Heartbeat', code)
    this.#memberId = ''
  }

  async #sync(node: number, joined: Joined, waitMs: number): Promise<Place> {
    const { group, slot } = this.#settings
    const seat = { group, member: joined.member, instance: slot, generation: joined.generation }
    const leads = joined.leader === joined.member && joined.members.length > 0
    const request = syncGroup(seat, joined.protocol, leads ? this.#shareOut(joined) : [])
    const { code, assignment } = await this.#cluster.send(node, 'group', request, waitMs)
    const isForgotten = code === FENCED_INSTANCE_ID && this.#forgetUnsettled()
    refuse(request.apiName, isForgotten ? REBALANCE_IN_PROGRESS : code)
    this.#settledId = joined.member
    const { partitions, partitionCount } = decodeAssignment(assignment)
    this.#last = { owned: partitions, generation: joined.generation }
    this.#assignedOf = partitionCount ?? this.#partitions.length
    return { seat, partitions, slots: leads ? joined.members.map(({ instance }) => instance ?? '') : null }
  }

  /**
   * A coordinator that takes over knows who was in the group when it last shared out, so a member that has joined since is
   * a stranger to it. Only the answer to the member before that one tells whether another process has the slot.
   */
  #forgetUnsettled(): boolean {
    if (this.#memberId === '' || this.#memberId === this.#settledId) return false
    this.#memberId = this.#settledId
    return true
  }

  get #partitions(): readonly number[] {
    return this.#cluster.partitions(this.#settings.input)
  }

  #subscription(): Buffer {
    return encodeSubscription({
      topic: this.#settings.input,
      ...this.#last,
      partitionCount: this.#partitions.length,
      nudges: this.#nudges,
    })
  }

  #shareOut({ members }: Joined): readonly { readonly member: string; readonly assignment: Buffer }[] {
    const claimants = members.map(({ member, instance, metadata }) => {
      const { owned, generation } = decodeSubscription(metadata)
      return { member, instance: instance ?? member, owned, generation }
    })
    const partitions = this.#partitions
    const shares = assignPartitions(claimants, partitions)
    const encode = (share: readonly number[]): Buffer =>
      encodeAssignment(this.#settings.input, share, partitions.length)
    return [...shares].map(([member, share]) => ({ member, assignment: encode(share) }))
  }

  #beatOnTime(): void {
    if (this.#joining || this.#beating !== null || this.#taken !== null) return
    this.#beating = this.#beat()
      .catch((error: unknown) => this.heed(error))
      .finally(() => (this.#beating = null))
  }

  async #beat(): Promise<void> {
    const place = this.#place
    // A join whose answer was lost may have put another member in this one's place: to ask about it would be to hear that
    // the slot is taken, by ourselves.
    if (place === null || place.seat.member !== this.#memberId) return
    const code = await this.#ask(place.seat)
    if (place === this.#place) refuse('Heartbeat', code)
  }

  /** What the coordinator answers to a heartbeat. */
  async #ask(seat: Seat): Promise<number> {
    const { group, requestTimeoutMs, sessionTimeoutMs } = this.#settings
    const node = await this.#cluster.coordinator('group', group)
    const waitMs = Math.min(requestTimeoutMs, sessionTimeoutMs / 2)
    return (await this.#cluster.send(node, 'group', heartbeat(seat), waitMs)).code
  }

  #move(why: Moved): void {
    if (this.#stale) return
    this.#stale = true
    this.#onMoved(why)
  }
}

const ILLEGAL_GENERATION = 22
const REBALANCE_IN_PROGRESS = 27
const FENCED_INSTANCE_ID = 82
