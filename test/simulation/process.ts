import { openCodec } from '../../src/avro/codec.ts'
import { createRecords, MAX_RECORD_BYTES } from '../../src/avro/records.ts'
import { openRegistry, REGISTRY_DEFAULTS } from '../../src/avro/registry.ts'
import { NO_CALIBRATION } from '../../src/decision/calibration.ts'
import { NO_CERTIFICATES } from '../../src/decision/certificate.ts'
import type { Policy } from '../../src/decision/policy.ts'
import type { Connect } from '../../src/kafka/connection.ts'
import { openDecisionLog } from '../../src/kafka/decision-log.ts'
import type { KafkaDecisionLog } from '../../src/kafka/decision-log.ts'
import { createPatience } from '../../src/processor/decode.ts'
import type { Observer, Timer, Tracer } from '../../src/processor/ports.ts'
import { runRebuilder } from '../../src/processor/rebuild.ts'
import type { RebuildStatus } from '../../src/processor/rebuild.ts'
import { runProcessor } from '../../src/processor/run.ts'
import type { Processor } from '../../src/processor/run.ts'
import { createStandingOrders } from '../../src/processor/standing-orders.ts'
import type { CreateClient } from '../../src/redis/connection.ts'
import { openRedis } from '../../src/redis/open.ts'
import type { RedisState } from '../../src/redis/open.ts'
import { verdictHistory } from '../../src/verdict-history.ts'
import type { Plan } from './plan.ts'
import { EPOCH_MS, runAs } from './virtual-time.ts'
import type { Owner } from './virtual-time.ts'

export const GROUP = 'sluice'
export const TOPICS = {
  input: 'model.outputs',
  execute: 'decisions.execute',
  review: 'decisions.review',
  reject: 'decisions.reject',
  deadLetters: 'model.outputs.dlq',
  policies: 'decisions.policies',
} as const

export const TIMES = {
  sessionTimeoutMs: 6_000,
  rebalanceTimeoutMs: 3_000,
  heartbeatMs: 1_000,
  requestTimeoutMs: 3_000,
  connectTimeoutMs: 1_000,
  transactionTimeoutMs: 8_000,
  metadataMs: 10_000,
  fetchMaxWaitMs: 1_000,
} as const

/** How a process reaches the servers, and what a planted bug changes of its parts. */
export type Surroundings = {
  readonly plan: Plan
  readonly brokers: readonly string[]
  readonly connect: (owner: Owner) => Connect
  readonly createRedis: (owner: Owner) => CreateClient
  readonly observer: (process: Process) => Observer
  readonly alter: (parts: Processor, process: Process) => Processor
  readonly policyOf: (digest: string) => Policy
  /** A verdict that cannot be read. */
  readonly unusable: (what: string) => void
  /** What the log tells, for the trace. */
  readonly say: (process: Process, text: string) => void
  /** `why` null: it ended in order. */
  readonly ended: (process: Process, why: unknown) => void
}

const LIBRARY = { version: 'twin', code: '' }

/** One process with the product's processor in it, wired as src/main.ts does. */
export class Process {
  readonly owner: Owner
  readonly slot: string
  policy: Policy
  readonly orders = createStandingOrders()
  log: KafkaDecisionLog | null = null
  redis: RedisState | null = null
  state: 'running' | 'ended' | 'dead' = 'running'
  readonly #surroundings: Surroundings
  readonly #stop = new AbortController()
  #told = 'whole'

  constructor(owner: Owner, slot: string, policy: Policy, surroundings: Surroundings) {
    this.owner = owner
    this.slot = slot
    this.policy = policy
    this.#surroundings = surroundings
  }

