import { readFileSync } from 'node:fs'
import { Kafka, KafkaJSError, logLevel } from 'kafkajs'
import type { Admin } from 'kafkajs'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import { bundled } from '../../src/avro/schemas.ts'
import { headerOf, readByLibrdkafka } from '../kill-loop/kcat.ts'
import { endInOrder, endProcesses } from './support/cli.ts'
import { deploy, event, policyText } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import { until } from './support/until.ts'

/** A backlog far larger than what is in memory at a time: 100,000 events, or as many as SLUICE_TEST_BACKLOG says. */
const EVENTS = Number(process.env['SLUICE_TEST_BACKLOG'] ?? 100_000)
const PARTITIONS = 4
const CHUNK = 4_000
/** Longer than a backlog takes, so that Redis remembers every event of it. */
const WINDOW = '2h'
const RESIDENT_MAX = 512 * 2 ** 20
/** Far below what a loaded machine does. */
const EVENTS_A_SECOND = 2_000
const WITHIN_MS = 60_000 + (EVENTS / EVENTS_A_SECOND) * 1000

const stack = inject('stack')
let it: Deployment
let admin: Admin

beforeAll(async () => {
  admin = new Kafka({ brokers: [...stack.brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  it = await deploy(stack, { partitions: PARTITIONS, policy: policyText({ window: WINDOW }) })
})
afterEach(endProcesses)
afterAll(async () => {
  await admin.disconnect()
  await it.close()
})

/** How much the group has committed; null where that cannot be had right now, as before the group has a coordinator. */
async function committed(): Promise<number | null> {
  try {
    const [topic] = await admin.fetchOffsets({ groupId: it.name, topics: [it.topics.input] })
    return topic!.partitions.reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0)
  } catch (error) {
    if (error instanceof KafkaJSError && error.retriable) return null
    throw error
  }
}

const residentMax = (pid: number): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024

async function preload(): Promise<void> {
  const { topics, records, producer } = it
  const first = await records.encode('ModelOutput', topics.input, event())
  const head = first.subarray(0, 5)
  const { type } = bundled('ModelOutput')
  for (let sent = 0; sent < EVENTS; sent += CHUNK) {
    const chunk = Array.from({ length: Math.min(CHUNK, EVENTS - sent) }, (_, at) => ({
      topic: topics.input,
      partition: (sent + at) % PARTITIONS,
      key: Buffer.from(`k${at % 64}`),
      value: Buffer.concat([head, type.toBuffer(event())]),
      timestamp: Date.now(),
      headers: [],
    }))
    await producer.send(chunk)
  }
}

/** How often each input is answered, by partition and offset, as librdkafka reads it. */
async function answers(): Promise<readonly Uint8Array[]> {
  const seen = Array.from({ length: PARTITIONS }, () => new Uint8Array(Math.ceil(EVENTS / PARTITIONS)))
  const { execute, review, reject } = it.topics
  for (const topic of [execute, review, reject])
    await readByLibrdkafka(stack.brokers, topic, ({ headers }) => {
      const [, partition, offset] = /:(\d+):(\d+)$/.exec(headerOf(headers, 'ce_id')) ?? []
      const counts = seen[Number(partition)]
      if (counts === undefined || !(Number(offset) < counts.length)) throw new Error(`an answer to nothing: ${headers}`)
      counts[Number(offset)]!++
    })
  return seen
}

test(
  'a backlog is worked off by processes of which one is killed: each event is answered once, in bounded memory',
  async () => {
    await preload()
    const [one, two] = ['one', 'two'].map((slot) => it.start({ SLUICE_SLOT: slot }))
    await until('a tenth is decided', async () => ((await committed()) ?? 0) > EVENTS / 10, WITHIN_MS)
    await two!.stop('SIGKILL')
    const three = it.start({ SLUICE_SLOT: 'two' })
    const began = performance.now()
    await until('nothing is left', async () => (await committed()) === EVENTS, WITHIN_MS)
    const seconds = (performance.now() - began) / 1000
    const resident = [one, three].map((it) => residentMax(it!.pid))
    const counts = await answers()
    const answered = counts.map((all) => [0, 1, 2].map((times) => all.filter((it) => it === times).length))
    console.log(
      `${EVENTS} events, nine tenths of them in ${seconds.toFixed(1)} s; ` +
        `at most ${resident.map((it) => (it / 2 ** 20).toFixed(0)).join(' and ')} MB resident`,
    )
    expect(answered).toEqual(counts.map((all) => [0, all.length, 0]))
    expect(Math.max(...resident)).toBeLessThan(RESIDENT_MAX)
    for (const process of [one, three]) await endInOrder(process!)
  },
  600_000 + WITHIN_MS,
)
