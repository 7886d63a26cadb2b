import { rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { startKafka } from '../../deploy/local/kafka.ts'
import { LogLookup } from '../../src/kafka/lookup.ts'
import { Scene } from '../brokers/support/kafka-scene.ts'
import { endInOrder, endProcesses, runCli } from './support/cli.ts'
import { deploy, event, many, policyText } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import type { ProcessorProcess } from './support/processor.ts'
import { startTraffic } from './support/traffic.ts'
import { until } from './support/until.ts'

/** Starting, stopping, sharing and changing the rules of processes that run. */

const stack = inject('stack')
let it: Deployment

beforeAll(async () => {
  it = await deploy(stack, { partitions: 4 })
})
afterEach(endProcesses)
afterAll(() => it.close())

async function expectComplete(positions: readonly string[]): Promise<void> {
  await it.answers.all(positions)
  expect(await it.answers.audit()).toMatchObject({ lost: [], doubled: [] })
}

/** How many events of the process have become visible. */
const decidedBy = (processor: ProcessorProcess): Promise<number> => processor.metric('decision_count_total')

describe('handing over', () => {
  test('SIGTERM in the middle of traffic drains, ends with 0, and a waiting process takes over at once', async () => {
    const first = it.start({ SLUICE_SLOT: 'one' })
    await first.untilReady()
    const traffic = startTraffic(it, [{}], 5)
    await traffic.sees('execute confidence.sufficient')
    const second = it.start({ SLUICE_SLOT: 'two' })
    await until('both decide', async () => (await decidedBy(second)) > 0, 20_000)
    const before = await decidedBy(first)
    expect(before).toBeGreaterThan(0)
    const ended = await first.stop('SIGTERM')
    expect(ended.code).toBe(0)
    expect(ended.ms).toBeLessThan(5000)
    expect(first.log().at(-1)?.message).toBe('drained')
    expect(first.stderr()).toBe('')
    const gap = await gapAfter(traffic)
    console.log(`SIGTERM to exit ${ended.ms.toFixed(0)} ms; then all partitions decided within ${gap.toFixed(0)} ms`)
    expect(gap).toBeLessThan(3000)
    await expectComplete(await traffic.stop())
    await endInOrder(second)
  })

  test('kill -9 in the middle of traffic: a restart under the same slot goes on where it was', async () => {
    const first = it.start()
    await first.untilReady()
    const traffic = startTraffic(it, [{}], 5)
    await traffic.sees('execute confidence.sufficient')
    await first.stop('SIGKILL')
    const second = it.start()
    await second.untilReady()
    await traffic.sees('execute confidence.sufficient')
    await expectComplete(await traffic.stop())
    await endInOrder(second)
  })

  test('one of two is killed with -9: the other has all partitions after the session time-out', async () => {
    const first = it.start({ SLUICE_SLOT: 'one' })
    const second = it.start({ SLUICE_SLOT: 'two' })
    await Promise.all([first.untilReady(), second.untilReady()])
    const traffic = startTraffic(it, [{}], 10)
    await until('both decide', async () => Math.min(await decidedBy(first), await decidedBy(second)) > 0, 20_000)
    await first.stop('SIGKILL')
    const gap = await gapAfter(traffic)
    console.log(`after kill -9 of one of two, all partitions decided within ${gap.toFixed(0)} ms`)
    expect(gap).toBeLessThan(15_000)
    await expectComplete(await traffic.stop())
    await endInOrder(second)
  })

  test('two processes with one slot: one goes on, the other says why it ends', async () => {
    const first = it.start({ SLUICE_SLOT: 'same' })
    await first.untilReady()
    const traffic = startTraffic(it, [{}], 20)
    const second = it.start({ SLUICE_SLOT: 'same' })
    const loser = await Promise.race([first.ended.then(() => first), second.ended.then(() => second)])
    const winner = loser === first ? second : first
    expect((await loser.ended).code).toBe(1)
    expect(loser.stderr()).toMatch(/^sluice: another process has joined group \S+ with slot same .*SLUICE_SLOT.*\n$/)
    await winner.untilReady()
    await traffic.sees('execute confidence.sufficient')
    await expectComplete(await traffic.stop())
    expect(winner.hasEnded()).toBe(false)
    await endInOrder(winner)
  })

  test('a backlog is worked off by many processes that come and go', async () => {
    const backlog = await it.send(many(2000))
    const running = ['one', 'two', 'three'].map((slot) => it.start({ SLUICE_SLOT: slot, SLUICE_BATCH_RECORDS: '20' }))
    await until(
      'some are decided',
      () => backlog.filter((one) => it.answers.find(one) !== undefined).length > 200,
      20_000,
    )
    await endInOrder(running[0]!)
    await running[1]!.stop('SIGKILL')
    running.push(it.start({ SLUICE_SLOT: 'four', SLUICE_BATCH_RECORDS: '20' }))
    await it.answers.all(backlog, 40_000)
    await expectComplete(backlog)
    for (const one of running.slice(2)) await endInOrder(one)
  })
})

/** Milliseconds until an event sent from now on is decided in each partition. */
async function gapAfter(traffic: { readonly sent: () => readonly string[] }): Promise<number> {
  const began = performance.now()
  const from = traffic.sent().length
  const partitionOf = (position: string): string => position.split(':')[1]!
  const decided = () =>
    new Set(
      traffic
        .sent()
        .slice(from)
        .filter((one) => it.answers.find(one) !== undefined)
        .map(partitionOf),
    )
  await until('every partition is decided', () => decided().size === 4, 20_000)
  return performance.now() - began
}

describe('the policy file of a running process', () => {
  /** As an editor or a ConfigMap does. */
  async function replaceWith(text: string): Promise<void> {
    await writeFile(`${it.policyFile}.new`, text)
    await rename(`${it.policyFile}.new`, it.policyFile)
  }

  test('a good version is taken over whole, between two batches', async () => {
    const processor = it.start()
    await processor.untilReady()
    const traffic = startTraffic(it, [{ confidence: 0.7 }], 5)
    await traffic.sees('execute confidence.sufficient')
    await replaceWith(policyText({ version: 2, execute: 0.8 }))
    await traffic.sees('review confidence.below_execute')
    const positions = await traffic.stop()
    await expectComplete(positions)
    const verdicts = await Promise.all(positions.map((one) => it.answers.verdict(one)))
    for (const { policy, route } of verdicts) expect(route).toBe(policy.version === 1 ? 'execute' : 'review')
    expect(new Set(verdicts.map(({ policy }) => `${policy.version} ${policy.digest}`)).size).toBe(2)
    expect(await processor.metric('policy_reloads_total', { result: 'ok' })).toBe(1)
    expect(await processor.metric('policy_info', { version: '2' })).toBe(1)
    expect(await publishedPolicies()).toEqual(expect.arrayContaining(verdicts.map(({ policy }) => policy.digest)))
    await endInOrder(processor)
  })

  test('a bad one leaves the old in force, and the log and a metric say so', async () => {
    await replaceWith(policyText({ version: 3 }))
    const processor = it.start()
    await processor.untilReady()
    await replaceWith(policyText({ version: 4 }).replace('!context.seller.trusted', 'context.seller.nonsense > 1'))
    await until(
      'it is refused',
      async () => (await processor.metric('policy_reloads_total', { result: 'rejected' })) === 1,
    )
    const told = processor.log().find(({ level }) => level === 'error')
    expect(told?.message).toContain('the old one stays in force')
    expect(String(told?.['problem'])).toMatch(/policy\.yaml:\d+:\d+: .*nonsense/)
    const [at] = await it.send([event()])
    expect((await it.answers.verdict(at!)).policy.version).toBe(3)
    expect(await processor.health()).toMatchObject({ status: 200 })
    await replaceWith(policyText({ version: 5 }))
    await until(
      'the next good one is taken',
      async () => (await processor.metric('policy_info', { version: '5' })) === 1,
    )
    await endInOrder(processor)
  })

  test('a bad one at the start is refused, every mistake with its place', async () => {
    const file = `${it.folder}/bad.yaml`
    await writeFile(file, policyText().replace('undo: reversible', 'undo: perhaps').replace('max: 1000,', 'max: -1,'))
    const { code, stderr } = await runCli(['run'], it.env({ SLUICE_POLICY: file }))
    expect(code).toBe(1)
    expect(stderr).toMatch(/bad\.yaml:6:\d+: .*perhaps/)
    expect(stderr).toMatch(/bad\.yaml:\d+:\d+: .*max/)
    expect(stderr).not.toMatch(/\n {4}at /)
  })

  async function publishedPolicies(): Promise<readonly string[]> {
    const lookup = new LogLookup(it.connection)
    const records = await lookup.all(it.topics.policies)
    lookup.close()
    return records.map(({ key }) => key?.toString() ?? '')
  }
})

describe('a start that cannot succeed ends with 1 and says what to do', () => {
  const stackTrace = /\n\s+at \S+ \(/

  test('missing topics', async () => {
    const env = it.env({ TOPIC_INPUT: 'nowhere.outputs', TOPIC_CONTROL: 'nowhere.control' })
    const { code, stderr } = await runCli(['run'], env)
    expect(code).toBe(1)
    expect(stderr).toContain('topic nowhere.outputs does not exist')
    expect(stderr).toContain('topic nowhere.control does not exist')
    expect(stderr).toContain('sluice setup')
    expect(stderr).not.toMatch(stackTrace)
  })

  test('fewer partitions for verdicts than for events', async () => {
    const scene = new Scene(stack.brokers)
    const few = await scene.topic(1)
    await scene.close()
    const { code, stderr } = await runCli(['run'], it.env({ TOPIC_REVIEW: few }))
    expect(code).toBe(1)
    expect(stderr).toContain(`topic ${few} has 1 partitions and ${it.topics.input} has 4`)
    expect(stderr).toContain(`--alter --topic ${few} --partitions 4`)
    expect(stderr).not.toMatch(stackTrace)
  })

  test('a deployment name that another group uses', async () => {
    const first = it.start({ SLUICE_SLOT: 'one' })
    await first.untilReady()
    const { code, stderr } = await runCli(['run'], it.env({ KAFKA_GROUP_ID: 'another', SLUICE_SLOT: 'two' }))
    expect(code).toBe(1)
    expect(stderr).toContain(`belongs to group ${it.name} on topic ${it.topics.input}`)
    expect(stderr).toContain('set SLUICE_DEPLOYMENT to a name of its own')
    expect(stderr).not.toMatch(stackTrace)
    await endInOrder(first)
  })

  test('wrong settings, all at once', async () => {
    const wrong = {
      REDIS_URL: 'localhost:6379',
      KAFKA_BROKERS: 'broker',
      KAFKA_SESSION_TIMEOUT_MS: '1000',
      KAFKA_TRANSACTION_TIMEOUT_MS: '1000',
      SLUICE_HTTP_PORT: '99999',
      SLUICE_RELOAD_MS: 'x',
      SLUICE_SLOT: 'a b',
      SLUICE_DEPLOYMENT: '{}',
      OTEL_RESOURCE_ATTRIBUTES: 'team',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=secret,=x',
    }
    const { code, stderr } = await runCli(['run'], it.env(wrong))
    expect(code).toBe(1)
    expect(stderr).toContain(`the configuration has ${Object.keys(wrong).length} problems`)
    for (const name of Object.keys(wrong)) expect(stderr).toContain(`- ${name}: must be `)
    expect(stderr).not.toContain('secret')
    expect(stderr).not.toMatch(stackTrace)
  })

  test('nothing set', async () => {
    const { code, stderr } = await runCli(['run'])
    expect(code).toBe(1)
    for (const name of ['KAFKA_BROKERS', 'SCHEMA_REGISTRY_URL', 'REDIS_URL', 'SLUICE_POLICY'])
      expect(stderr).toContain(`${name} is not set`)
    expect(stderr).not.toMatch(stackTrace)
  })

  test('a policy file that is not there', async () => {
    const { code, stderr } = await runCli(['run'], it.env({ SLUICE_POLICY: '/nowhere/policy.yaml' }))
    expect(code).toBe(1)
    expect(stderr).toContain('/nowhere/policy.yaml')
    expect(stderr).not.toMatch(stackTrace)
  })

  test('a port that is taken', async () => {
    const other = createServer()
    await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening))
    const { port } = other.address() as AddressInfo
    const { code, stderr } = await runCli(['run'], it.env({ SLUICE_HTTP_PORT: String(port) }))
    other.close()
    expect(code).toBe(1)
    expect(stderr).toContain(`the port is taken; set SLUICE_HTTP_PORT`)
    expect(stderr).not.toMatch(stackTrace)
  })
})

