import type { Producer } from '../../../src/kafka/wire/messages/transaction.ts'
import { NEWCOMER } from '../../../src/kafka/wire/messages/transaction.ts'
import type { CoordinatorKind, TopicMetadata } from '../../../src/kafka/wire/messages/cluster.ts'
import { Reader } from '../../../src/kafka/wire/reader.ts'
import { encodeBatches, stamp } from '../../../src/kafka/wire/record-batch.ts'
import type { Writable } from '../../../src/kafka/wire/record-batch.ts'
import { Agenda } from './agenda.ts'
import { readHeader } from './batch.ts'
import { BrokerLog } from './broker-log.ts'
import { readFindCoordinator, readMetadata, writeCoordinator, writeMetadata } from './cluster-requests.ts'
import { CODE } from './codes.ts'
import { GroupCoordinator } from './group-coordinator.ts'
import * as group from './group-requests.ts'
import * as log from './log-requests.ts'
import type { Fate, TwinRecord } from './partition-log.ts'
import { addressOf, coordinatorRole, partitionRole, Placement, placeOf } from './placement.ts'
import type { Role } from './placement.ts'
import { TransactionCoordinator } from './transaction-coordinator.ts'
import type { Participant } from './transaction-coordinator.ts'
import * as transaction from './transaction-requests.ts'

export type { Fate, TwinRecord } from './partition-log.ts'

/** `body` as `Request.write` makes it, without the header's tags. */
export type TwinRequest = {
  readonly apiKey: number
  readonly apiVersion: number
  readonly body: Buffer
  readonly clientId: string
}

export type KafkaTwinOptions = {
  readonly brokers: number
  /** Topic names with their number of partitions. */
  readonly topics: Readonly<Record<string, number>>
  /** Milliseconds. */
  readonly now: () => number
  /** From 0 to before 1. */
  readonly random: () => number
  /** group.initial.rebalance.delay.ms */
  readonly initialRebalanceDelayMs?: number
  /** group.min.session.timeout.ms */
  readonly minSessionMs?: number
  /** max.message.bytes */
  readonly maxBatchBytes?: number
  /** transaction.abort.timed.out.transaction.cleanup.interval.ms */
  readonly transactionSweepMs?: number
  /** After how long what a dead broker led and coordinated goes to others; null: never by itself. */
  readonly failoverMs?: number | null
  /** How long a coordinator that moved answers COORDINATOR_LOAD_IN_PROGRESS. */
  readonly loadMs?: number
  /** Whether offsets that a producer is refused drop those it has pending, as brokers do up to 3.9. */
  readonly dropsPending?: boolean
}

type Reply = (body: Buffer) => void
type Handler = (node: number, reader: Reader, reply: Reply, clientId: string) => void

/**
 * A Kafka cluster in memory, at the level of requests: what brokers answer, what lies in the logs, and when what is due,
 * without timers, clock or chance of its own. Replication is not in it: what a leader has appended, all have.
 */
export class KafkaTwin {
  readonly #options: Required<KafkaTwinOptions>
  readonly #agenda = new Agenda()
  readonly #placement: Placement
  readonly #log: BrokerLog
  readonly #groups: GroupCoordinator
  readonly #transactions: TransactionCoordinator
  /** Counts a broker's lives, so that what was under way in one is not answered in the next. */
  readonly #lives = new Map<number, number>()
  /** What a frozen broker does when it goes on. */
  readonly #frozen = new Map<number, (() => void)[]>()
  readonly #loading = new Map<Role, number>()
  readonly #handlers: ReadonlyMap<string, Handler>

