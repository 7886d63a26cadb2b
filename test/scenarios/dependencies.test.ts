import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { startKafka } from '../../deploy/local/kafka.ts'
import type { LocalKafka } from '../../deploy/local/kafka.ts'
import { startRedis } from '../../deploy/local/redis.ts'
import type { LocalRedis } from '../../deploy/local/redis.ts'
import { stableOffsets } from '../../src/kafka/positions.ts'
import {
  addOffsetsToTxn,
  initProducerId,
  NEWCOMER,
  txnOffsetCommit,
} from '../../src/kafka/wire/messages/transaction.ts'
import type { Request } from '../../src/kafka/wire/request.ts'
import { Scene } from '../brokers/support/kafka-scene.ts'
import { openRegistryProxy } from '../brokers/support/registry-proxy.ts'
import { inShort } from './support/answers.ts'
import { endInOrder, endProcesses } from './support/cli.ts'
import { deploy, event, many } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import type { ProcessorProcess } from './support/processor.ts'
import { startTraffic } from './support/traffic.ts'
import { until } from './support/until.ts'

/** What the README promises of each part that may be away, while events flow. */

const stack = inject('stack')
afterEach(endProcesses)

/** How soon everything must be as before once a part is back, milliseconds. */
const RECOVERY_MS = 5000
/** item.flag needs state, item.hide may go without. */
const BOTH = [{ action: 'item.flag' }, { action: 'item.hide' }]

/** Every event has one answer, and nothing that needs state was executed without. */
async function expectComplete(it: Deployment, positions: readonly string[]): Promise<void> {
  for (const answer of await it.answers.all(positions)) {
    if (answer.kind === 'dead letter' || answer.verdict.route !== 'execute') continue
    const { facts, event } = answer.verdict
    if (event.action !== 'item.hide') expect(facts.state).toBe('ok')
  }
  const { lost, doubled, events } = await it.answers.audit()
  expect({ lost, doubled }).toEqual({ lost: [], doubled: [] })
  expect(events).toBeGreaterThanOrEqual(positions.length)
}

describe('Redis', () => {
  let redis: LocalRedis
  let it: Deployment
  let processor: ProcessorProcess

  beforeAll(async () => {
    // Everything acknowledged survives a kill, as with a replica that is promoted.
    redis = await startRedis({ settings: { appendonly: 'yes', appendfsync: 'always' } })
    it = await deploy({ ...stack, redis: redis.url })
  })
  afterAll(async () => {
    await it.close()
    await redis.stop()
  })

  /** The ways not to answer, and to answer again with all that was there. */
  const outages: readonly (readonly [name: string, begin: () => Promise<void>, end: () => Promise<void>])[] = [
    ['killed and started again', () => redis.kill(), () => redis.restart()],
    [
      'halted',
      async () => void process.kill(redis.pid, 'SIGSTOP'),
      async () => void process.kill(redis.pid, 'SIGCONT'),
    ],
    ['slower than the deadline', () => pause(redis.url, 1500), async () => undefined],
  ]

  test.each(outages)(
    '%s: decisions go on, to review, and are as before within 5 s of its return',
    async (_, begin, end) => {
      processor = it.start()
      await processor.untilReady()
      const traffic = startTraffic(it, BOTH)
      await traffic.sees('execute confidence.sufficient', { action: 'item.flag' })
      await begin()
      const away = await traffic.sees('review state.unavailable', { action: 'item.flag' })
      await traffic.sees('execute confidence.sufficient', { action: 'item.hide' })
      const { status, ready, parts } = await processor.health()
      expect({ status, ready, redis: parts['redis']?.state }).toEqual({ status: 200, ready: true, redis: 'degraded' })
      expect(parts['redis']?.detail).toContain(`127.0.0.1:${redis.port}`)
      await end()
      const back = await traffic.sees('execute confidence.sufficient', { action: 'item.flag' })
      expect(back.ms).toBeLessThan(RECOVERY_MS)
      await until('/readyz finds Redis fine', async () => (await processor.health()).parts['redis']?.state === 'ok')
      await expectComplete(it, await traffic.stop())
      const verdict = await it.answers.verdict(away.position)
      expect(verdict).toMatchObject({ mode: 'degraded', facts: { state: 'unavailable', clock: 'processor' } })
      expect(await processor.metric('state_refusals_total', { kind: 'unavailable' })).toBeGreaterThan(0)
      expect(await processor.metric('decision_count_total', { code: 'state.unavailable' })).toBeGreaterThan(0)
      expect(await processor.metric('decision_count_total', { code: 'state.lost' })).toBe(0)
      expect(processor.log().some((line) => line['code'] === 'state.unavailable')).toBe(true)
      await endInOrder(processor)
    },
  )

  test('emptied: decisions that need memory go to review as lost until the longest window has passed', async () => {
    processor = it.start()
    await processor.untilReady()
    const traffic = startTraffic(it, BOTH)
    await traffic.sees('execute confidence.sufficient', { action: 'item.flag' })
    const admin = new Redis(redis.url)
    await admin.flushall()
    admin.disconnect()
    const lost = await traffic.sees('review state.lost', { action: 'item.flag' })
    await traffic.sees('execute confidence.sufficient', { action: 'item.hide' })
    const back = await traffic.sees('execute confidence.sufficient', { action: 'item.flag' })
    expect(back.ms).toBeLessThan(RECOVERY_MS)
    await expectComplete(it, await traffic.stop())
    expect(await it.answers.verdict(lost.position)).toMatchObject({ mode: 'degraded', facts: { state: 'lost' } })
    expect(await processor.metric('decision_count_total', { code: 'state.lost' })).toBeGreaterThan(0)
    await endInOrder(processor)
  })

  test('away at the start: the process starts, and takes state up when it comes', async () => {
    await redis.kill()
    processor = it.start()
    await processor.untilReady()
    const traffic = startTraffic(it, BOTH)
    await traffic.sees('review state.unavailable', { action: 'item.flag' })
    await redis.restart()
    const back = await traffic.sees('execute confidence.sufficient', { action: 'item.flag' })
    expect(back.ms).toBeLessThan(RECOVERY_MS)
    await expectComplete(it, await traffic.stop())
    await endInOrder(processor)
  })
})

