import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { openCodec } from '../../src/avro/codec.ts'
import { createRecords, SchemaUnavailable } from '../../src/avro/records.ts'
import { RegistrationFailed, registerAll, type TopicSchema } from '../../src/avro/register.ts'
import { openRegistry, REGISTRY_DEFAULTS, type Registry, type RegistryOptions } from '../../src/avro/registry.ts'
import { bundled, subjectOf } from '../../src/avro/schemas.ts'
import { isFault, type Writer } from '../../src/avro/writer.ts'
import type { Fault } from '../../src/processor/fault.ts'
import { modelOutput, SAMPLES, verdict } from '../avro/samples.ts'
import { openRegistryProxy, type RegistryProxy } from './support/registry-proxy.ts'

const real = inject('stack').registry
const LIMIT = 256 * 1024
const UNKNOWN_ID = 2_000_000_000

/** Topics of this run alone, since the registry is shared. */
const run = randomUUID()
const input = `${run}.outputs`
const verdicts = { execute: `${run}.execute`, review: `${run}.review`, reject: `${run}.reject` }
const topics: readonly TopicSchema[] = [
  { kind: 'ModelOutput', topic: input },
  ...Object.values(verdicts).map((topic) => ({ kind: 'Verdict' as const, topic })),
  { kind: 'Context', topic: `${run}.context` },
  { kind: 'Outcome', topic: `${run}.outcomes` },
  { kind: 'Control', topic: `${run}.control` },
]

let proxy: RegistryProxy
let folder: string
let clock = 0
const opened: Registry[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-registry-test-'))
  proxy = await openRegistryProxy(real)
  await registerAll({ url: real, credentials: null }, topics)
})
afterAll(async () => {
  await proxy.close()
  await rm(folder, { recursive: true, force: true })
})
beforeEach(() => {
  proxy.mode = 'pass'
  proxy.requests.length = 0
})
afterEach(async () => {
  for (const registry of opened.splice(0)) await registry.close()
})

async function open(options: Partial<RegistryOptions> = {}): Promise<Registry> {
  const address = { url: proxy.url, credentials: null }
  const registry = await openRegistry({ ...REGISTRY_DEFAULTS, timeoutMs: 300, now: () => clock, address, ...options })
  opened.push(registry)
  return registry
}

const inputWriters = (registry: Registry) => registry.writers('ModelOutput', [subjectOf(input)], LIMIT)
const codeOf = (it: Writer | Fault | undefined) => (it !== undefined && isFault(it) ? it.code : it?.id)

async function knownId(registry: Registry): Promise<number> {
  const id = await registry.idOf('ModelOutput', subjectOf(input))
  if (typeof id !== 'number') throw new Error(id.detail)
  return id
}

/** Registers a schema as a team of its own would; `compatibility` is not touched. */
async function put(subject: string, schema: unknown): Promise<{ readonly status: number; readonly id: number }> {
  const body = JSON.stringify({ schema: JSON.stringify(schema) })
  const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' }
  const answer = await fetch(`${real}/subjects/${subject}/versions`, { method: 'POST', headers, body })
  const { id } = (await answer.json()) as { readonly id: number }
  return { status: answer.status, id }
}

type Json = { readonly fields: readonly object[] }
const ours = JSON.parse(bundled('ModelOutput').text) as Json
const withField = (name: string, more: object) => ({
  ...ours,
  fields: [...ours.fields, { name, type: 'string', ...more }],
})

