import { between, pick } from '../../src/commands/demo/random.ts'
import type { Policy } from '../../src/decision/policy.ts'
import { Cluster } from '../../src/kafka/cluster.ts'
import { LogReader } from '../../src/kafka/reader.ts'
import { SlotTaken } from '../../src/kafka/errors.ts'
import { KafkaTwin } from '../twins/kafka/kafka-twin.ts'
import { Books, Violation } from './books.ts'
import { simulatedConnect } from './kafka-client.ts'
import type { Brokers, Meddler } from './kafka-client.ts'
import { CALM } from './link.ts'
import type { Odds } from './link.ts'
import { NO_MUTANT } from './mutant.ts'
import type { Mutant } from './mutant.ts'
import type { FaultKind, Plan } from './plan.ts'
import { Process, TIMES, TOPICS } from './process.ts'
import type { Surroundings } from './process.ts'
import { SimulatedRedis } from './redis-client.ts'
import { RedisServer } from './redis-server.ts'
import { Registry } from './registry.ts'
import { contexts, policiesOf, Traffic } from './traffic.ts'
import type { Sent } from './traffic.ts'
import type { Owner } from './virtual-time.ts'
import { World } from './world.ts'

const READER: Owner = { name: 'reader', clockOffsetMs: 0 }

/** A world with servers, processes and traffic, after a plan. */
export class Scene {
  readonly plan: Plan
  readonly world: World
  readonly kafka: KafkaTwin
  readonly redis: RedisServer
  readonly registry: Registry
  readonly books: Books
  readonly processes: Process[] = []
  readonly deadBrokers = new Set<number>()
  readonly policies: readonly [Policy, Policy, Policy]
  readonly slots: string[]
  /** What has gone wrong where nobody waits for it. */
  violation: unknown = null
  commits = 0
  discards = 0
  produced = 0
  healed = false
  /** Whether something has happened at the brokers since the books were looked at. */
  touched = true
  readonly mutant: Mutant
  readonly #surroundings: Surroundings
  readonly #cuts = new Map<number, Set<() => void>>()
  /** Processes whose slot another one had as well, or a stray request took. */
  readonly #rivals = new Set<Process>()
  #spawned = 0
  #policy: Policy
  #read = 0
  #reader: LogReader | null = null
  readonly #traffic: Traffic

  constructor(plan: Plan, mutant: Mutant = NO_MUTANT) {
    this.plan = plan
    this.mutant = mutant
    const world = (this.world = new World(plan.seed))
    const { input, execute, review, reject, deadLetters, policies } = TOPICS
    const many = [input, execute, review, reject, deadLetters].map((topic) => [topic, plan.partitions] as const)
    this.kafka = new KafkaTwin({
      brokers: plan.brokers,
      topics: { ...Object.fromEntries(many), [policies]: 1 },
      now: world.now,
      random: world.chance.servers,
      dropsPending: plan.seed % 2 === 1,
    })
    world.attach({
      nextDue: () => this.kafka.nextDue(),
      advance: () => {
        this.touched = true
        this.kafka.advance()
      },
    })
    this.policies = policiesOf(plan.longWindows)
    this.#policy = this.policies[0]
    this.redis = new RedisServer(world, plan.replicaLag, contexts(), mutant.library, (call, reply) =>
      this.#watch(() => this.books.called(call.name, call.args, reply)),
    )
    this.registry = new Registry(world)
    this.books = new Books(plan, this.kafka, () => this.redis, this.policies)
    this.#traffic = new Traffic(world.chance.traffic, plan)
    this.slots = Array.from({ length: plan.workers }, (_, at) => `w${at}`)
    this.#surroundings = this.#makeSurroundings()
  }

  begin(): void {
    for (const slot of this.slots) this.spawn(slot)
    for (let n = 0; n < this.plan.events; n++) {
      this.world.happen(this.world.chance.traffic() * this.plan.trafficMs, null, 'produce', () => {
        this.#produce(this.#traffic.next(this.world.now()))
        this.produced++
      })
    }
    if (this.plan.reads) this.read()
  }

  /** One more record in each partition, which repeats an earlier one where there is one. */
  produceLast(): void {
    for (let partition = 0; partition < this.plan.partitions; partition++)
      this.#produce(this.#traffic.last(this.world.now(), partition))
  }