/** Redis answers nobody for so long. */
async function pause(url: string, ms: number): Promise<void> {
  const admin = new Redis(url)
  await admin.client('PAUSE', ms, 'ALL')
  admin.disconnect()
}

describe('the schema registry', () => {
  const patience = { SCHEMA_REGISTRY_PATIENCE_MS: '1500', SCHEMA_REGISTRY_TIMEOUT_MS: '300' }

  test.each(['hang', 'drop'] as const)('%s: known schemas go on, others wait and then are set aside', async (mode) => {
    const proxy = await openRegistryProxy(stack.registry)
    const it = await deploy(stack)
    const processor = it.start({ ...patience, SCHEMA_REGISTRY_URL: proxy.url })
    await processor.untilReady()
    const [known] = await it.send([event()])
    await it.answers.of(known!)
    proxy.mode = mode
    const unknown = await it.records.encode('ModelOutput', it.topics.input, event())
    unknown.writeInt32BE(2_147_000_000, 1)
    const waiting = await it.put(unknown, { partition: 0 })
    const [behind] = await it.send([event()], { partition: 0 })
    const beside = await it.send(many(20), { partition: 1 })
    for (const answer of await it.answers.all(beside, 1500))
      expect(inShort(answer)).toBe('execute confidence.sufficient')
    expect(it.answers.find(behind!)).toBeUndefined()
    const { status, parts } = await processor.health()
    expect({ status, registry: parts['registry']?.state }).toEqual({ status: 200, registry: 'degraded' })
    expect(inShort(await it.answers.of(waiting))).toBe('dead letter schema.unresolved')
    expect(inShort(await it.answers.of(behind!))).toBe('execute confidence.sufficient')
    expect(await processor.metric('decision_dead_letters_total', { code: 'schema.unresolved' })).toBe(1)
    proxy.mode = 'pass'
    const late = await it.put(unknown, { partition: 0 })
    expect(inShort(await it.answers.of(late))).toBe('dead letter schema.unknown')
    await expectComplete(it, [waiting, behind!, late, ...beside])
    await endInOrder(processor)
    await it.close()
    await proxy.close()
  })

  test('away for less than the patience: nothing is set aside', async () => {
    const proxy = await openRegistryProxy(stack.registry)
    const it = await deploy(stack)
    const processor = it.start({ SCHEMA_REGISTRY_URL: proxy.url, SCHEMA_REGISTRY_TIMEOUT_MS: '300' })
    await processor.untilReady()
    proxy.mode = 'drop'
    const sent = await it.send(many(10))
    await until('the registry was asked', () => proxy.requests.length > 4)
    await until('/readyz names it', async () => (await processor.health()).parts['registry']?.state === 'degraded')
    expect(it.answers.count).toBe(0)
    proxy.mode = 'pass'
    for (const answer of await it.answers.all(sent)) expect(inShort(answer)).toBe('execute confidence.sufficient')
    await until('/readyz is content', async () => (await processor.health()).parts['registry']?.state === 'ok')
    await endInOrder(processor)
    await it.close()
    await proxy.close()
  })

  test('away at the start: with the cache file it starts and decides; without, it waits and says so', async () => {
    const proxy = await openRegistryProxy(stack.registry)
    const it = await deploy(stack)
    const registry = { SCHEMA_REGISTRY_URL: proxy.url, SCHEMA_REGISTRY_TIMEOUT_MS: '300' }
    const first = it.start(registry)
    await first.untilReady()
    const [before] = await it.send([event()])
    await it.answers.of(before!)
    await first.stop()
    proxy.mode = 'drop'
    const second = it.start(registry)
    await second.untilReady()
    const [at] = await it.send([event()])
    expect(inShort(await it.answers.of(at!))).toBe('execute confidence.sufficient')
    await endInOrder(second)
    const third = it.start({ ...registry, SCHEMA_CACHE: `${it.folder}/none.json` })
    await until('it waits', async () => (await third.health()).parts['registry']?.detail.includes('not known'))
    expect(await third.health()).toMatchObject({ status: 503, ready: false, parts: { registry: { state: 'missing' } } })
    expect((await third.get('/livez')).status).toBe(200)
    const [later] = await it.send([event()])
    proxy.mode = 'pass'
    await third.untilReady()
    expect(inShort(await it.answers.of(later!))).toBe('execute confidence.sufficient')
    await expectComplete(it, [before!, at!, later!])
    await it.close()
    await proxy.close()
  })

  test('SIGTERM while it waits for the registry ends it', async () => {
    const it = await deploy(stack)
    const processor = it.start({ SCHEMA_REGISTRY_URL: 'http://127.0.0.1:9' })
    await until('it waits', async () => (await processor.health()).parts['registry']?.detail.includes('not known'))
    const ended = await processor.stop()
    expect(ended.code).toBe(0)
    expect(ended.ms).toBeLessThan(3000)
    await it.close()
  })
})

