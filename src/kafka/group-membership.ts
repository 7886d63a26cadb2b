import type { Cluster } from './cluster.ts'
import { KafkaRefusal, NoAnswer, refuse, remedyOf } from './errors.ts'
import { unlessAborted } from './waiting.ts'
import { heartbeat, joinGroup, leaveGroup, syncGroup } from './wire/messages/group.ts'
import type { Joined, Seat } from './wire/messages/group.ts'
import {
  decodeShare,
  decodeTopics,
  encodeShare,
  encodeTopics,
  RANGE,
  shareOut,
} from './wire/messages/range-protocol.ts'
import type { Share } from './wire/messages/range-protocol.ts'

/** Milliseconds. `rebalanceTimeoutMs`: how long others wait for us to finish what we are at. */
export type GroupTimes = {
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly heartbeatMs: number
  readonly requestTimeoutMs: number
}

/** What one join gave; `ended` aborts as soon as the group has moved on. */
export type GroupPlace = { readonly seat: Seat; readonly share: Share; readonly ended: AbortSignal }

const MEMBER_ID_REQUIRED = 79

/**
 * Dynamic membership of the classic group protocol over several topics, with heartbeats on a timer of their own however
 * long handling takes. It shares out as Kafka's range assignor does, so other clients may be in the same group.
 */
export class GroupMembership {
  readonly #cluster: Cluster
  readonly #group: string
  readonly #topics: readonly string[]
  readonly #times: GroupTimes
  readonly #onTrouble: (error: unknown) => void
  #member = ''
  #place: { readonly seat: Seat; readonly end: AbortController; readonly counts: string } | null = null
  #timer: NodeJS.Timeout | null = null
  #beating = false

  constructor(
    cluster: Cluster,
    group: string,
    topics: readonly string[],
    times: GroupTimes,
    onTrouble: (error: unknown) => void,
  ) {
    this.#cluster = cluster
    this.#group = group
    this.#topics = topics
    this.#times = times
    this.#onTrouble = onTrouble
  }

  /** One attempt. Rejects with KafkaRefusal, NoAnswer or the signal's reason. */
  async join(signal: AbortSignal): Promise<GroupPlace> {
    this.#place?.end.abort()
    this.#place = null
    try {
      const { seat, share } = await unlessAborted(this.#join(), signal)
      const place = { seat, end: new AbortController(), counts: this.#counts() }
      this.#place = place
      this.#timer ??= setInterval(() => void this.#beat(), this.#times.heartbeatMs)
      return { seat, share, ended: place.end.signal }
    } catch (error) {
      this.heed(error)
      throw error
    }
  }

  /** Draws the consequences of an error, whichever request had it. */
  heed(error: unknown): void {
    const remedy = remedyOf(error)
    if (remedy === 'coordinator' || error instanceof NoAnswer) this.#cluster.forgetCoordinators()
    if (remedy === 'lapsed') this.#member = ''
    if (remedy === 'lapsed' || remedy === 'rejoin' || remedy === 'refused') this.#place?.end.abort()
  }

  /** Has the group share out anew when a topic has other partitions than it was shared out with. */
  heedPartitions(): void {
    if (this.#place !== null && this.#place.counts !== this.#counts()) this.#place.end.abort()
  }

  /** Ends a place whose partitions cannot be read any more. */
  giveUp(place: GroupPlace): void {
    if (this.#place?.end.signal === place.ended) this.#place.end.abort()
  }

  /** Gives the partitions up, so that others take over at once; best effort. */
  async leave(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#place?.end.abort()
    this.#place = null
    if (this.#member === '') return
    const request = leaveGroup({ group: this.#group, member: this.#member, instance: null })
    const node = await this.#cluster.coordinator('group', this.#group)
    await this.#cluster.send(node, 'query', request, Math.min(2000, this.#times.requestTimeoutMs))
  }

  async #join(): Promise<{ readonly seat: Seat; readonly share: Share }> {
    await this.#cluster.refresh(this.#topics)
    for (const topic of this.#topics) this.#cluster.partitions(topic)
    const node = await this.#cluster.coordinator('group', this.#group)
    let joined = await this.#askToJoin(node)
    if (joined.code === MEMBER_ID_REQUIRED) joined = await this.#askToJoin(node)
    refuse('JoinGroup', joined.code)
    return await this.#sync(node, joined)
  }

  async #askToJoin(node: number): Promise<Joined> {
    const who = { group: this.#group, member: this.#member, instance: null }
    const request = joinGroup(who, this.#times, { name: RANGE, metadata: encodeTopics(this.#topics) })
    const joined = await this.#cluster.send(node, 'group', request, this.#waitMs)
    if (joined.code === 0 || joined.code === MEMBER_ID_REQUIRED) this.#member = joined.member
    return joined
  }

  async #sync(node: number, joined: Joined): Promise<{ readonly seat: Seat; readonly share: Share }> {
    const seat = { group: this.#group, member: joined.member, instance: null, generation: joined.generation }
    const leads = joined.leader === joined.member
    const assignments = leads ? await this.#assignments(joined) : []
    const { code, assignment } = await this.#cluster.send(
      node,
      'group',
      syncGroup(seat, joined.protocol, assignments),
      this.#waitMs,
    )
    refuse('SyncGroup', code)
    return { seat, share: decodeShare(assignment) }
  }

  async #assignments({ members }: Joined): Promise<readonly { member: string; assignment: Buffer }[]> {
    const wishes = members.map(({ member, metadata }) => ({ member, topics: decodeTopics(metadata) }))
    await this.#cluster.refresh([...new Set(wishes.flatMap((it) => it.topics))])
    const shares = shareOut(wishes, (topic) => this.#partitions(topic))
    return [...shares].map(([member, share]) => ({ member, assignment: encodeShare(share) }))
  }

  /** None where another member wants a topic that is not there. */
  #partitions(topic: string): readonly number[] {
    try {
      return this.#cluster.partitions(topic)
    } catch (error) {
      if (error instanceof KafkaRefusal) return []
      throw error
    }
  }

  #counts(): string {
    return this.#topics.map((topic) => `${topic} ${this.#partitions(topic).length}`).join()
  }

  /** A JoinGroup and SyncGroup wait at the broker for the slowest member. */
  get #waitMs(): number {
    const { rebalanceTimeoutMs, sessionTimeoutMs, requestTimeoutMs } = this.#times
    return Math.max(rebalanceTimeoutMs, sessionTimeoutMs) + requestTimeoutMs
  }

  /** Goes on when the place is void, so that the group waits for what is being handled until we join again. */
  async #beat(): Promise<void> {
    const place = this.#place
    if (place === null || this.#beating) return
    this.#beating = true
    try {
      const node = await this.#cluster.coordinator('group', this.#group)
      const timeoutMs = Math.min(this.#times.requestTimeoutMs, this.#times.sessionTimeoutMs / 2)
      const { code } = await this.#cluster.send(node, 'group', heartbeat(place.seat), timeoutMs)
      if (place === this.#place) refuse('Heartbeat', code)
    } catch (error) {
      this.heed(error)
      if (remedyOf(error) !== 'rejoin') this.#onTrouble(error)
    } finally {
      this.#beating = false
    }
  }
}