  #produce({ partition, key, value }: Sent): void {
    const timestamp = Math.floor(this.world.now())
    this.kafka.append(TOPICS.input, partition, [{ key, value, timestamp, headers: [] }])
  }

  has(fault: FaultKind): boolean {
    return this.plan.faults.includes(fault)
  }

  spawn(slot: string): void {
    const { world } = this
    const offset = this.has('clock jumps') && !this.healed ? between(world.chance.servers, -5_000, 5_000) : 0
    const owner: Owner = { name: `${slot}#${this.#spawned++}`, clockOffsetMs: Math.floor(offset) }
    const process = new Process(owner, slot, this.#policy, this.#surroundings)
    const rivals = this.running.filter((it) => it.slot === slot)
    if (rivals.length > 0) for (const it of [process, ...rivals]) this.#rivals.add(it)
    this.processes.push(process)
    world.happen(1, owner, 'starts', () => process.start())
  }

  kill(process: Process): void {
    if (process.state === 'dead') return
    process.state = 'dead'
    this.world.bury(process.owner)
  }

  get running(): readonly Process[] {
    return this.processes.filter(({ state }) => state === 'running')
  }

  swapPolicy(): void {
    this.#policy = pick(this.world.chance.deeds, this.policies)
    for (const process of this.running) process.policy = this.#policy
  }

  killBroker(node: number): void {
    this.deadBrokers.add(node)
    this.kafka.kill(node)
    for (const cut of this.#cuts.get(node) ?? []) cut()
    this.#cuts.delete(node)
  }

  restartBroker(node: number): void {
    this.deadBrokers.delete(node)
    this.kafka.restart(node)
  }

  cutBroker(node: number): void {
    for (const cut of this.#cuts.get(node) ?? []) cut()
    this.#cuts.delete(node)
  }

  /** Somebody reads the verdict topics from their beginning, with the product's reader. */
  read(): void {
    if (this.#reader !== null) return
    const cluster = new Cluster(
      { brokers: this.kafka.addresses, clientId: 'reader', ssl: null, sasl: null, connect: this.#connectOf(READER) },
      TIMES,
    )
    const seen = new Map<string, number>()
    this.#reader = new LogReader(
      cluster,
      {
        accept: ({ topic, partition, records }) => {
          for (const { offset } of records) this.#watch(() => this.#checkRead(seen, topic, partition, offset))
        },
        trouble: () => undefined,
      },
      { maxWaitMs: 1_000 },
    )
    const { execute, review, reject, deadLetters } = TOPICS
    this.world.happen(1, READER, 'begins', () => {
      void cluster
        .refresh([execute, review, reject, deadLetters, TOPICS.policies])
        .catch(() => undefined)
        .then(() => {
          for (const topic of [execute, review, reject, deadLetters])
            for (let partition = 0; partition < this.plan.partitions; partition++)
              this.#reader?.add({ topic, partition, offset: 0 })
          this.#reader?.add({ topic: TOPICS.policies, partition: 0, offset: 0 })
          return this.#reader?.run()
        })
        .catch((error: unknown) => this.fail(error))
    })
  }

  /** Whether the reader has shown all there is to see. */
  get isRead(): boolean {
    let total = this.kafka.visible(TOPICS.policies, 0).length
    for (const topic of [TOPICS.execute, TOPICS.review, TOPICS.reject, TOPICS.deadLetters])
      for (let partition = 0; partition < this.plan.partitions; partition++)
        total += this.kafka.visible(topic, partition).length
    return this.#read === total
  }

  /** How far everything is, for a report. */
  standing(): string {
    return `${this.books.standing()}; ${this.isRead ? 'all' : 'not all'} is read`
  }

  fail(problem: unknown): void {
    this.violation ??= problem
  }

  /** Memory and queues of every process that lives. */
  checkBounds(): void {
    for (const { redis, log, owner } of this.running) {
      const backlog = redis?.store.backlogEvents ?? 0
      if (backlog > this.plan.backlogEvents)
        throw new Violation('queues are bounded', `${owner.name} remembers ${backlog} of ${this.plan.backlogEvents}`)
      const held = log?.stats().held ?? 0
      if (held > BUFFER_BYTES) throw new Violation('queues are bounded', `${owner.name} holds ${held} bytes`)
    }
  }

  #checkRead(seen: Map<string, number>, topic: string, partition: number, offset: number): void {
    const place = `${topic}-${partition}`
    const last = seen.get(place) ?? -1
    seen.set(place, offset)
    if (offset <= last) throw new Violation('a reader sees each record once', `${place}:${offset} after ${last}`)
    const fate = this.kafka.all(topic, partition, offset)[0]?.fate
    if (fate !== 'committed') throw new Violation('nothing aborted is read', `${place}:${offset} is ${String(fate)}`)
    this.#read++
  }

  #watch(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.fail(error)
    }
  }

  #makeSurroundings(): Surroundings {
    const { plan, world, mutant } = this
    return {
      plan,
      brokers: this.kafka.addresses,
      connect: (owner) => this.#connectOf(owner),
      createRedis: (owner) => (_url, options) =>
        new SimulatedRedis(world, this.redis, owner, () => this.#redisOdds(), options, mutant.resends),
      observer: () => ({
        committed: () => void this.commits++,
        discarded: (code) => {
          this.discards++
          world.note(`  discarded: ${code}`)
        },
        refused: () => undefined,
        // The processor would go on, record by record; here a bug shall be seen.
        isolated: (why) => {
          if (why.kind === 'error') this.fail(why.error)
        },
      }),
      alter: (parts) => mutant.alter(parts, this),
      policyOf: (digest) => {
        const policy = this.policies.find((it) => it.digest === digest)
        if (policy === undefined) throw new Error(`a verdict names the policy ${digest}`)
        return policy
      },
      unusable: (what) => this.fail(new Violation('a verdict can be read', what)),
      say: ({ owner }, text) => world.note(`  ${owner.name} says: ${text}`),
      ended: (process, why) => this.#ended(process, why),
    }
  }

  #ended(process: Process, why: unknown): void {
    this.world.note(`  ${process.owner.name} ended: ${why instanceof Error ? why.message : 'in order'}`)
    if (why instanceof SlotTaken) this.#checkTaken(process)
    else if (why !== null) this.fail(why)
    // A supervisor starts again what has ended, unless its slot is in other hands.
    this.world.happen(between(this.world.chance.servers, 100, 2_000), null, 'supervisor', () =>
      this.respawn(process.slot),
    )
  }

  /**
   * Only another process that had the same slot at the same time can have taken it; or a request that takes it and that
   * nobody waits for any more: the process' own, served twice or of a connection that it has given up, or one of the process
   * that had the slot before.
   */
  #checkTaken(process: Process): void {
    if (!this.#rivals.has(process))
      this.fail(
        new Violation('a slot is taken by somebody', `${process.owner.name} ended, and had its slot for itself`),
      )
  }

  #noteTaking(owner: Owner, isStray: boolean): void {
    const sender = this.processes.find((it) => it.owner === owner)
    if (sender === undefined || (sender.state === 'running' && !isStray)) return
    for (const it of this.running) if (it.slot === sender.slot) this.#rivals.add(it)
  }

  respawn(slot: string): void {
    if (!this.running.some((it) => it.slot === slot)) this.spawn(slot)
  }

  #connectOf(owner: Owner) {
    const brokers: Brokers = {
      isAlive: (node) => node >= 1 && node <= this.plan.brokers && !this.deadBrokers.has(node),
      handle: (node, request, reply, isStray) => {
        this.touched = true
        if (TAKING.has(request.apiKey)) this.#noteTaking(owner, isStray)
        this.kafka.handle(node, request, reply)
      },
      connected: (node, cut) => {
        const cuts = this.#cuts.get(node) ?? new Set()
        this.#cuts.set(node, cuts.add(cut))
        return () => cuts.delete(cut)
      },
    }
    const { meddler, listener } = this.mutant
    const meddling: Meddler = {
      ask: (who, request) => meddler?.(who, request, this) ?? null,
      hear: (who, apiName, body, answer) => listener?.(this, who, apiName, body, answer),
    }
    const isMeddled = owner !== READER && meddler !== null
    return simulatedConnect(this.world, brokers, owner, () => this.#kafkaOdds(), isMeddled ? meddling : null)
  }

  #kafkaOdds(): Odds {
    if (this.healed) return CALM
    const { trouble } = this.plan
    const odd = (fault: FaultKind): number => (this.has(fault) ? trouble : 0)
    return {
      delay: odd('delay') * 3,
      loseRequest: odd('request lost'),
      arriveLate: odd('request late'),
      loseReply: odd('reply lost'),
      duplicate: odd('request twice'),
      silence: odd('silence') / 4,
    }
  }

  #redisOdds(): Odds {
    if (this.healed) return CALM
    const { trouble } = this.plan
    const odd = (fault: FaultKind): number => (this.has(fault) ? trouble * 2 : 0)
    return {
      delay: odd('redis delay') * 2,
      loseRequest: odd('redis cut') / 2,
      arriveLate: odd('redis request late'),
      loseReply: odd('redis reply lost'),
      duplicate: odd('redis call twice'),
      silence: odd('redis cut') / 4,
    }
  }
}

/** The keys of JoinGroup and InitProducerId, by which a process takes its slot. */
const TAKING = new Set([11, 22])

/** Far more than a seed's traffic; what may be held is bounded by what is under way. */
const BUFFER_BYTES = 64 * 1024
