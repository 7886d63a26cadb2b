import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { KafkaConnection } from '../../src/kafka/connection.ts'
import { openDecisionLog } from '../../src/kafka/decision-log.ts'
import type { KafkaDecisionLog } from '../../src/kafka/decision-log.ts'
import {
  eventually,
  nextOffsets,
  numbered,
  passThrough,
  pollSome,
  pump,
  QUICK,
  statuses,
} from './support/kafka-scene.ts'
import { startSecured } from './support/secured-kafka.ts'
import type { Grant, SecuredKafka } from './support/secured-kafka.ts'

const USER = 'app'
let kafka: SecuredKafka
const open: KafkaDecisionLog[] = []
const never = new AbortController().signal

beforeAll(async () => {
  kafka = await startSecured([USER])
})

afterEach(async () => {
  await Promise.all(open.splice(0).map((log) => log.close()))
})

afterAll(() => kafka?.stop())

type Names = { readonly input: string; readonly to: string; readonly group: string }

/** The least rights a processor needs; Read and Write bring Describe with them. */
const RIGHTS = {
  'read the input': ({ input }: Names): Grant => ({ user: USER, on: 'topic', name: input, to: 'read' }),
  'write the output': ({ to }: Names): Grant => ({ user: USER, on: 'topic', name: to, to: 'write' }),
  'read in the group': ({ group }: Names): Grant => ({ user: USER, on: 'group', name: group, to: 'read' }),
  'write transactions': ({ group }: Names): Grant => ({
    user: USER,
    on: 'transactionalId',
    name: `${group}/`,
    prefix: true,
    to: 'write',
  }),
}
type Right = keyof typeof RIGHTS
const ALL = Object.keys(RIGHTS) as readonly Right[]

const grant = (names: Names, rights: readonly Right[]): Promise<void> =>
  kafka.grant(rights.map((right) => RIGHTS[right](names)))

async function topics(): Promise<Names> {
  const [input, to] = [await kafka.scene.topic(2), await kafka.scene.topic(2)]
  for (const partition of [0, 1]) await kafka.scene.put(input, partition, numbered(20, `p${partition}-`))
  return { input, to, group: kafka.scene.unique('g') }
}

function secured({ input, group }: Names, slot: string, connection: KafkaConnection = kafka.as(USER)) {
  const { list, onStatus } = statuses()
  const log = openDecisionLog({ ...QUICK, input, group, slot, onStatus, connection })
  open.push(log)
  return { log, list }
}

describe('through TLS, SASL and an authorizer', () => {
  test('with the least rights it does all of its work, the transaction of a dead slot included', async () => {
    const names = await topics()
    await grant(names, ALL)
    const dead = await kafka.scene.writer(`${names.group}/dead`)
    await dead.write(names.to, 0, ['never ended'])
    const { log, list } = secured(names, 'living')
    expect(await pump(log, names.to, 40, 10)).toEqual([])
    await eventually(async () => expect(list.map(({ kind }) => kind)).toContain('ended'))
    expect((await kafka.scene.visible(names.to)).length).toBe(40)
  })

  test.for(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('with %s', async (mechanism) => {
    const names = await topics()
    await grant(names, ALL)
    const { log } = secured(names, 's1', kafka.as(USER, mechanism))
    expect(await pump(log, names.to, 40, 10)).toEqual([])
    expect((await kafka.scene.visible(names.to)).length).toBe(40)
  })

  test.for<[Right, string]>([
    ['read the input', 'TOPIC_AUTHORIZATION_FAILED'],
    ['read in the group', 'GROUP_AUTHORIZATION_FAILED'],
    ['write transactions', 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'],
  ])(
    'without the right to %s it waits, says which is missing, and goes on when it is granted',
    async ([missing, code]) => {
      const names = await topics()
      await grant(
        names,
        ALL.filter((right) => right !== missing),
      )
      const { log, list } = secured(names, 's1')
      const acquiring = log.acquire(never)
      await eventually(async () => expect(list.map((it) => (it.kind === 'waiting' ? it.code : ''))).toContain(code))
      expect(list.find((it) => it.kind === 'waiting' && it.code === code)?.text).toContain('grant this user')
      await grant(names, [missing])
      expect([...(await acquiring).positions.keys()]).toEqual([0, 1])
    },
  )

  test('without the right to write the output nothing is committed, and it says so', async () => {
    const names = await topics()
    await grant(
      names,
      ALL.filter((right) => right !== 'write the output'),
    )
    const { log } = secured(names, 's1')
    const assignment = await log.acquire(never)
    const batches = await pollSome(log, assignment, 10)
    const result = await log.commit(passThrough(batches, names.to), nextOffsets(batches), assignment)
    expect(result).toMatchObject({ kind: 'discarded', code: 'TOPIC_AUTHORIZATION_FAILED' })
    await grant(names, ['write the output'])
    await pump(log, names.to, 40, 10)
    expect((await kafka.scene.visible(names.to)).length).toBe(40)
  })

  test('a wrong password is said, and a stranger’s certificate refused', async () => {
    const names = await topics()
    const said = async (connection: KafkaConnection, what: RegExp): Promise<void> => {
      const { log, list } = secured(names, 's1', connection)
      const acquiring = log.acquire(never).catch((error: unknown) => error)
      await eventually(async () => expect(list.map(({ text }) => text).join()).toMatch(what))
      await log.close()
      expect(await acquiring).toBeInstanceOf(Error)
    }
    const right = kafka.as(USER, 'plain')
    await said({ ...right, sasl: { mechanism: 'plain', username: USER, password: 'wrong' } }, /Authentication failed/)
    await said({ ...right, ssl: {} }, /self-signed certificate/)
  })
})