describe('the trace collector', () => {
  /** Takes connections and requests, and never answers. */
  async function openBlackHole(): Promise<{
    readonly url: string
    readonly taken: () => number
    readonly close: () => void
  }> {
    const sockets: Socket[] = []
    const server = createServer((socket) => void sockets.push(socket.on('error', () => undefined).resume()))
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const { port } = server.address() as AddressInfo
    const close = (): void => {
      server.close()
      for (const socket of sockets) socket.destroy()
    }
    return { url: `http://127.0.0.1:${port}`, taken: () => sockets.length, close }
  }

  /** Milliseconds a batch takes on average, how long the process takes to end, and what became of its spans. */
  async function measure(it: Deployment, endpoint: string) {
    const processor = it.start({
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      SLUICE_TRACE_EXECUTE_SHARE: '1',
    })
    await processor.untilReady()
    const [warm] = await it.send([event()])
    await it.answers.of(warm!)
    const traffic = startTraffic(it, [{}], 5)
    await until('200 are sent', () => traffic.sent().length >= 200)
    await it.answers.all(await traffic.stop())
    const sum = await processor.metric('decision_duration_sum')
    const count = await processor.metric('decision_duration_count')
    const exported = await processor.metric('telemetry_spans_exported_total')
    const lost = async () =>
      (await processor.metric('telemetry_spans_dropped_total')) + (await processor.metric('telemetry_spans_queued')) > 0
    if (exported === 0) await until('spans are dropped or wait', lost)
    const { code, ms } = await processor.stop()
    return { meanMs: (sum / count) * 1000, exported, code, endedMs: ms, log: processor.log() }
  }

  test('absent or a black hole: decisions take as long as with one, the exit a little longer', async () => {
    const it = await deploy(stack)
    const hole = await openBlackHole()
    const there = await measure(it, stack.otlp)
    const absent = await measure(it, 'http://127.0.0.1:9')
    const silent = await measure(it, hole.url)
    const meanMs = [there, absent, silent].map((it) => Math.round(it.meanMs))
    const endedMs = [there, absent, silent].map((it) => Math.round(it.endedMs))
    console.log(`collector there, absent, silent: a batch takes ${meanMs.join()} ms, the exit ${endedMs.join()} ms`)
    expect(there.exported).toBeGreaterThan(0)
    expect(hole.taken()).toBeGreaterThan(0)
    for (const { meanMs, endedMs, code, exported } of [absent, silent]) {
      expect({ code, exported }).toEqual({ code: 0, exported: 0 })
      // A collector that is waited for would cost its time-out, which is seconds.
      expect(meanMs).toBeLessThan(there.meanMs * 2 + 50)
      expect(endedMs).toBeLessThan(5000)
    }
    expect(absent.log.some(({ message }) => message.startsWith('spans are lost'))).toBe(true)
    expect(await it.answers.audit()).toMatchObject({ lost: [], doubled: [] })
    hole.close()
    await it.close()
  })
})

