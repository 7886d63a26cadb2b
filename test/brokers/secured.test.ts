import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KafkaConnection } from '../../src/kafka/connection.ts'
import { openDecisionLog } from '../../src/kafka/decision-log.ts'
import { messageOf } from '../../src/kafka/errors.ts'
import { followTopic } from '../../src/kafka/follow.ts'
import { readGroup } from '../../src/kafka/group-reader.ts'
import { LogLookup } from '../../src/kafka/lookup.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { ensureTopics, verifyTopics } from '../../src/kafka/topics.ts'
import type { TopicNames } from '../../src/kafka/topics.ts'
import { eventually, nextOffsets, numbered, plain, QUICK } from './support/kafka-scene.ts'
import { startSecured } from './support/secured-kafka.ts'
import type { Right, SecuredKafka } from './support/secured-kafka.ts'

const GROUP = 'sluice'
const names: TopicNames = {
  input: 'model.outputs',
  execute: 'decisions.execute',
  review: 'decisions.review',
  reject: 'decisions.reject',
  deadLetters: 'model.outputs.dlq',
  context: 'decisions.context',
  control: 'decisions.control',
  policies: 'decisions.policies',
  outcomes: 'decisions.outcomes',
}

const topic = (name: string, to: Right['to']): Right => ({ on: 'topic', name, to })
const group = (name: string): Right => ({ on: 'group', name, to: 'read' })

/** All that each needs; schemas/README.md has the same lists in words. Read and Write bring Describe with them. */
const RIGHTS = {
  processor: [
    topic(names.input, 'read'),
    topic(names.context, 'read'),
    topic(names.control, 'read'),
    topic(names.execute, 'write'),
    topic(names.review, 'write'),
    topic(names.reject, 'write'),
    topic(names.deadLetters, 'write'),
    topic(names.policies, 'write'),
    group(GROUP),
    { on: 'transactionalId', name: `${GROUP}/`, prefix: true, to: 'write' },
  ],
  producer: [topic(names.input, 'write')],
  executor: [topic(names.execute, 'read'), topic(names.outcomes, 'write'), group('shop-executor')],
  explainer: [
    topic(names.input, 'read'),
    topic(names.execute, 'read'),
    topic(names.review, 'read'),
    topic(names.reject, 'read'),
    topic(names.policies, 'read'),
  ],
  creator: [
    { on: 'topic', name: 'made.', prefix: true, to: 'create' },
    { on: 'topic', name: 'made.', prefix: true, to: 'describe' },
    { on: 'topic', name: 'made.', prefix: true, to: 'describeConfigs' },
  ],
} as const satisfies Record<string, readonly Right[]>

type Role = keyof typeof RIGHTS
const ROLES = Object.keys(RIGHTS) as readonly Role[]

/** Each role once with all its rights, and once without each of them. */
const cases = ROLES.flatMap((role) =>
  RIGHTS[role].map((missing: Right, index) => ({
    role,
    user: `${role}_without_${index}`,
    missing,
    title: `${role} without ${missing.to} on ${missing.on} ${missing.name} is refused`,
  })),
)

/** A topic may still be seen, so that it is the reading or writing that is refused. */
const lesser = (right: Right): readonly Right[] =>
  right.on === 'topic' && (right.to === 'read' || right.to === 'write') ? [{ ...right, to: 'describe' }] : []

let kafka: SecuredKafka

beforeAll(async () => {
  kafka = await startSecured([...ROLES, ...cases.map(({ user }) => user), 'nobody'])
  await ensureTopics(plain(kafka.scene.brokers), { names, partitions: 2, replicas: null, maxVerdictBytes: 1_000_000 })
  const whole = ROLES.flatMap((role) => RIGHTS[role].map((it: Right) => ({ ...it, user: role })))
  const partial = cases.flatMap(({ role, user, missing }) =>
    RIGHTS[role].flatMap((it: Right) => (it === missing ? lesser(it) : [it])).map((it) => ({ ...it, user })),
  )
  await kafka.grant([...whole, ...partial])
  await kafka.scene.put(names.input, 0, numbered(20))
  const others = [names.execute, names.review, names.reject, names.policies, names.control, names.context]
  for (const each of others) await kafka.scene.put(each, 0, [{ key: Buffer.from('k'), value: 'v' }])
})

afterAll(() => kafka?.stop())

const toSend = (to: string) => ({
  topic: to,
  partition: 0,
  key: Buffer.from('k'),
  value: Buffer.from('v'),
  timestamp: Date.now(),
  headers: [],
})