test('Kafka unreachable at the start: it waits, alive and not ready, and goes on when Kafka comes', async () => {
  const port = await freePort()
  const processor = it.start({ KAFKA_BROKERS: `127.0.0.1:${port}` })
  await until('it says what it waits for', async () =>
    (await processor.health()).parts['kafka']?.detail.includes(`${port}`),
  )
  expect(await processor.health()).toMatchObject({ status: 503, ready: false, parts: { kafka: { state: 'missing' } } })
  expect((await processor.get('/livez')).status).toBe(200)
  expect((await processor.get('/startupz')).status).toBe(503)
  const kafka = await startKafka({ port })
  await until('it finds that topics are missing', () => processor.hasEnded(), 20_000)
  expect((await processor.ended).code).toBe(1)
  expect(processor.stderr()).toContain('sluice setup')
  await kafka.stop()
})

test('SIGTERM while it waits for Kafka ends it with 0', async () => {
  const processor = it.start({ KAFKA_BROKERS: `127.0.0.1:${await freePort()}` })
  await until('it waits', async () => (await processor.health()).parts['kafka']?.detail.includes('does not answer'))
  const ended = await processor.stop()
  expect(ended.code).toBe(0)
  expect(ended.ms).toBeLessThan(4000)
})

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((listening) => probe.listen(0, '127.0.0.1', listening))
  const { port } = probe.address() as AddressInfo
  await new Promise((closed) => probe.close(closed))
  return port
}

test('the settings a process runs with are shown, secrets hidden', async () => {
  const { code, stdout } = await runCli(['config'], it.env({ REDIS_URL: 'redis://user:secret@localhost:6379' }))
  expect(code).toBe(0)
  expect(stdout).toContain(it.topics.input)
  expect(stdout).not.toContain('secret@')
})
