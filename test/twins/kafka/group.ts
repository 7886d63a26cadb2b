import { Buffer } from 'node:buffer'
import type { Agenda } from './agenda.ts'
import { CODE } from './codes.ts'
import { GroupOffsets } from './group-offsets.ts'

/** org.apache.kafka.coordinator.group.classic.ClassicGroupState */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable'

export type Protocol = { readonly name: string; readonly metadata: Buffer }

export type JoinWish = {
  readonly member: string
  readonly instance: string | null
  readonly clientId: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  readonly protocols: readonly Protocol[]
}

export type JoinAnswer = {
  readonly code: number
  readonly generation: number
  readonly protocolType: string | null
  readonly protocol: string | null
  readonly leader: string
  readonly member: string
  readonly members: readonly { readonly member: string; readonly instance: string | null; readonly metadata: Buffer }[]
}

export type SyncAnswer = { readonly code: number; readonly protocol: string | null; readonly assignment: Buffer }

type Member = {
  readonly id: string
  readonly instance: string | null
  protocols: readonly Protocol[]
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  assignment: Buffer
  /** It does not know its id yet, so it cannot send heartbeats. */
  isNew: boolean
  joining: ((answer: JoinAnswer) => void) | null
  syncing: ((answer: SyncAnswer) => void) | null
}

/** What a coordinator finds when it takes the group over. */
type Persisted = {
  readonly generation: number
  readonly leader: string | null
  readonly protocol: string | null
  readonly protocolType: string | null
  readonly members: readonly Omit<Member, 'isNew' | 'joining' | 'syncing'>[]
}

export type GroupSettings = {
  readonly now: () => number
  readonly agenda: Agenda
  /** group.initial.rebalance.delay.ms */
  readonly initialDelayMs: number
  readonly memberId: (prefix: string) => string
  readonly dropsPending: boolean
}

const NO_ASSIGNMENT = Buffer.alloc(0)
/** GroupCoordinatorConfig: how long a member that does not know its id may wait to join. */
const NEW_MEMBER_MS = 300_000

/** One group of the classic protocol with static members (KIP-345), after GroupMetadataManager and ClassicGroup. */
export class Group {
  readonly name: string
  readonly offsets: GroupOffsets
  readonly #settings: GroupSettings
  readonly #members = new Map<string, Member>()
  /** Member ids by instance. */
  readonly #instances = new Map<string, string>()
  /** Those that were given an id and have not joined with it yet. */
  readonly #pending = new Set<string>()
  readonly #toSync = new Set<string>()
  #state: GroupState = 'Empty'
  /** Whether the rebalance under way began with nobody, so that it waits a fixed time. */
  #isInitial = false
  #hasNewMember = false
  #generation = 0
  #leader: string | null = null
  #protocol: string | null = null
  #protocolType: string | null = null
  #persisted: Persisted = { generation: 0, leader: null, protocol: null, protocolType: null, members: [] }

  constructor(name: string, settings: GroupSettings) {
    this.name = name
    this.offsets = new GroupOffsets(settings.dropsPending)
    this.#settings = settings
  }

  get state(): GroupState {
    return this.#state
  }

  get generation(): number {
    return this.#generation
  }