describe('Kafka', () => {
  let kafka: LocalKafka
  beforeAll(async () => {
    kafka = await startKafka()
  })
  afterAll(() => kafka.stop())

  test('killed and started again on its data: the process stays, says so, and goes on without loss', async () => {
    const it = await deploy({ ...stack, brokers: kafka.brokers })
    const processor = it.start()
    await processor.untilReady()
    await settle(it, await it.send(many(50)))
    await kafka.kill(1)
    const traffic = startTraffic(it, BOTH, 10)
    await until('/readyz answers 503', async () => (await processor.health()).status === 503, 20_000)
    const { parts } = await processor.health()
    expect(parts['kafka']?.state).toBe('missing')
    expect(parts['redis']?.state).toBe('ok')
    expect((await processor.get('/livez')).status).toBe(200)
    await kafka.restart(1)
    const ready = await processor.untilReady()
    const back = await traffic.sees('execute confidence.sufficient', { action: 'item.flag' })
    console.log(`ready ${ready.toFixed(0)} ms after the broker, first verdict ${back.ms.toFixed(0)} ms later`)
    await expectComplete(it, await traffic.stop())
    await endInOrder(processor)
    await it.close()
  })

  /**
   * All answers are visible, and the transactions that made them so are marked everywhere. A lone broker that is killed
   * between the answer to EndTxn and the last marker may forget the markers when it returns (4.3.1 wrote CompleteCommit
   * and none of them, in 4 of 100 kills): no client can mend that, and what it leaves is the next test's subject.
   */
  async function settle(it: Deployment, positions: readonly string[]): Promise<void> {
    await it.answers.all(positions)
    const scene = new Scene(it.connection.brokers)
    await stableOffsets(scene.cluster, it.name, it.topics.input, [0, 1], AbortSignal.timeout(10_000))
    await scene.close()
  }

  test('halted in the middle of transactions: the process stays, and goes on without loss', async () => {
    const it = await deploy({ ...stack, brokers: kafka.brokers })
    const processor = it.start()
    await processor.untilReady()
    const traffic = startTraffic(it, BOTH, 5)
    await traffic.sees('execute confidence.sufficient')
    const pid = kafka.pids.get(1)!
    process.kill(pid, 'SIGSTOP')
    await until('/readyz answers 503', async () => (await processor.health()).status === 503, 20_000)
    process.kill(pid, 'SIGCONT')
    await traffic.sees('execute confidence.sufficient', { action: 'item.flag' })
    expect((await processor.health()).status).toBe(200)
    await expectComplete(it, await traffic.stop())
    await endInOrder(processor)
    await it.close()
  })

  test('a transaction without an end that holds the offsets: /readyz and the log name it, and what to do', async () => {
    const it = await deploy(stack)
    const before = it.start()
    await before.untilReady()
    await settle(it, await it.send(many(4)))
    await endInOrder(before)
    const scene = new Scene(stack.brokers)
    const end = await holdOffsets(scene, it)
    const processor = it.start()
    await until('it says what it waits for', async () => (await detail(processor)).includes('has not ended'))
    expect(await detail(processor)).toContain('kafka-transactions.sh')
    expect(await processor.health()).toMatchObject({ status: 503, parts: { kafka: { state: 'missing' } } })
    expect(processor.log().some(({ level, message }) => level === 'warn' && message.includes('has not ended'))).toBe(
      true,
    )
    await end()
    await processor.untilReady()
    const [after] = await it.send([event()])
    await expectComplete(it, [after!])
    await endInOrder(processor)
    await scene.close()
    await it.close()
  })

  const detail = async (processor: ProcessorProcess): Promise<string> =>
    (await processor.health()).parts['kafka']?.detail ?? ''

  /** Somebody's transaction that commits offsets of the group and stays open. Resolves to what aborts it. */
  async function holdOffsets({ cluster }: Scene, it: Deployment): Promise<() => Promise<unknown>> {
    const id = `somebody-${it.name}`
    const send = async <R>(request: Request<R>): Promise<R> =>
      cluster.send(await cluster.coordinator('transaction', id), 'transaction', request)
    const fence = () =>
      until('the transactional id is ours', async () => {
        const { code, producer } = await send(initProducerId(id, 60_000, NEWCOMER)).catch(() => ({
          code: -1,
          producer: NEWCOMER,
        }))
        return code === 0 && producer
      })
    const producer = await fence()
    expect((await send(addOffsetsToTxn(id, producer, it.name))).code).toBe(0)
    const nobody = { group: it.name, member: '', instance: null, generation: -1 }
    const commit = txnOffsetCommit(id, producer, nobody, it.topics.input, new Map([[0, 0]]))
    const answer = await cluster.send(await cluster.coordinator('group', it.name), 'transaction', commit)
    expect(answer.map(({ code }) => code)).toEqual([0])
    return fence
  }
})