describe('registering', () => {
  test('gives every subject our schema and a level that holds its evolution, and may be repeated', async () => {
    const again = await registerAll({ url: real, credentials: null }, topics)
    expect(again.map((it) => it.subject)).toEqual(topics.map((it) => subjectOf(it.topic)))
    for (const { subject, kind, id } of again) {
      const config = await fetch(`${real}/config/${subject}`)
      expect(await config.json()).toMatchObject({ compatibilityLevel: 'FULL_TRANSITIVE' })
      const schema = (await (await fetch(`${real}/schemas/ids/${id}`)).json()) as { readonly schema: string }
      expect(JSON.parse(schema.schema)).toEqual(JSON.parse(bundled(kind).text))
    }
  })

  test('the level lets a field with a default in and one without not', async () => {
    const topic = `${run}.level`
    await registerAll({ url: real, credentials: null }, [{ kind: 'ModelOutput', topic }])
    expect(await put(subjectOf(topic), withField('hint', {}))).toMatchObject({ status: 409 })
    expect(await put(subjectOf(topic), withField('hint', { default: '' }))).toMatchObject({ status: 200 })
  })

  test('a subject that holds something incompatible is named, and the others are registered all the same', async () => {
    const topic = `${run}.taken`
    const other = `${run}.free`
    await put(subjectOf(topic), { ...ours, fields: [{ name: 'id', type: 'long' }] })
    const attempt = registerAll({ url: real, credentials: null }, [
      { kind: 'ModelOutput', topic },
      { kind: 'ModelOutput', topic: other },
    ])
    await expect(attempt).rejects.toThrow(RegistrationFailed)
    await expect(attempt).rejects.toThrow(new RegExp(`^\`${run}.taken-value\`.*not compatible.*FULL_TRANSITIVE`))
    expect((await fetch(`${real}/subjects/${subjectOf(other)}/versions`)).status).toBe(200)
  })

  test('a registry that does not answer is said to be the matter, in time, and once for all topics', async () => {
    proxy.mode = 'hang'
    const started = performance.now()
    const attempt = registerAll({ url: proxy.url, credentials: null }, topics, 300)
    await expect(attempt).rejects.toThrow(
      /^schemas cannot be registered at .*SCHEMA_REGISTRY_URL.*no answer within 300 ms$/,
    )
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})

describe('reading', () => {
  test('what the usual client of this language writes is read, and it reads our verdicts', async () => {
    const client = new SchemaRegistry({ host: real })
    const registry = await open()
    const records = createRecords(registry, LIMIT)
    const id = await client.getLatestSchemaId(subjectOf(input))
    expect(await records.decode('ModelOutput', input, await client.encode(id, modelOutput))).toStrictEqual({
      kind: 'value',
      value: modelOutput,
      schemaId: id,
    })
    const bytes = await records.encode('Verdict', verdicts.review, verdict)
    expect(await client.decode(bytes)).toEqual(verdict)
  })

  test('every kind of record goes there and back', async () => {
    const records = createRecords(await open(), LIMIT)
    for (const { kind, topic } of topics) {
      const bytes = await records.encode(kind, topic, SAMPLES[kind])
      expect(await records.decode(kind, topic, bytes)).toMatchObject({ kind: 'value', value: SAMPLES[kind] })
    }
  })

  test('a newer version under the same subject is read, and known from then on', async () => {
    const topic = `${run}.evolving`
    await registerAll({ url: real, credentials: null }, [{ kind: 'ModelOutput', topic }])
    const { id } = await put(subjectOf(topic), withField('hint', { default: '' }))
    const client = new SchemaRegistry({ host: real })
    const bytes = await client.encode(id, { ...modelOutput, hint: 'new' })
    const records = createRecords(await open(), LIMIT)
    expect(records.decode('ModelOutput', topic, bytes)).toBeInstanceOf(Promise)
    expect(await records.decode('ModelOutput', topic, bytes)).toMatchObject({ value: modelOutput })
    proxy.requests.length = 0
    expect(records.decode('ModelOutput', topic, bytes)).toStrictEqual({
      kind: 'value',
      value: modelOutput,
      schemaId: id,
    })
    expect(proxy.requests).toEqual([])
  })

  test('a schema with references is read with all they lead to', async () => {
    const subject = subjectOf(`${run}.parts`)
    const [model] = ours.fields.filter((it) => 'name' in it && it.name === 'model') as { readonly type: object }[]
    await put(subject, { ...model?.type, namespace: 'sluice' })
    const fields = ours.fields.map((it) => ('name' in it && it.name === 'model' ? { ...it, type: 'sluice.Model' } : it))
    const references = [{ name: 'sluice.Model', subject, version: 1 }]
    const body = JSON.stringify({ schema: JSON.stringify({ ...ours, fields }), schemaType: 'AVRO', references })
    const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' }
    const url = `${real}/subjects/${subjectOf(`${run}.referring`)}/versions`
    const { id } = (await (await fetch(url, { method: 'POST', headers, body })).json()) as { readonly id: number }
    const writers = (await open()).writers('ModelOutput', [subjectOf(`${run}.referring`)], LIMIT)
    expect(codeOf(await writers.resolve(id))).toBe(id)
  })

  test.each([
    ['a schema of another subject', () => put(`${run}.other-value`, { ...ours, doc: run }), 'schema.foreign'],
    [
      'a schema of another record',
      () => put(subjectOf(input).replace('outputs', 'mixed'), { type: 'record', name: 'P', fields: [] }),
      'schema.incompatible',
    ],
    ['an id the registry does not know', () => Promise.resolve({ id: UNKNOWN_ID }), 'schema.unknown'],
    ['an id below one', () => Promise.resolve({ id: -1 }), 'schema.unknown'],
  ])('%s is a fault that waiting does not mend', async (_, make, code) => {
    const { id } = await make()
    const subjects = [subjectOf(input), subjectOf(`${run}.mixed`)]
    const writers = (await open()).writers('ModelOutput', subjects, LIMIT)
    expect(writers.find(id) ?? (await writers.resolve(id))).toMatchObject({ code, retry: false })
  })
})

describe('asking no more than needed', () => {
  test('an id is asked for once, however many wait for it', async () => {
    const id = await knownId(await open())
    proxy.requests.length = 0
    const writers = inputWriters(await open())
    const all = await Promise.all(Array.from({ length: 50 }, () => writers.resolve(id)))
    expect(new Set(all).size).toBe(1)
    expect(codeOf(writers.find(id))).toBe(id)
    const subject = encodeURIComponent(subjectOf(input))
    expect(proxy.requests).toEqual([`GET /schemas/ids/${id}`, `POST /subjects/${subject}?deleted=true`])
  })

  test('an unknown id is asked for once until the time is over, then once more', async () => {
    const writers = inputWriters(await open({ negativeMs: 1_000 }))
    await writers.resolve(UNKNOWN_ID)
    for (let i = 0; i < 1_000; i += 1) expect(codeOf(writers.find(UNKNOWN_ID))).toBe('schema.unknown')
    expect(proxy.requests).toEqual([`GET /schemas/ids/${UNKNOWN_ID}`])
    clock += 999
    expect(codeOf(writers.find(UNKNOWN_ID))).toBe('schema.unknown')
    clock += 1
    expect(writers.find(UNKNOWN_ID)).toBeUndefined()
    await writers.resolve(UNKNOWN_ID)
    expect(proxy.requests).toEqual([`GET /schemas/ids/${UNKNOWN_ID}`, `GET /schemas/ids/${UNKNOWN_ID}`])
  })

  test('a hundred ids at once are asked for eight at a time', async () => {
    proxy.mode = 'hang'
    const writers = inputWriters(await open({ timeoutMs: 200 }))
    const all = Array.from({ length: 100 }, (_, i) => writers.resolve(UNKNOWN_ID + i))
    await new Promise((passed) => setTimeout(passed, 100))
    expect(proxy.requests).toHaveLength(8)
    const codes = new Set((await Promise.all(all)).map(codeOf))
    expect(codes).toEqual(new Set(['schema.unresolved']))
    // The first two that failed each let another go; the third opened the breaker, so the others were not sent.
    expect(proxy.requests).toHaveLength(8 + REGISTRY_DEFAULTS.breaker.failuresMax - 1)
  })
})

describe('a registry that is away', () => {
  test.each([
    ['hang', /no answer within 300 ms/],
    ['fail', /HTTP 500/],
    ['drop', /./],
  ] as const)(
    '%s: a fault in time that waiting mends, the breaker opens, and closes when it is back',
    async (mode, why) => {
      const registry = await open()
      const id = await knownId(registry)
      const writers = inputWriters(registry)
      proxy.mode = mode
      proxy.requests.length = 0
      for (let i = 0; i < 3; i += 1) {
        const started = performance.now()
        const fault = (await writers.resolve(id)) as Fault
        expect(fault).toMatchObject({
          code: 'schema.unresolved',
          retry: true,
          detail: expect.stringMatching(why) as unknown,
        })
        expect(performance.now() - started).toBeLessThan(1_000)
      }
      expect(proxy.requests).toHaveLength(3)
      for (let i = 0; i < 20; i += 1) expect(codeOf(await writers.resolve(id))).toBe('schema.unresolved')
      expect(proxy.requests).toHaveLength(3)
      expect(registry.trouble()).toMatch(why)
      proxy.mode = 'pass'
      clock += REGISTRY_DEFAULTS.breaker.openMs
      expect(codeOf(await writers.resolve(id))).toBe(id)
      expect(registry.trouble()).toBeNull()
    },
  )

  test('what is known goes on without it', async () => {
    const registry = await open()
    const id = await knownId(registry)
    const writers = inputWriters(registry)
    await writers.resolve(id)
    proxy.mode = 'hang'
    expect(codeOf(writers.find(id))).toBe(id)
  })

  test('a wrong path is not taken for a registry that knows nothing', async () => {
    const writers = inputWriters(await open({ address: { url: real.replace('/apis', '/wrong'), credentials: null } }))
    expect(await writers.resolve(UNKNOWN_ID)).toMatchObject({ code: 'schema.unresolved', retry: true })
  })
})

describe('credentials', () => {
  const expected = `Basic ${Buffer.from('ann:p@ss/word').toString('base64')}`
  test.each([
    ['of the URL', (url: string) => ({ url: url.replace('//', '//ann:p%40ss%2Fword@'), credentials: null })],
    ['of the configuration', (url: string) => ({ url, credentials: { username: 'ann', password: 'p@ss/word' } })],
  ])('%s are sent by both clients and never shown', async (_, address) => {
    const registry = await open({ address: address(proxy.url) })
    proxy.mode = 'fail'
    const fault = (await registry.idOf('Verdict', 'nowhere-value')) as Fault
    expect(proxy.headers['authorization']).toBe(expected)
    proxy.mode = 'pass'
    await registerAll(address(proxy.url), topics.slice(0, 1))
    expect(proxy.headers['authorization']).toBe(expected)
    expect(JSON.stringify(fault)).not.toMatch(/ann|p%40|p@ss/)
  })
})

describe('starting', () => {
  const options = { subjects: [subjectOf(input)], verdictTopics: verdicts, maxEventBytes: LIMIT }
  const record = (value: Buffer) => ({
    topic: input,
    partition: 0,
    offset: 0,
    timestamp: 0,
    key: null,
    value,
    headers: new Map(),
  })
  const never = new AbortController().signal

  test('waits until the registry answers, says why, and stops waiting when told to', async () => {
    proxy.mode = 'fail'
    const told: Fault[] = []
    const stop = new AbortController()
    const onWaiting = (fault: Fault) => void told.push(fault)
    const registry = await open({ breaker: { failuresMax: 1000, openMs: 1 } })
    const codec = openCodec(registry, options, { signal: never, everyMs: 10, onWaiting })
    const stopped = openCodec(registry, options, { signal: stop.signal, everyMs: 10, onWaiting: () => stop.abort() })
    await expect(stopped).rejects.toThrow(/abort/i)
    expect(told[0]).toMatchObject({
      code: 'schema.unresolved',
      detail: expect.stringContaining(`${run}.execute-value`) as unknown,
    })
    proxy.mode = 'pass'
    expect((await codec).encode(verdict, record(Buffer.alloc(5)))).toMatchObject({ kind: 'bytes' })
  })

  test('goes on from the cache file while the registry is away, and without it does not', async () => {
    const cacheFile = join(folder, 'schemas', 'cache.json')
    const first = await open({ cacheFile })
    const waiting = { signal: never, everyMs: 10, onWaiting: () => {} }
    const before = await openCodec(first, options, waiting)
    const id = await knownId(first)
    const value = await createRecords(first, LIMIT).encode('ModelOutput', input, modelOutput)
    const decoded = await before.decode(record(value))
    await first.close()

    proxy.mode = 'drop'
    const second = await open({ cacheFile })
    const after = await openCodec(second, options, waiting)
    expect(await after.decode(record(value))).toEqual(decoded)
    expect(after.encode(verdict, record(value))).toEqual(before.encode(verdict, record(value)))
    expect(codeOf(inputWriters(second).find(id))).toBeUndefined()
    expect(await (await open()).idOf('Verdict', subjectOf(verdicts.execute))).toMatchObject({ retry: true })
  })

  test('a cache file of another registry or of no use is left aside', async () => {
    const cacheFile = join(folder, 'other.json')
    const first = await open({ cacheFile })
    expect(await first.idOf('Verdict', subjectOf(verdicts.execute))).toBeTypeOf('number')
    await first.close()
    const other = openRegistryProxy(real)
    const address = { url: (await other).url, credentials: null }
    ;(await other).mode = 'drop'
    expect(await (await open({ cacheFile, address })).idOf('Verdict', subjectOf(verdicts.execute))).toMatchObject({
      retry: true,
    })
    await (await other).close()

    await writeFile(cacheFile, (await readFile(cacheFile, 'utf8')).slice(0, 20))
    const problems: string[] = []
    proxy.mode = 'drop'
    const broken = await open({ cacheFile, onProblem: (problem) => void problems.push(problem) })
    expect(await broken.idOf('Verdict', subjectOf(verdicts.execute))).toMatchObject({ retry: true })
    expect(problems).toEqual([expect.stringContaining(cacheFile)])
  })

  test('a topic nobody registered a schema for is named', async () => {
    const records = createRecords(await open(), LIMIT)
    const attempt = records.encode('Context', `${run}.nowhere`, SAMPLES.Context)
    await expect(attempt).rejects.toThrow(SchemaUnavailable)
    await expect(attempt).rejects.toThrow(/not registered under .*nowhere-value.*setup/)
  })
})