  get members(): readonly { readonly id: string; readonly instance: string | null }[] {
    return [...this.#members.values()]
  }

  join(wish: JoinWish, reply: (answer: JoinAnswer) => void): void {
    if (!this.#supports(wish)) return reply(refusedJoin(CODE.inconsistentProtocol, wish.member))
    if (wish.member === '') this.#joinNew(wish, reply)
    else this.#joinKnown(wish, reply)
  }

  sync(
    seat: { readonly member: string; readonly instance: string | null; readonly generation: number },
    assignments: ReadonlyMap<string, Buffer>,
    reply: (answer: SyncAnswer) => void,
  ): void {
    const code =
      this.#state === 'Empty' ? CODE.unknownMember : this.#refusal(seat.member, seat.instance, seat.generation)
    const member = this.#members.get(seat.member)
    if (code !== CODE.none || member === undefined) return reply(refusedSync(code))
    if (this.#state === 'PreparingRebalance') return reply(refusedSync(CODE.rebalanceInProgress))
    this.#toSync.delete(member.id)
    if (this.#toSync.size === 0) this.#settings.agenda.drop(this.#name('sync'))
    if (this.#state === 'Stable')
      return reply({ code: CODE.none, protocol: this.#protocol, assignment: member.assignment })
    member.syncing = reply
    if (member.id === this.#leader) this.#assign(assignments)
  }

  heartbeat(id: string, instance: string | null, generation: number): number {
    const code = this.#refusal(id, instance, generation)
    const member = this.#members.get(id)
    if (code !== CODE.none || member === undefined) return code
    this.#expectHeartbeat(member)
    return this.#state === 'PreparingRebalance' ? CODE.rebalanceInProgress : CODE.none
  }

  leave(id: string, instance: string | null): number {
    if (this.#pending.delete(id)) {
      this.#settings.agenda.drop(this.#name(`session of ${id}`))
      this.#afterLeave()
      return CODE.none
    }
    const leaving = id === '' && instance !== null ? this.#instances.get(instance) : id
    const code = leaving === undefined ? CODE.unknownMember : this.#refusal(leaving, instance, null)
    const member = this.#members.get(leaving ?? '')
    if (code !== CODE.none || member === undefined) return code
    this.#remove(member)
    this.#afterLeave()
    return CODE.none
  }

  /** Whether offsets may be committed with this seat: ClassicGroup.validateOffsetCommit. */
  commitRefusal(id: string, instance: string | null, generation: number, isTransactional: boolean): number {
    if (generation < 0 && this.#state === 'Empty') return CODE.none
    const hasSeat = generation >= 0 || id !== '' || instance !== null
    if (!hasSeat) return isTransactional || this.#state === 'Empty' ? CODE.none : CODE.unknownMember
    const code = this.#refusal(id, instance, generation)
    if (code !== CODE.none) return code
    return !isTransactional && this.#state === 'CompletingRebalance' ? CODE.rebalanceInProgress : CODE.none
  }

  /** The coordinator gives it up; null when it died, and answers nobody. */
  unload(code: number | null): void {
    for (const member of this.#members.values()) {
      const { joining, syncing } = member
      member.joining = null
      member.syncing = null
      this.#settings.agenda.drop(this.#name(`session of ${member.id}`))
      if (code === null) continue
      joining?.(refusedJoin(code, member.id))
      syncing?.(refusedSync(code))
    }
    for (const id of this.#pending) this.#settings.agenda.drop(this.#name(`session of ${id}`))
    this.#settings.agenda.drop(this.#name('join'))
    this.#settings.agenda.drop(this.#name('sync'))
  }

  /** A coordinator takes it over, as it was last written down; all sessions begin anew. */
  load(): void {
    const { generation, leader, protocol, protocolType, members } = this.#persisted
    this.#members.clear()
    this.#instances.clear()
    this.#pending.clear()
    this.#toSync.clear()
    this.#generation = generation
    this.#leader = leader
    this.#protocol = protocol
    this.#protocolType = protocolType
    this.#state = members.length === 0 ? 'Empty' : 'Stable'
    for (const each of members) {
      const member = { ...each, isNew: false, joining: null, syncing: null }
      this.#members.set(member.id, member)
      if (member.instance !== null) this.#instances.set(member.instance, member.id)
      this.#expectHeartbeat(member)
    }
  }

  #joinNew(wish: JoinWish, reply: (answer: JoinAnswer) => void): void {
    const id = this.#settings.memberId(wish.instance ?? wish.clientId)
    if (wish.instance === null) {
      this.#pending.add(id)
      this.#expire(id, wish.sessionTimeoutMs)
      return reply(refusedJoin(CODE.memberIdRequired, id))
    }
    const replaced = this.#members.get(this.#instances.get(wish.instance) ?? '')
    if (replaced === undefined) this.#add(id, wish, reply)
    else this.#replace(replaced, id, wish, reply)
  }

  #joinKnown(wish: JoinWish, reply: (answer: JoinAnswer) => void): void {
    if (this.#pending.has(wish.member)) return this.#add(wish.member, wish, reply)
    const code = this.#refusal(wish.member, wish.instance, null)
    const member = this.#members.get(wish.member)
    if (code !== CODE.none || member === undefined) return reply(refusedJoin(code, wish.member))
    const isSame = sameProtocols(member.protocols, wish.protocols)
    const isSettled = this.#state === 'CompletingRebalance' || (this.#state === 'Stable' && member.id !== this.#leader)
    if (isSettled && isSame) {
      const seesAll = this.#state === 'CompletingRebalance' && member.id === this.#leader
      return reply(this.#seat(member.id, seesAll))
    }
    this.#update(member, wish, reply)
    this.#rebalance()
  }

  #add(id: string, wish: JoinWish, reply: (answer: JoinAnswer) => void): void {
    const { instance, protocols, sessionTimeoutMs, rebalanceTimeoutMs } = wish
    if (this.#state === 'PreparingRebalance' && this.#isInitial) this.#hasNewMember = true
    if (this.#members.size === 0) this.#protocolType = wish.protocolType
    this.#pending.delete(id)
    this.#members.set(id, {
      id,
      instance,
      protocols,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      assignment: NO_ASSIGNMENT,
      isNew: true,
      joining: reply,
      syncing: null,
    })
    if (instance !== null) this.#instances.set(instance, id)
    this.#leader ??= id
    this.#expire(id, NEW_MEMBER_MS)
    this.#rebalance()
  }

  /** Another process with the same instance id: the one before is fenced, and without a rebalance where it is stable. */
  #replace(old: Member, id: string, wish: JoinWish, reply: (answer: JoinAnswer) => void): void {
    const leader = this.#leader
    old.joining?.(refusedJoin(CODE.fencedInstance, old.id))
    old.syncing?.(refusedSync(CODE.fencedInstance))
    this.#members.delete(old.id)
    this.#settings.agenda.drop(this.#name(`session of ${old.id}`))
    const member = { ...old, id, isNew: false, joining: null, syncing: null }
    this.#members.set(id, member)
    if (member.instance !== null) this.#instances.set(member.instance, id)
    if (this.#leader === old.id) this.#leader = id
    this.#toSync.delete(old.id)
    this.#expectHeartbeat(member)
    this.#update(member, wish, reply)
    if (this.#state === 'CompletingRebalance') return this.#prepare()
    if (this.#state !== 'Stable') return this.#maybeComplete()
    if (this.#selectProtocol() !== this.#protocol) return this.#rebalance()
    this.#persist()
    member.joining = null
    reply({ ...this.#seat(id, false), leader: leader ?? '' })
  }

  #update(member: Member, wish: JoinWish, reply: (answer: JoinAnswer) => void): void {
    member.protocols = wish.protocols
    member.sessionTimeoutMs = wish.sessionTimeoutMs
    member.rebalanceTimeoutMs = wish.rebalanceTimeoutMs
    member.joining = reply
  }

  #rebalance(): void {
    if (this.#state === 'PreparingRebalance') this.#maybeComplete()
    else this.#prepare()
  }

  #prepare(): void {
    if (this.#state === 'CompletingRebalance') {
      for (const member of this.#members.values()) {
        member.assignment = NO_ASSIGNMENT
        this.#answerSync(member, CODE.rebalanceInProgress)
      }
    }
    this.#toSync.clear()
    this.#settings.agenda.drop(this.#name('sync'))
    this.#isInitial = this.#state === 'Empty'
    this.#state = 'PreparingRebalance'
    if (this.#isInitial)
      this.#wait(this.#settings.initialDelayMs, this.#rebalanceTimeoutMs - this.#settings.initialDelayMs)
    else if (this.#hasAllJoined) this.#complete()
    else this.#at('join', this.#rebalanceTimeoutMs, () => this.#complete())
  }

  /** The first rebalance waits for more members, anew with each one, at most the rebalance time-out. */
  #wait(delayMs: number, leftMs: number): void {
    this.#at('join', delayMs, () => {
      if (!this.#hasNewMember || leftMs <= 0) return this.#complete()
      this.#hasNewMember = false
      this.#wait(Math.min(this.#settings.initialDelayMs, leftMs), leftMs - delayMs)
    })
  }

  #maybeComplete(): void {
    if (this.#state === 'PreparingRebalance' && !this.#isInitial && this.#hasAllJoined) this.#complete()
  }

  get #hasAllJoined(): boolean {
    if (this.#pending.size > 0) return false
    for (const member of this.#members.values()) if (member.joining === null) return false
    return true
  }

  /** Dynamic members that did not join are out; a static one keeps its place until its session ends. */
  #complete(): void {
    this.#settings.agenda.drop(this.#name('join'))
    for (const member of this.#members.values()) {
      if (member.joining === null && member.instance === null) this.#remove(member)
    }
    if (this.#members.size > 0 && !this.#electLeader()) {
      return this.#at('join', this.#rebalanceTimeoutMs, () => this.#complete())
    }
    this.#generation++
    this.#toSync.clear()
    this.#protocol = this.#members.size === 0 ? null : this.#selectProtocol()
    this.#state = this.#members.size === 0 ? 'Empty' : 'CompletingRebalance'
    if (this.#state === 'Empty') return this.#persist()
    for (const member of this.#members.values()) {
      const { joining } = member
      member.joining = null
      member.isNew = false
      this.#toSync.add(member.id)
      this.#expectHeartbeat(member)
      joining?.(this.#seat(member.id, member.id === this.#leader))
    }
    const { generation } = this
    this.#at('sync', this.#rebalanceTimeoutMs, () => this.#expireSync(generation))
  }

  #electLeader(): boolean {
    const leader = this.#members.get(this.#leader ?? '')
    if (leader !== undefined && leader.joining !== null) return true
    for (const member of this.#members.values()) {
      if (member.joining === null) continue
      this.#leader = member.id
      return true
    }
    return false
  }

  #assign(assignments: ReadonlyMap<string, Buffer>): void {
    this.#state = 'Stable'
    for (const member of this.#members.values()) member.assignment = assignments.get(member.id) ?? NO_ASSIGNMENT
    this.#persist()
    for (const member of this.#members.values()) this.#answerSync(member, CODE.none)
  }

  #answerSync(member: Member, code: number): void {
    const { syncing } = member
    if (syncing === null) return
    member.syncing = null
    this.#expectHeartbeat(member)
    syncing({ code, protocol: code === CODE.none ? this.#protocol : null, assignment: member.assignment })
  }

  #expireSync(generation: number): void {
    const isOver = generation !== this.#generation || this.#state === 'Empty' || this.#state === 'PreparingRebalance'
    if (isOver || this.#toSync.size === 0) return
    for (const id of this.#toSync) {
      const member = this.#members.get(id)
      if (member !== undefined) this.#remove(member)
    }
    this.#prepare()
  }

  #expectHeartbeat(member: Member): void {
    this.#expire(member.id, member.sessionTimeoutMs)
  }

  #expire(id: string, ms: number): void {
    this.#at(`session of ${id}`, ms, () => {
      if (this.#pending.delete(id)) return this.#maybeComplete()
      const member = this.#members.get(id)
      // Whoever waits to join or sync is there.
      if (member === undefined || (!member.isNew && (member.joining !== null || member.syncing !== null))) return
      this.#remove(member)
      if (this.#state === 'PreparingRebalance' && this.#hasAllJoined) this.#complete()
      else this.#afterLeave()
    })
  }

  #afterLeave(): void {
    if (this.#state === 'Stable' || this.#state === 'CompletingRebalance') this.#prepare()
    else this.#maybeComplete()
  }

  #remove(member: Member): void {
    this.#settings.agenda.drop(this.#name(`session of ${member.id}`))
    const { joining } = member
    member.joining = null
    joining?.(refusedJoin(CODE.unknownMember, ''))
    this.#members.delete(member.id)
    this.#toSync.delete(member.id)
    if (member.instance !== null) this.#instances.delete(member.instance)
    if (this.#leader === member.id) this.#leader = this.#members.keys().next().value ?? null
  }

  /** ClassicGroup.validateMember, then the generation where one is named. */
  #refusal(id: string, instance: string | null, generation: number | null): number {
    if (instance !== null) {
      const holder = this.#instances.get(instance)
      if (holder === undefined) return CODE.unknownMember
      if (holder !== id) return CODE.fencedInstance
    }
    if (!this.#members.has(id)) return CODE.unknownMember
    return generation === null || generation === this.#generation ? CODE.none : CODE.illegalGeneration
  }

  #supports({ protocolType, protocols }: JoinWish): boolean {
    if (protocols.length === 0 || protocolType === '') return false
    if (this.#members.size === 0) return true
    if (protocolType !== this.#protocolType) return false
    return protocols.some(({ name }) => this.#isKnownToAll(name))
  }

  #isKnownToAll(protocol: string): boolean {
    for (const { protocols } of this.#members.values()) {
      if (!protocols.some(({ name }) => name === protocol)) return false
    }
    return true
  }

  /** Each member votes for the first of its own that all know. */
  #selectProtocol(): string | null {
    const votes = new Map<string, number>()
    for (const { protocols } of this.#members.values()) {
      const vote = protocols.find(({ name }) => this.#isKnownToAll(name))
      if (vote !== undefined) votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1)
    }
    let selected: string | null = null
    for (const [name, count] of votes) if (selected === null || count > (votes.get(selected) ?? 0)) selected = name
    return selected
  }

  #seat(member: string, seesAll: boolean): JoinAnswer {
    return {
      code: CODE.none,
      generation: this.#generation,
      protocolType: this.#protocolType,
      protocol: this.#protocol,
      leader: this.#leader ?? '',
      member,
      members: seesAll ? [...this.#members.values()].map((it) => this.#described(it)) : [],
    }
  }

  #described({ id, instance, protocols }: Member): JoinAnswer['members'][number] {
    const chosen = protocols.find(({ name }) => name === this.#protocol)
    return { member: id, instance, metadata: chosen?.metadata ?? NO_ASSIGNMENT }
  }

  get #rebalanceTimeoutMs(): number {
    let longest = 0
    for (const { rebalanceTimeoutMs } of this.#members.values()) longest = Math.max(longest, rebalanceTimeoutMs)
    return longest
  }

  #persist(): void {
    const members = [...this.#members.values()].map(
      ({ id, instance, protocols, sessionTimeoutMs, rebalanceTimeoutMs, assignment }) => ({
        id,
        instance,
        protocols,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        assignment,
      }),
    )
    this.#persisted = {
      generation: this.#generation,
      leader: this.#leader,
      protocol: this.#protocol,
      protocolType: this.#protocolType,
      members,
    }
  }

  #at(what: string, ms: number, run: () => void): void {
    this.#settings.agenda.put(this.#name(what), this.#settings.now() + ms, run)
  }

  #name(what: string): string {
    return `group ${this.name} ${what}`
  }
}

export const refusedJoin = (code: number, member: string): JoinAnswer => ({
  code,
  generation: -1,
  protocolType: null,
  protocol: null,
  leader: '',
  member,
  members: [],
})

export const refusedSync = (code: number): SyncAnswer => ({ code, protocol: null, assignment: NO_ASSIGNMENT })

const sameProtocols = (some: readonly Protocol[], others: readonly Protocol[]): boolean =>
  some.length === others.length &&
  some.every(({ name, metadata }, at) => name === others[at]?.name && metadata.equals(others[at].metadata))