/** Everything a role does, once; rejects with why it could not. Each process has its slot. */
const jobs: Readonly<Record<Role, (connection: KafkaConnection, user: string) => Promise<void>>> = {
  processor: async (connection, user) => {
    await verifyTopics(connection, names)
    for (const read of [names.control, names.context]) await followOnce(connection, read)
    await decideOnce(connection, user)
  },
  producer: (connection) => sendOnce(connection, names.input),
  executor: async (connection) => {
    await kafka.scene.put(names.execute, 0, ['verdict'])
    const stop = new AbortController()
    const handle = async (): Promise<void> => {
      await sendOnce(connection, names.outcomes)
      stop.abort()
    }
    let refusal: unknown = null
    const onTrouble = (error: unknown, record: unknown): void => {
      if (record === null) return
      refusal = error
      stop.abort()
    }
    const times = { heartbeatMs: 100, sessionTimeoutMs: 1500 }
    const options = { group: 'shop-executor', topics: [names.execute], handle, onTrouble, times }
    await readGroup(connection, { ...options, signal: stop.signal })
    if (refusal !== null) throw refusal
  },
  explainer: async (connection) => {
    const lookup = new LogLookup(connection)
    try {
      await lookup.read({ topic: names.input, partition: 0, offset: 3 })
      const verdicts = [names.execute, names.review, names.reject]
      await lookup.find(
        verdicts.map((it) => ({ topic: it, partition: 0, since: null })),
        () => false,
      )
      await lookup.all(names.policies)
    } finally {
      lookup.close()
    }
  },
  creator: async (connection, user) => {
    const made = Object.fromEntries(Object.entries(names).map(([part, name]) => [part, `made.${user}.${name}`]))
    await ensureTopics(connection, { names: made as TopicNames, partitions: 1, replicas: 1, maxVerdictBytes: 1_000 })
  },
}

async function sendOnce(connection: KafkaConnection, to: string): Promise<void> {
  const producer = new Producer(connection, { deadlineMs: 5_000 })
  try {
    await producer.send([toSend(to)])
  } finally {
    await producer.close()
  }
}

async function followOnce(connection: KafkaConnection, from: string): Promise<void> {
  const stop = new AbortController()
  const following = followTopic(connection, from, { signal: stop.signal })
  await following.caughtUp
  stop.abort()
  await following.ended
}

/** One transaction over all outputs. What the log says in the meantime is the reason when it cannot go on. */
async function decideOnce(connection: KafkaConnection, slot: string): Promise<void> {
  const said: string[] = []
  const onStatus = ({ text }: { readonly text: string }): void => void said.push(text)
  const log = openDecisionLog({ ...QUICK, connection, group: GROUP, slot, input: names.input, onStatus })
  try {
    const assignment = await log.acquire(AbortSignal.timeout(6_000))
    const batches = await log.poll(assignment, 1, 3_000)
    if (batches.length === 0) throw new Error('nothing polled')
    const outputs = ['execute', 'review', 'reject', 'deadLetters', 'policies'] as const
    const records = outputs.map((it) => toSend(names[it]))
    const result = await log.commit(records, nextOffsets(batches), assignment)
    if (result.kind === 'discarded') throw new Error(result.reason)
  } catch (error) {
    throw new Error(`${messageOf(error)}; ${said.join('; ')}`, { cause: error })
  } finally {
    await log.close()
  }
}

describe('over TLS, logged in, with no right too many', () => {
  test.each(ROLES)('%s can do its work', async (role) => {
    await eventually(() => jobs[role](kafka.as(role), role), 20_000)
  })

  test.each(cases.map((it) => [it.title, it] as const))('%s', async (_, { role, user }) => {
    const job = eventually(() => jobs[role](kafka.as(user), user), 0)
    await expect(job).rejects.toThrow('AUTHORIZATION_FAILED')
  })
})

describe('a login', () => {
  test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('by %s is good for all we do', async (mechanism) => {
    await eventually(() => jobs.processor(kafka.as('processor', mechanism), mechanism), 20_000)
  })

  test('with a wrong password is refused, and says so', async () => {
    const connection = kafka.as('producer')
    const sasl = { mechanism: 'scram-sha-512', username: 'producer', password: 'wrong' } as const
    await expect(verifyTopics({ ...connection, sasl }, names)).rejects.toMatchObject({ kind: 'login' })
    await expect(sendOnce({ ...connection, sasl }, names.input)).rejects.toMatchObject({
      name: 'NotSent',
      kind: 'refused',
    })
  })

  test('to a broker whose certificate is not trusted is not attempted', async () => {
    const connection = { ...kafka.as('processor'), ssl: {} }
    await expect(verifyTopics(connection, names)).rejects.toThrow(/self-signed certificate|unable to verify/)
  })

  test('of a user without any right sees no topic', async () => {
    await expect(verifyTopics(kafka.as('nobody'), names)).rejects.toThrow('may not be seen')
  })
})
