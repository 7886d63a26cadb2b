import { afterEach, expect, test } from 'vitest'
import { createRecords, createWrite, MAX_RECORD_BYTES } from '../src/avro/records.ts'
import type { Registry } from '../src/avro/registry.ts'
import { schemaUnknown } from '../src/avro/schema-faults.ts'
import { bundled } from '../src/avro/schemas.ts'
import { createWriter } from '../src/avro/writer.ts'
import { decide } from '../src/decision/decide.ts'
import { NO_CALIBRATION } from '../src/decision/calibration.ts'
import { NO_CERTIFICATES } from '../src/decision/certificate.ts'
import { verdictHistory } from '../src/verdict-history.ts'
import { sampleEvent, sampleFacts, samplePolicy, sampleSource } from './decision/samples.ts'
import { KafkaTwin } from './twins/kafka/kafka-twin.ts'
import { connectTwin } from './twins/kafka/twin-connection.ts'

const VERDICT_ID = 2

/** Knows the verdict's schema under one id. */
const registry: Registry = {
  writers: (kind, _subjects, limitBytes) => {
    const writer = createWriter(kind, VERDICT_ID, { schema: bundled('Verdict').text, references: [] }, limitBytes)
    const find = (id: number) => (id === VERDICT_ID ? writer : schemaUnknown(id))
    return { find, resolve: (id) => Promise.resolve(find(id)) }
  },
  idOf: () => Promise.resolve(VERDICT_ID),
  trouble: () => null,
  close: () => Promise.resolve(),
}

function verdictBytes(payload: Buffer | null = null, schemaId = VERDICT_ID): Buffer {
  const received = { event: sampleEvent({ payload }), source: sampleSource() }
  const policy = samplePolicy()
  const verdict = decide(received, sampleFacts(received, policy), policy, NO_CALIBRATION, NO_CERTIFICATES)
  return createWrite('Verdict')(schemaId, verdict)
}

type Written = { readonly value: Buffer | null; readonly id?: string }

let timer: NodeJS.Timeout | undefined
afterEach(() => clearTimeout(timer))

/** What is read of a verdict topic in which lies what is `written`; `id`: what its header says it is the verdict on. */
async function read(...written: readonly Written[]) {
  const twin = new KafkaTwin({
    brokers: 1,
    topics: { 'model.outputs': 1, executed: 1 },
    now: () => performance.now(),
    random: () => 0.5,
  })
  const pump = (): void => {
    twin.advance()
    clearTimeout(timer)
    const due = twin.nextDue()
    if (due !== null) timer = setTimeout(pump, Math.max(0, due - performance.now()))
  }
  for (const { value, id } of written)
    twin.append('executed', 0, [
      { key: null, value, timestamp: 1_700_000_000_000, headers: id === undefined ? [] : [['ce_id', id]] },
    ])
  const unusable: string[] = []
  const history = verdictHistory({
    connection: {
      brokers: twin.addresses,
      clientId: 'reader',
      ssl: null,
      sasl: null,
      connect: connectTwin(twin, pump),
    },
    input: 'model.outputs',
    verdictTopics: ['executed'],
    records: createRecords(registry, MAX_RECORD_BYTES),
    onUnusable: (position, problem) => unusable.push(`${position} ${problem}`),
  })
  let verdicts = 0
  const accept = async (slice: { readonly verdicts: readonly unknown[] }): Promise<boolean> => {
    verdicts += slice.verdicts.length
    return true
  }
  const result = await history.read(0, new Map(), accept, new AbortController().signal)
  return { result, verdicts, unusable }
}

const ours = 'model.outputs:0:7'

test('what is no verdict of ours is passed over and told of', async () => {
  const { result, verdicts, unusable } = await read(
    { value: verdictBytes(), id: ours },
    { value: Buffer.from('a stranger’s') },
    { value: null },
    { value: Buffer.from([0, 0, 0, 0, 99, 1]), id: 'elsewhere:0:7' },
    { value: verdictBytes().subarray(0, 40), id: 'model.outputs.v2:0:7' },
    { value: verdictBytes(), id: ours },
  )
  expect([result, verdicts]).toEqual([{ kind: 'read' }, 2])
  expect(unusable.map((it) => it.split(' ')[0])).toEqual([1, 2, 3, 4].map((offset) => `executed:0:${offset}`))
})

test.each([
  ['that ends too soon', verdictBytes().subarray(0, -10), '6 bytes are announced'],
  ['of a schema that is not known (any more)', verdictBytes(null, 99), 'schema id 99'],
  ['without a value', null, 'no value'],
])('a verdict of ours %s is not passed over: it would be a count too few', async (_, value, why) => {
  const { result, verdicts, unusable } = await read({ value, id: ours }, { value: verdictBytes(), id: ours })
  expect(result).toMatchObject({
    kind: 'failed',
    why: expect.stringContaining(`executed:0:0 is the verdict on ${ours}`),
  })
  expect(result).toMatchObject({ why: expect.stringContaining(why) })
  expect([verdicts, unusable]).toEqual([0, []])
})

test('a verdict is read however large the setting lets it be', async () => {
  const { result, verdicts } = await read({ value: verdictBytes(Buffer.alloc(900_000)), id: ours })
  expect([result, verdicts]).toEqual([{ kind: 'read' }, 1])
})
