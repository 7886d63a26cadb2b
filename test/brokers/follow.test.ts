import { afterAll, beforeAll, expect, test } from 'vitest'
import { startKafka } from '../../deploy/local/kafka.ts'
import type { LocalKafka } from '../../deploy/local/kafka.ts'
import { followTopic } from '../../src/kafka/follow.ts'
import { readGroup } from '../../src/kafka/group-reader.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { openProxy } from './support/broker-proxy.ts'
import { eventually, numbered, plain, Scene } from './support/kafka-scene.ts'

let kafka: LocalKafka
let scene: Scene

beforeAll(async () => {
  kafka = await startKafka()
  scene = new Scene(kafka.brokers)
})

afterAll(async () => {
  await scene?.close()
  await kafka?.stop()
})

const toSend = (topic: string, value: string) => ({
  topic,
  partition: null,
  key: Buffer.from(value),
  value: Buffer.from(value),
  timestamp: Date.now(),
  headers: [],
})

test('a broker that is gone for a while costs followers, groups and producers nothing', async () => {
  const topic = await scene.topic(3)
  await scene.put(topic, 0, ['early'])
  const followed: string[] = []
  const grouped: string[] = []
  const stop = new AbortController()
  const connection = plain(kafka.brokers)
  const following = followTopic(connection, topic, {
    onRecord: ({ value }) => void followed.push(String(value)),
    signal: stop.signal,
  })
  const reading = readGroup(connection, {
    group: scene.unique('g'),
    topics: [topic],
    handle: ({ value }) => void grouped.push(String(value)),
    signal: stop.signal,
    times: { heartbeatMs: 100 },
  })
  await following.caughtUp
  await eventually(async () => expect(grouped).toEqual(['early']))
  const producer = new Producer(connection, { requestTimeoutMs: 1000 })
  const before = await producer.send(numbered(30, 'before-').map((value) => toSend(topic, value)))

  await kafka.kill(1)
  const during = producer.send(numbered(30, 'during-').map((value) => toSend(topic, value)))
  await kafka.restart(1)

  expect(await during).toHaveLength(30)
  const expected = new Set(['early', ...numbered(30, 'before-'), ...numbered(30, 'during-')])
  await eventually(async () => {
    expect(new Set(followed)).toEqual(expected)
    expect(new Set(grouped)).toEqual(expected)
  }, 30_000)
  expect(followed.filter((it) => it.startsWith('before-'))).toHaveLength(before.length)
  stop.abort()
  await Promise.all([following.ended, reading])
  await producer.close()
})

test('following begins when Kafka comes, however late', async () => {
  const topic = await scene.topic(1)
  await scene.put(topic, 0, ['there'])
  await kafka.kill(1)
  const stop = new AbortController()
  const seen: string[] = []
  const troubles: unknown[] = []
  const following = followTopic(plain(kafka.brokers), topic, {
    onRecord: ({ value }) => void seen.push(String(value)),
    onTrouble: (error) => void troubles.push(error),
    signal: stop.signal,
  })
  await eventually(async () => expect(troubles.length).toBeGreaterThan(1))
  await kafka.restart(1)
  await following.caughtUp
  expect(seen).toEqual(['there'])
  stop.abort()
  await following.ended
})

test('what was there when asked, and only when asked, has been given once that is said', async () => {
  const topic = await scene.topic(2)
  const stop = new AbortController()
  const seen: string[] = []
  const following = followTopic(plain(kafka.brokers), topic, {
    onRecord: ({ value }) => void seen.push(String(value)),
    signal: stop.signal,
  })
  await following.upToNow()
  expect(seen).toEqual([])
  for (const round of ['a', 'b', 'c']) {
    await scene.put(topic, 0, [`${round}0`])
    await scene.put(topic, 1, [`${round}1`])
    await following.upToNow()
    expect(seen).toEqual(expect.arrayContaining([`${round}0`, `${round}1`]))
  }
  stop.abort()
  await following.ended
})

test.each(['before', 'after', 'swallow'] as const)(
  'a producer whose request is cut (%s its effect) loses nothing and keeps the order',
  async (fault) => {
    const topic = await scene.topic(1)
    const proxy = await openProxy(kafka.brokers)
    const producer = new Producer(plain(proxy.brokers), { requestTimeoutMs: 500, connectTimeoutMs: 500 })
    const values = numbered(40, 'v')
    await producer.send(values.slice(0, 10).map((value) => toSend(topic, value)))
    const hits = [proxy.fail('Produce', fault), proxy.fail('Produce', fault)]
    const middle = producer.send(values.slice(10, 20).map((value) => toSend(topic, value)))
    const rest = producer.send(values.slice(20).map((value) => toSend(topic, value)))
    const placed = [...(await middle), ...(await rest)]
    await Promise.all(hits)
    await producer.close()
    await proxy.close()

    const seen = await scene.visible(topic)
    for (const [index, { offset }] of placed.entries()) {
      expect(seen.find((it) => it.offset === offset)?.value).toBe(values[index + 10])
    }
    const firsts = [...new Set(seen.map((it) => it.value))]
    expect(firsts).toEqual(values)
    if (fault === 'before') expect(seen).toHaveLength(values.length)
  },
)

test('a producer says at its deadline what it does not know, and goes on when Kafka is back', async () => {
  const topic = await scene.topic(1)
  const producer = new Producer(plain(kafka.brokers), { deadlineMs: 800, requestTimeoutMs: 500 })
  await producer.send([toSend(topic, 'first')])
  await kafka.kill(1)
  const late = producer.send([toSend(topic, 'second')])
  await expect(late).rejects.toMatchObject({ name: 'NotSent', kind: 'expired' })
  await kafka.restart(1)
  expect(await eventually(() => producer.send([toSend(topic, 'third')]))).toHaveLength(1)
  await producer.close()
  await expect(producer.send([toSend(topic, 'fourth')])).rejects.toMatchObject({ name: 'NotSent', kind: 'closed' })
})

test('a producer refuses at once what the broker will never take', async () => {
  const topic = await scene.topic(1)
  const producer = new Producer(plain(kafka.brokers))
  const large = { ...toSend(topic, 'k'), value: Buffer.alloc(2_000_000) }
  const [ok, refused, ok2] = await Promise.allSettled([
    producer.send([toSend(topic, 'small')]),
    producer.send([large]),
    producer.send([toSend(topic, 'small too')]),
  ])
  expect([ok?.status, refused?.status, ok2?.status]).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(refused).toMatchObject({ reason: { name: 'NotSent', kind: 'refused' } })
  await producer.close()
})
