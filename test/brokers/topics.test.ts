import { afterAll, describe, expect, inject, test } from 'vitest'
import { ensureTopics, TopicsUnfit, verifyTopics } from '../../src/kafka/topics.ts'
import type { TopicNames } from '../../src/kafka/topics.ts'
import { describeTopic } from '../../src/kafka/wire/messages/topics.ts'
import { plain, Scene } from './support/kafka-scene.ts'

const { brokers } = inject('stack')
const scene = new Scene(brokers)
const connection = plain(brokers)

afterAll(() => scene.close())

function names(): TopicNames {
  const of = (part: string): string => scene.unique(`topics-${part}`)
  return {
    input: of('input'),
    execute: of('execute'),
    review: of('review'),
    reject: of('reject'),
    deadLetters: of('dlq'),
    context: of('context'),
    control: of('control'),
    policies: of('policies'),
    outcomes: of('outcomes'),
  }
}

async function setting(topic: string, name: string): Promise<string | undefined> {
  const { values } = await scene.cluster.sendAny(describeTopic(topic, [name]))
  return values.get(name)
}

const plan = (topics: TopicNames, partitions: number) => ({
  names: topics,
  partitions,
  replicas: null,
  maxVerdictBytes: 2_000_000,
})

describe('topics that are missing', () => {
  test('are created so that verdicts have room beside their events, and stay as they are afterwards', async () => {
    const topics = names()
    const made = await ensureTopics(connection, plan(topics, 5))
    expect(new Map(made.map((it) => [it.topic, it.partitions]))).toEqual(
      new Map([
        [topics.input, 5],
        [topics.execute, 5],
        [topics.review, 5],
        [topics.reject, 5],
        [topics.deadLetters, 5],
        [topics.outcomes, 5],
        [topics.context, 5],
        [topics.control, 1],
        [topics.policies, 1],
      ]),
    )
    expect(made.every((it) => it.created)).toBe(true)
    expect(await verifyTopics(connection, topics)).toEqual({ partitions: 5 })
    const again = await ensureTopics(connection, plan(topics, 9))
    expect(again.some((it) => it.created)).toBe(false)
    expect(await verifyTopics(connection, topics)).toEqual({ partitions: 5 })
  })

  test('follow the partitions of an input that is there already', async () => {
    const topics = { ...names(), input: await scene.topic(7) }
    await ensureTopics(connection, plan(topics, 3))
    expect(await verifyTopics(connection, topics)).toEqual({ partitions: 7 })
  })

  test('keep what is current where only that matters, and take larger records where they are wrapped', async () => {
    const topics = names()
    await ensureTopics(connection, plan(topics, 1))
    for (const topic of [topics.context, topics.control, topics.policies]) {
      expect(await setting(topic, 'cleanup.policy')).toBe('compact')
    }
    expect(await setting(topics.execute, 'cleanup.policy')).toBe('delete')
    expect(await setting(topics.outcomes, 'message.timestamp.type')).toBe('LogAppendTime')
    const input = Number(await setting(topics.input, 'max.message.bytes'))
    expect(Number(await setting(topics.deadLetters, 'max.message.bytes'))).toBeGreaterThan(input)
    expect(Number(await setting(topics.review, 'max.message.bytes'))).toBeGreaterThan(2_000_000)
  })
})

describe('a start is refused', () => {
  const problemsOf = async (topics: TopicNames): Promise<readonly string[]> => {
    const refusal: unknown = await verifyTopics(connection, topics).catch((error: unknown) => error)
    if (!(refusal instanceof TopicsUnfit)) throw new Error(`not refused: ${JSON.stringify(refusal)}`)
    return refusal.problems
  }

  test('by every topic that is missing, with the command that creates it', async () => {
    const topics = names()
    expect(await problemsOf(topics)).toEqual(
      ['input', 'execute', 'review', 'reject', 'deadLetters', 'context', 'control', 'policies'].map(
        (part) => `topic ${topics[part as keyof TopicNames]} does not exist: \`sluice setup\` creates it`,
      ),
    )
  })

  test('by an output with fewer partitions than the input, with the command that grows it', async () => {
    const topics = {
      ...names(),
      input: await scene.topic(4),
      review: await scene.topic(3),
      reject: await scene.topic(6),
    }
    await ensureTopics(connection, plan(topics, 4))
    const [problem, ...others] = await problemsOf(topics)
    expect(others).toEqual([])
    expect(problem).toContain(`topic ${topics.review} has 3 partitions and ${topics.input} has 4`)
    expect(problem).toContain(`--alter --topic ${topics.review} --partitions 4`)
  })

  test('not by a cluster that cannot be reached, which is another matter', async () => {
    const nowhere = plain(['127.0.0.1:1'])
    await expect(verifyTopics(nowhere, names())).rejects.toThrow('127.0.0.1:1')
    await expect(verifyTopics(nowhere, names())).rejects.not.toBeInstanceOf(TopicsUnfit)
  })
})