  constructor(options: KafkaTwinOptions) {
    this.#options = { ...DEFAULTS, ...options }
    const { now, random, transactionSweepMs: sweepMs } = this.#options
    const agenda = this.#agenda
    const placement = (this.#placement = new Placement(options.brokers))
    this.#log = new BrokerLog({
      now,
      agenda,
      placement,
      maxBatchBytes: this.#options.maxBatchBytes,
      verify: (id, producer, topic, partition) => this.#verify(id, producer, `${topic}/${partition}`),
    })
    for (const [topic, partitions] of Object.entries(options.topics)) this.#log.create(topic, partitions)
    this.#groups = new GroupCoordinator({
      now,
      agenda,
      initialDelayMs: this.#options.initialRebalanceDelayMs,
      minSessionMs: this.#options.minSessionMs,
      dropsPending: this.#options.dropsPending,
      isTopic: (topic, partition) => this.#log.find(topic, partition) !== null,
      verify: (id, producer, name) => this.#verify(id, producer, offsetsOf(name)),
    })
    this.#transactions = new TransactionCoordinator({
      now,
      random,
      agenda,
      sweepMs,
      isUp: (id) => this.#isUp(coordinatorRole('transaction', id)),
      mark: (to, producer, isCommit) => this.#mark(to, producer, isCommit),
    })
    this.#handlers = this.#allHandlers()
  }

  /** `host:port` of every broker, to start from. */
  get addresses(): readonly string[] {
    return this.#placement.nodes.map(addressOf)
  }

  /**
   * Takes one request at broker `node`. `reply` is called at most once, at once or later. A dead broker never replies,
   * a frozen one when it goes on.
   * @throws Error for a request that the twin does not know.
   */
  handle(node: number, request: TwinRequest, reply: Reply): void {
    if (!this.#placement.isAlive(node)) return
    const frozen = this.#frozen.get(node)
    if (frozen !== undefined) return void frozen.push(() => this.handle(node, request, reply))
    const handler = this.#handlers.get(`${request.apiKey}/${request.apiVersion}`)
    if (handler === undefined) {
      throw new Error(`the twin does not know request ${request.apiKey} version ${request.apiVersion}`)
    }
    const life = this.#lives.get(node) ?? 0
    handler(node, new Reader(request.body), (body) => this.#answer(node, life, () => reply(body)), request.clientId)
  }

  /** When something is due next, by `now`; null when nothing is. */
  nextDue(): number | null {
    const { next } = this.#agenda
    return next === Infinity ? null : next
  }

  /** Does what is due. */
  advance(): void {
    this.#agenda.runUntil(this.#options.now())
  }

  createTopic(topic: string, partitions: number): void {
    this.#log.create(topic, partitions)
  }

  moveLeader(topic: string, partition: number, node: number): void {
    this.#placement.move(partitionRole(topic, partition), node)
    this.#log.changed(topic, partition)
  }

  moveCoordinator(kind: CoordinatorKind, key: string, node: number): void {
    const role = coordinatorRole(kind, key)
    if (this.#placement.holder(role) === node) return
    if (kind === 'group') this.#groups.unload(key, CODE.notCoordinator)
    this.#placement.move(role, node)
    this.#takeOver(role)
  }

  /** Ends the broker like a power cut; what it led goes to others after a while. */
  kill(node: number): void {
    if (!this.#placement.isAlive(node)) return
    this.#placement.kill(node)
    this.#frozen.delete(node)
    this.#lives.set(node, (this.#lives.get(node) ?? 0) + 1)
    for (const role of this.#placement.held(node)) {
      if (role.startsWith('group ')) this.#groups.unload(keyOf(role), null)
    }
    const { failoverMs, now } = this.#options
    if (failoverMs !== null) this.#agenda.put(`failover of ${node}`, now() + failoverMs, () => this.#failOver(node))
  }

  restart(node: number): void {
    if (this.#placement.isAlive(node)) return
    this.#placement.restart(node)
    this.#agenda.drop(`failover of ${node}`)
    for (const role of this.#placement.held(node)) this.#takeOver(role)
    for (const dead of this.#placement.nodes) if (!this.#placement.isAlive(dead)) this.#failOverLater(dead)
  }

  /** As SIGSTOP: it takes requests, and does and answers nothing until `thaw`. Its groups' sessions run on. */
  freeze(node: number): void {
    if (this.#placement.isAlive(node) && !this.#frozen.has(node)) this.#frozen.set(node, [])
  }

  thaw(node: number): void {
    const waiting = this.#frozen.get(node)
    if (waiting === undefined) return
    this.#frozen.delete(node)
    this.#transactions.resume((id) => this.#placement.holder(coordinatorRole('transaction', id)) === node)
    for (const go of waiting) go()
  }

  /** EndTxn answers before the markers are written; each takes `ms` and by chance up to `spreadMs` more. */
  setMarkerDelay(ms: number, spreadMs = 0): void {
    this.#transactions.markerDelayMs = ms
    this.#transactions.markerSpreadMs = spreadMs
  }

  /** As retention does. */
  deleteBefore(topic: string, partition: number, offset: number): void {
    this.#log.get(topic, partition).deleteBefore(offset)
    this.#log.changed(topic, partition)
  }

  /** A plain producer's records; gives the first one's offset. */
  append(topic: string, partition: number, records: readonly Writable[]): number {
    const place = this.#log.get(topic, partition)
    const { end } = place
    for (const batch of encodeBatches(records, this.#options.maxBatchBytes, false)) {
      place.append(readHeader(stamp(batch, NEWCOMER, -1)), false)
    }
    this.#log.changed(topic, partition)
    return end
  }

  /** What a read_committed reader may show, from an offset on. */
  visible(topic: string, partition: number, from = 0): readonly TwinRecord[] {
    const place = this.#log.get(topic, partition)
    const { stable } = place
    const shown: TwinRecord[] = []
    for (const { record, fate } of place.everything(from)) {
      if (record.offset >= stable) break
      if (fate === 'committed' && record.control === null) shown.push(record)
    }
    return shown
  }

  /** What is or will be visible: also what waits for its marker or behind another's open transaction. */
  decided(topic: string, partition: number, from = 0): readonly TwinRecord[] {
    const shown: TwinRecord[] = []
    for (const { record, fate } of this.#log.get(topic, partition).everything(from)) {
      if (record.control === null && this.#isDecided(record, fate)) shown.push(record)
    }
    return shown
  }

  /** Everything with what became of it, control records as well. */
  all(topic: string, partition: number, from = 0): readonly (TwinRecord & { readonly fate: Fate })[] {
    return [...this.#log.get(topic, partition).everything(from)].map(({ record, fate }) => ({ ...record, fate }))
  }

  /** `version` grows with every change. */
  edges(topic: string, partition: number) {
    const { start, end, stable, version } = this.#log.get(topic, partition)
    return { start, end, stable, version }
  }

  /** The group's stable offset. */
  committed(name: string, topic: string, partition: number): number | null {
    return this.#groups.committed(name, topic, partition)
  }

  /** Which members a group has, and in which state it is. */
  group(name: string) {
    return this.#groups.describe(name)
  }

  #isDecided({ producerId, epoch }: TwinRecord, fate: Fate): boolean {
    if (fate !== 'open') return fate === 'committed'
    return this.#transactions.isCommitting({ id: producerId, epoch })
  }

  #answer(node: number, life: number, send: () => void): void {
    if ((this.#lives.get(node) ?? 0) !== life) return
    const frozen = this.#frozen.get(node)
    if (frozen === undefined) send()
    else frozen.push(send)
  }

  #isUp(role: Role): boolean {
    const node = this.#placement.holder(role)
    return this.#placement.isAlive(node) && !this.#frozen.has(node) && !this.#loading.has(role)
  }

  /** The code of a coordinator's request at the wrong broker, or at one that is still loading. */
  #misplaced(node: number, kind: CoordinatorKind, key: string): number {
    const role = coordinatorRole(kind, key)
    if (this.#placement.holder(role) !== node) return CODE.notCoordinator
    return this.#loading.has(role) ? CODE.coordinatorLoading : CODE.none
  }

  #takeOver(role: Role): void {
    const { loadMs, now } = this.#options
    if (role.startsWith('partition ')) return
    if (loadMs <= 0) return this.#load(role)
    this.#loading.set(role, now() + loadMs)
    this.#agenda.put(`${role} loads`, now() + loadMs, () => this.#load(role))
  }

  #load(role: Role): void {
    this.#loading.delete(role)
    if (!this.#placement.isAlive(this.#placement.holder(role))) return
    if (role.startsWith('group ')) this.#groups.load(keyOf(role))
    else this.#transactions.resume((id) => id === keyOf(role))
  }

  #failOverLater(node: number): void {
    const { failoverMs, now } = this.#options
    if (failoverMs !== null) this.#agenda.put(`failover of ${node}`, now() + failoverMs, () => this.#failOver(node))
  }

  #failOver(node: number): void {
    const { alive } = this.#placement
    if (alive.length === 0) return
    for (const role of this.#placement.held(node)) {
      const to = alive[Math.floor(this.#options.random() * alive.length)] ?? node
      this.#placement.move(role, to)
      this.#takeOver(role)
      const [topic, partition] = role.slice('partition '.length).split('/')
      if (role.startsWith('partition ')) this.#log.changed(topic ?? '', Number(partition))
    }
  }

  #verify(id: string, producer: Producer, participant: Participant): number {
    if (!this.#isUp(coordinatorRole('transaction', id))) return CODE.coordinatorNotAvailable
    return this.#transactions.verify(id, producer, participant)
  }

  #mark(to: Participant, producer: Producer, isCommit: boolean): boolean {
    if (to.startsWith('offsets of ')) {
      const name = to.slice('offsets of '.length)
      if (!this.#isUp(coordinatorRole('group', name))) return false
      this.#groups.mark(name, producer, isCommit)
      return true
    }
    const slash = to.lastIndexOf('/')
    const topic = to.slice(0, slash)
    const partition = Number(to.slice(slash + 1))
    const leader = this.#log.leader(topic, partition)
    if (!this.#placement.isAlive(leader) || this.#frozen.has(leader)) return false
    this.#log.get(topic, partition).mark(producer, isCommit, this.#options.now())
    this.#log.changed(topic, partition)
    return true
  }

  #allHandlers(): ReadonlyMap<string, Handler> {
    return new Map<string, Handler>([
      ['0/9', (node, r, reply) => reply(log.writeProduced(this.#log.produce(node, log.readProduce(r))))],
      ['1/11', (node, r, reply) => this.#log.fetch(node, log.readFetch(r), (found) => reply(log.writeFetched(found)))],
      ['2/5', (node, r, reply) => reply(log.writeListed(this.#log.list(node, log.readListOffsets(r))))],
      [
        '3/9',
        (_, r, reply) =>
          reply(
            writeMetadata(
              this.#placement.alive.map(placeOf),
              readMetadata(r).map((it) => this.#topic(it)),
            ),
          ),
      ],
      ['10/3', (_, r, reply) => reply(this.#findCoordinator(r))],
      ['8/8', (node, r, reply) => reply(this.#offsetCommit(node, r))],
      ['9/7', (node, r, reply) => reply(this.#offsetFetch(node, r))],
      ['11/7', (node, r, reply, clientId) => this.#join(node, r, reply, clientId)],
      ['12/4', (node, r, reply) => reply(this.#heartbeat(node, r))],
      ['13/4', (node, r, reply) => reply(this.#leave(node, r))],
      ['14/5', (node, r, reply) => this.#sync(node, r, reply)],
      ['22/4', (node, r, reply) => reply(this.#init(node, r))],
      ['24/3', (node, r, reply) => reply(this.#addPartitions(node, r))],
      ['25/3', (node, r, reply) => reply(this.#addOffsets(node, r))],
      ['26/3', (node, r, reply) => reply(this.#end(node, r))],
      ['28/3', (node, r, reply) => reply(this.#txnOffsetCommit(node, r))],
      ['66/0', (node, r, reply) => reply(this.#listTransactions(node, r))],
    ])
  }

  #topic(topic: string): TopicMetadata {
    const partitions = this.#log.partitions(topic)
    if (partitions === null) return { code: CODE.unknownTopicOrPartition, topic, partitions: [] }
    return {
      code: CODE.none,
      topic,
      partitions: partitions.map(({ partition }) => {
        const leader = this.#log.leader(topic, partition)
        const isAlive = this.#placement.isAlive(leader)
        return { code: isAlive ? CODE.none : LEADER_NOT_AVAILABLE, partition, leader: isAlive ? leader : -1 }
      }),
    }
  }

  #findCoordinator(r: Reader): Buffer {
    const { kind, key } = readFindCoordinator(r)
    const node = this.#placement.holder(coordinatorRole(kind, key))
    return this.#placement.isAlive(node)
      ? writeCoordinator(CODE.none, placeOf(node))
      : writeCoordinator(CODE.coordinatorNotAvailable, { node: -1, host: '', port: -1 })
  }

  #init(node: number, r: Reader): Buffer {
    const { id, timeoutMs, current } = transaction.readInit(r)
    const misplaced = id === null ? CODE.none : this.#misplaced(node, 'transaction', id)
    if (misplaced !== CODE.none) return transaction.writeInit(misplaced, NEWCOMER)
    const { code, producer } = this.#transactions.init(id, timeoutMs, current)
    return transaction.writeInit(code, producer)
  }

  /** Where one partition does not exist, none is added. */
  #addPartitions(node: number, r: Reader): Buffer {
    const { id, producer, partitions } = transaction.readAddPartitions(r)
    const missing = partitions.filter(({ topic, partition }) => this.#log.find(topic, partition) === null)
    if (missing.length > 0) {
      const codes = partitions.map((it) => ({
        ...it,
        code: missing.includes(it) ? CODE.unknownTopicOrPartition : CODE.operationNotAttempted,
      }))
      return transaction.writePartitionCodes(codes)
    }
    const misplaced = this.#misplaced(node, 'transaction', id)
    const names = partitions.map(({ topic, partition }) => `${topic}/${partition}`)
    const code = misplaced === CODE.none ? this.#transactions.add(id, producer, names) : misplaced
    return transaction.writePartitionCodes(partitions.map((it) => ({ ...it, code })))
  }

  #addOffsets(node: number, r: Reader): Buffer {
    const { id, producer, group: name } = transaction.readAddOffsets(r)
    const misplaced = this.#misplaced(node, 'transaction', id)
    if (misplaced !== CODE.none) return transaction.writeCode(misplaced)
    return transaction.writeCode(this.#transactions.add(id, producer, [offsetsOf(name)]))
  }

  #end(node: number, r: Reader): Buffer {
    const { id, producer, isCommit } = transaction.readEnd(r)
    const misplaced = this.#misplaced(node, 'transaction', id)
    return transaction.writeCode(misplaced === CODE.none ? this.#transactions.end(id, producer, isCommit) : misplaced)
  }

  #txnOffsetCommit(node: number, r: Reader): Buffer {
    const asked = transaction.readTxnOffsetCommit(r)
    const misplaced = this.#misplaced(node, 'group', asked.group)
    const refused = asked.offsets.map(({ topic, partition }) => ({ topic, partition, code: misplaced }))
    return transaction.writePartitionCodes(misplaced === CODE.none ? this.#groups.commitWithin(asked) : refused)
  }

  #listTransactions(node: number, r: Reader): Buffer {
    const states = transaction.readListTransactions(r)
    const listed = this.#transactions.list(states)
    const ours = listed.filter(({ id }) => this.#placement.holder(coordinatorRole('transaction', id)) === node)
    return transaction.writeTransactions(CODE.none, ours)
  }

  #join(node: number, r: Reader, reply: Reply, clientId: string): void {
    const wish = group.readJoin(r, clientId)
    const misplaced = this.#misplaced(node, 'group', wish.group)
    this.#groups.join(wish.group, wish, misplaced, (answer) => reply(group.writeJoin(answer)))
  }

  #sync(node: number, r: Reader, reply: Reply): void {
    const { group: name, seat, assignments } = group.readSync(r)
    const misplaced = this.#misplaced(node, 'group', name)
    this.#groups.sync(name, seat, assignments, misplaced, (answer) => reply(group.writeSync(answer)))
  }

  #heartbeat(node: number, r: Reader): Buffer {
    const { group: name, member, instance, generation } = group.readHeartbeat(r)
    const misplaced = this.#misplaced(node, 'group', name)
    return transaction.writeCode(misplaced || this.#groups.heartbeat(name, member, instance, generation))
  }

  #leave(node: number, r: Reader): Buffer {
    const { group: name, members } = group.readLeave(r)
    const misplaced = this.#misplaced(node, 'group', name)
    if (misplaced !== CODE.none) return group.writeLeave(misplaced, [])
    const codes = members.map((it) => ({ ...it, code: this.#groups.leave(name, it.member, it.instance) }))
    return group.writeLeave(CODE.none, codes)
  }

  #offsetCommit(node: number, r: Reader): Buffer {
    const { group: name, seat, offsets } = group.readOffsetCommit(r)
    const code = this.#misplaced(node, 'group', name) || this.#groups.commit(name, seat, offsets)
    return transaction.writePartitionCodes(offsets.map(({ topic, partition }) => ({ topic, partition, code })))
  }

  #offsetFetch(node: number, r: Reader): Buffer {
    const { group: name, partitions, isStable } = group.readOffsetFetch(r)
    const misplaced = this.#misplaced(node, 'group', name)
    if (misplaced !== CODE.none) return group.writeOffsets(misplaced, [])
    return group.writeOffsets(CODE.none, this.#groups.offsets(name, partitions, isStable))
  }
}

const LEADER_NOT_AVAILABLE = 5
const offsetsOf = (name: string): Participant => `offsets of ${name}`
const keyOf = (role: Role): string => role.slice(role.indexOf(' ') + 1)

const DEFAULTS = {
  initialRebalanceDelayMs: 0,
  minSessionMs: 1_000,
  maxBatchBytes: 1_048_588,
  transactionSweepMs: 10_000,
  failoverMs: 3_000,
  loadMs: 0,
  dropsPending: false,
}