  start(): void {
    const { ended } = this.#surroundings
    runAs(this.owner, () => {
      this.#run().then(
        () => this.#end(() => ended(this, null)),
        (why: unknown) => this.#end(() => ended(this, why)),
      )
    })
  }

  /** As SIGTERM. */
  stop(): void {
    runAs(this.owner, () => this.#stop.abort(new Error('stopped')))
  }

  /** Each step once, for the trace. */
  #tell(status: RebuildStatus): void {
    const step = 'why' in status ? `${status.kind}: ${status.why}` : status.kind
    if (step !== this.#told) this.#surroundings.say(this, `state ${step}`)
    this.#told = step
  }

  #end(tell: () => void): void {
    this.state = 'ended'
    tell()
  }

  async #run(): Promise<void> {
    const { plan, connect, createRedis, alter } = this.#surroundings
    const { signal } = this.#stop
    const timer = timerOf(this.owner)
    const redis = await openRedis({
      url: 'redis://redis:6379',
      deployment: 'simulation',
      topic: TOPICS.input,
      group: GROUP,
      backlogEvents: plan.backlogEvents,
      library: LIBRARY,
      createClient: createRedis(this.owner),
    })
    this.redis = redis
    const registry = await openRegistry({
      ...REGISTRY_DEFAULTS,
      address: { url: 'http://registry', credentials: null },
      breaker: { failuresMax: 3, openMs: 1_000 },
    })
    const verdicts = { execute: TOPICS.execute, review: TOPICS.review, reject: TOPICS.reject }
    const options = { subjects: [`${TOPICS.input}-value`], verdictTopics: verdicts, maxEventBytes: 100_000 }
    const waiting = { signal, everyMs: 500, onWaiting: () => undefined }
    const codec = await openCodec(registry, options, waiting).catch((error: unknown) => {
      if (signal.aborted) return null
      throw error
    })
    if (codec === null) return redis.close()
    const { brokers } = this.#surroundings
    const connection = { brokers, clientId: 'sluice', ssl: null, sasl: null, connect: connect(this.owner) }
    const log = openDecisionLog({
      connection,
      group: GROUP,
      slot: this.slot,
      input: TOPICS.input,
      ...TIMES,
      onStatus: ({ text }) => this.#surroundings.say(this, text),
    })
    this.log = log
    const parts: Processor = {
      log,
      codec,
      timer,
      state: redis.store,
      attempts: redis.attempts,
      control: this.orders,
      rulebook: {
        current: () => ({
          policy: this.policy,
          calibration: NO_CALIBRATION,
          certificates: NO_CERTIFICATES,
        }),
      },
      tracer,
      observer: this.#surroundings.observer(this),
      patience: createPatience(3_000, timer.now),
      outlets: {
        verdicts,
        deadLetters: TOPICS.deadLetters,
        policies: TOPICS.policies,
        source: '/sluice/simulation',
        maxVerdictBytes: 100_000,
        traceparent: ({ traceId }) => traceId,
        isoTime: (ms) => new Date(ms).toISOString(),
      },
      pace: { maxRecords: plan.batchRecords, intervalMs: plan.intervalMs, pollMs: 500, holdMs: 500, retryMs: 200 },
    }
    const feeds = new AbortController()
    const rebuilding = runRebuilder(
      {
        store: redis.rebuild,
        history: verdictHistory({
          connection,
          input: TOPICS.input,
          verdictTopics: Object.values(verdicts),
          records: createRecords(registry, MAX_RECORD_BYTES),
          onUnusable: (position, problem) => this.#surroundings.unusable(`${position}: ${problem}`),
        }),
        policyOf: ({ policy }) => Promise.resolve(this.#surroundings.policyOf(policy.digest)),
        inputTopic: TOPICS.input,
        policy: () => this.policy,
        timer,
        onStatus: (status) => this.#tell(status),
      },
      feeds.signal,
    )
    try {
      await Promise.race([
        runProcessor(alter(parts, this), signal),
        rebuilding.then(() => new Promise<never>(() => {})),
      ])
    } finally {
      feeds.abort()
      await log.close()
      redis.close()
    }
  }
}

const tracer: Tracer = {
  link: ({ offset }) => ({
    traceId: `trace-${offset}`,
    parentSpanId: null,
    processSpanId: 'p',
    sendSpanId: 's',
    sampled: false,
    tracestate: null,
  }),
}

/** As in src/main.ts: the wall clock at the process' start, and a monotonic one from then on. */
function timerOf(owner: Owner): Timer {
  const origin = EPOCH_MS + owner.clockOffsetMs
  return {
    now: () => origin + performance.now(),
    sleep: async (ms, signal) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      if (signal?.aborted === true) return
      const timeout = setTimeout(resolve, ms)
      const stop = (): void => {
        clearTimeout(timeout)
        resolve()
      }
      signal?.addEventListener('abort', stop, { once: true })
      await promise
      signal?.removeEventListener('abort', stop)
    },
  }
}
