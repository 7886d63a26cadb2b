import { AsyncLocalStorage } from 'node:async_hooks'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import type { Context, ContextManager } from '@opentelemetry/api'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { afterAll, afterEach, describe, expect, inject, test } from 'vitest'
import type { Outcome } from '../../src/avro/record-types.ts'
import { registerAll } from '../../src/avro/register.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { LogLookup } from '../../src/kafka/lookup.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { openRecords } from '../../src/sdk/access.ts'
import {
  InvalidModelOutput,
  produceModelOutputs,
  readVerdicts,
  reportOutcome,
  runExecutor,
  UnreadableVerdict,
} from '../../src/sdk/index.ts'
import type { ExecutorOptions, ModelOutputInput } from '../../src/sdk/index.ts'
import { verdict as sample } from '../avro/samples.ts'
import { eventually, plain, Scene } from './support/kafka-scene.ts'

const run = promisify(execFile)
const { brokers, registry } = inject('stack')
const scene = new Scene(brokers)
const access = { kafka: { brokers }, registry: { url: registry } }
const address = { url: registry, credentials: null }
const quick = { heartbeatMs: 100, commitMs: 10, retryMs: { first: 10, last: 50 } }

afterAll(() => scene.close())

const proposal = (id: string, more: Partial<ModelOutputInput> = {}): ModelOutputInput => ({
  id,
  source: '/moderation/eu',
  model: { name: 'moderator', version: '3' },
  action: 'listing.flag',
  subject: { type: 'listing', id: `listing-of-${id}` },
  confidence: 0.9,
  ...more,
})

/** A topic of its own for the test, with the schema registered. */
async function topicOf(kind: 'ModelOutput' | 'Verdict' | 'Outcome', partitions = 3): Promise<string> {
  const topic = await scene.topic(partitions)
  await registerAll(address, [{ kind, topic }], 10_000)
  return topic
}

describe('a producer', () => {
  test('sends what can be read back, where it says, with CloudEvents headers', async () => {
    const topic = await topicOf('ModelOutput')
    const producer = produceModelOutputs({ ...access, topic })
    const time = 1_790_000_000_123
    const sent = await producer.send([proposal('e-1', { time }), proposal('e-2', { actor: 'actor-7' })])
    await producer.close()

    expect(sent.map(({ event }) => event.id)).toEqual(['e-1', 'e-2'])
    const lookup = new LogLookup(plain(brokers))
    const records = await openRecords(access.registry)
    const [first, second] = await Promise.all(sent.map((it) => lookup.read(it)))
    lookup.close()
    expect(await records.decode('ModelOutput', topic, first!.value)).toMatchObject({ value: sent[0]?.event })
    expect([String(first?.key), String(second?.key)]).toEqual(['listing-of-e-1', 'actor-7'])
    const headers = Object.fromEntries([...first!.headers].map(([name, value]) => [name, String(value)]))
    expect(headers).toEqual({
      'content-type': 'application/vnd.confluent.avro',
      ce_specversion: '1.0',
      ce_id: 'e-1',
      ce_source: '/moderation/eu',
      ce_type: 'sluice.model.output',
      ce_time: '2026-09-21T14:13:20.123Z',
    })
  })

  test('puts a key where librdkafka’s Java-compatible partitioner puts it', async () => {
    const topic = await topicOf('ModelOutput', 7)
    const producer = produceModelOutputs({ ...access, topic })
    const actors = Array.from({ length: 40 }, (_, index) => `actor-${index}-é`)
    const sent = await producer.send(actors.map((actor, index) => proposal(`e-${index}`, { actor })))
    await producer.close()
    const other = await scene.topic(7)
    const args = ['-b', brokers.join(), '-P', '-t', other, '-K', '|', '-X', 'topic.partitioner=murmur2_random']
    const kcat = run('kcat', args)
    kcat.child.stdin?.end(actors.map((actor) => `${actor}|${actor}\n`).join(''))
    await kcat
    const theirs = new Map((await scene.visible(other)).map(({ partition, value }) => [value, partition]))
    expect(theirs.size).toBe(40)
    expect(sent.map(({ event, partition }) => [event.actor, partition])).toEqual(
      actors.map((actor) => [actor, theirs.get(actor)]),
    )
  })

  test('takes an explicit key, and sends nothing at all when one event is invalid', async () => {
    const topic = await topicOf('ModelOutput', 1)
    const producer = produceModelOutputs({ ...access, topic, key: ({ tenant }) => tenant })
    await expect(producer.send([proposal('good'), proposal('bad', { action: '' })])).rejects.toThrow(InvalidModelOutput)
    await producer.send(proposal('later', { tenant: 'acme' }))
    await producer.close()
    const lookup = new LogLookup(plain(brokers))
    const all = await lookup.all(topic)
    lookup.close()
    expect(all.map(({ key }) => String(key))).toEqual(['acme'])
  })

  test('says in a sentence that the schema is not registered', async () => {
    const topic = await scene.topic(1)
    const producer = produceModelOutputs({ ...access, topic, deadlineMs: 300 })
    await expect(producer.send(proposal('e'))).rejects.toThrow(`is not registered under \`${topic}-value\``)
    await producer.close()
  })
})

describe('a reviewer', () => {
  test('reports one label without keeping anything open', async () => {
    const { options, reported } = await stage(1)
    const { kafka, registry, outcomes } = options
    const verdict = toExecute('a', { audit: { selected: true, propensity: 0.05 } })
    await reportOutcome({ kafka, registry, ...outcomes }, verdict, {
      kind: 'label',
      right: true,
      time: 1_790_000_000_000,
    })
    expect(await reported()).toEqual([
      {
        key: 'a',
        actionKey: 'a',
        decisionId: 'model.outputs:0:a',
        kind: 'label',
        right: true,
        time: 1_790_000_000_000,
        source: '/executors/test',
        propensity: 0.05,
        detail: null,
      },
    ])
  })
})

/** Topics of one executor, and a way to write verdicts into them. */
async function stage(partitions = 2) {
  const execute = await topicOf('Verdict', partitions)
  const outcomes = await topicOf('Outcome', 1)
  const records = await openRecords(access.registry)
  const group = scene.unique('executor')
  const encode = (verdict: Verdict): Promise<Buffer> => records.encode('Verdict', execute, verdict)
  const put = async (verdict: Verdict, partition = 0, headers: readonly (readonly [string, string])[] = []) => {
    const producer = new Producer(plain(brokers))
    const value = await encode(verdict)
    await producer.send([{ topic: execute, partition, key: null, value, timestamp: Date.now(), headers }])
    await producer.close()
  }
  const reported = async (): Promise<readonly (Outcome & { readonly key: string })[]> => {
    const lookup = new LogLookup(plain(brokers))
    const all = await lookup.all(outcomes)
    lookup.close()
    return await Promise.all(
      all.map(async ({ key, value }) => {
        const read = await records.decode('Outcome', outcomes, value)
        if (read.kind === 'fault') throw new Error(read.fault.detail)
        return { ...read.value, key: String(key) }
      }),
    )
  }
  const options = {
    ...access,
    group,
    topics: { execute },
    outcomes: { topic: outcomes, source: '/executors/test' },
    times: quick,
  }
  return { execute, options, put, encode, reported }
}

const toExecute = (actionKey: string, more: Partial<Verdict> = {}): Verdict => ({
  ...sample,
  decisionId: `model.outputs:0:${actionKey}`,
  actionKey,
  route: 'execute',
  notAfter: null,
  ...more,
})

const stops: AbortController[] = []
const running: Promise<void>[] = []

/** Runs an executor until the test ends; what it was handed is listed in the order of handing over. */
function start(
  options: Omit<ExecutorOptions, 'signal'>,
  handler?: (verdict: Verdict) => void,
): {
  readonly handed: string[]
  readonly stop: () => Promise<void>
} {
  const handed: string[] = []
  const stop = new AbortController()
  const done = runExecutor({ ...options, signal: stop.signal }, (verdict, { actionKey }) => {
    handed.push(actionKey)
    handler?.(verdict)
    return 'done'
  })
  stops.push(stop)
  running.push(done)
  return {
    handed,
    stop: async () => {
      stop.abort()
      await done
    },
  }
}

afterEach(async () => {
  for (const stop of stops.splice(0)) stop.abort()
  await Promise.all(running.splice(0))
})

describe('an executor', () => {
  test('hands each action key over once, whatever lies in the topic twice, and after a restart not again', async () => {
    const { options, put, reported } = await stage()
    for (const key of ['a', 'b', 'a']) await put(toExecute(key), 0)
    await put(toExecute('a'), 1)
    await put(toExecute('c'), 1)
    const first = start(options)
    await eventually(async () => expect(await reported()).toHaveLength(3))
    expect(first.handed.toSorted()).toEqual(['a', 'b', 'c'])
    await put(toExecute('b'), 1)
    await put(toExecute('d'), 0)
    await eventually(async () => expect(first.handed).toContain('d'))
    await first.stop()
    await put(toExecute('e'), 1)
    const second = start(options)
    await eventually(async () => expect(second.handed).toContain('e'))
    expect(second.handed).toEqual(['e'])
    expect(first.handed.toSorted()).toEqual(['a', 'b', 'c', 'd'])
  })

  test('can label what it did, with the chance of audit that the verdict carries', async () => {
    const { options, put, reported } = await stage(1)
    await put(toExecute('picked', { audit: { selected: true, propensity: 0.25 } }))
    await put(toExecute('passed over', { audit: { selected: false, propensity: 0.25 } }))
    const stop = new AbortController()
    stops.push(stop)
    running.push(
      runExecutor({ ...options, signal: stop.signal }, async (verdict, { report }) => {
        if (verdict.audit.selected) await report({ kind: 'label', right: false, detail: 'sent to the wrong customer' })
      }),
    )
    await eventually(async () => expect(await reported()).toHaveLength(3))
    const told = (await reported()).map(({ key, kind, right, propensity }) => [key, kind, right, propensity])
    expect(told).toEqual([
      ['picked', 'label', false, 0.25],
      ['picked', 'executed', null, 0.25],
      ['passed over', 'executed', null, null],
    ])
  })

  test('is told that a label needs somewhere to go', async () => {
    const { options, put } = await stage(1)
    await put(toExecute('a'))
    const { outcomes: _, ...without } = options
    const troubles: unknown[] = []
    const stop = new AbortController()
    stops.push(stop)
    running.push(
      runExecutor(
        { ...without, signal: stop.signal, onTrouble: (error) => void troubles.push(error) },
        async (_, { report }) => void (await report({ kind: 'label', right: true })),
      ),
    )
    await eventually(async () => expect(String(troubles[0])).toContain('where runExecutor is given `outcomes`'))
  })

  test('never sees a verdict of an aborted transaction', async () => {
    const { options, put, execute } = await stage(1)
    const writer = await scene.writer(scene.unique('w'))
    await writer.write(execute, 0, ['never committed, and no verdict either'])
    await writer.abort()
    await put(toExecute('real'))
    const executor = start(options)
    await eventually(async () => expect(executor.handed).toEqual(['real']))
  })

  test('does not execute after notAfter, tells of it, and reports it', async () => {
    const { options, put, reported } = await stage()
    const late: string[] = []
    const now = 1_790_000_000_000
    await put(toExecute('too-late', { notAfter: now - 1 }))
    await put(toExecute('in-time', { notAfter: now }))
    const onLate = ({ actionKey }: Verdict): void => void late.push(actionKey)
    const executor = start({ ...options, now: () => now, onLate })
    await eventually(async () => expect(await reported()).toHaveLength(2))
    expect(executor.handed).toEqual(['in-time'])
    expect(late).toEqual(['too-late'])
    expect(await reported()).toMatchObject([
      { key: 'too-late', kind: 'failed', detail: 'came after its notAfter', propensity: null },
      { key: 'in-time', kind: 'executed', detail: 'done', decisionId: 'model.outputs:0:in-time' },
    ])
  })

  test('tries a failed execution again until notAfter has passed, and no longer', async () => {
    const { options, put, reported } = await stage()
    const audit = { selected: true, propensity: 0.25 }
    let now = 1000
    await put(toExecute('hopeless', { notAfter: 1003, audit }))
    await put(toExecute('next', { notAfter: 9999 }))
    const troubles: unknown[] = []
    const onTrouble = (error: unknown): void => void troubles.push(error)
    const executor = start({ ...options, now: () => now, onTrouble }, ({ actionKey }) => {
      now++
      if (actionKey === 'hopeless') throw new Error('the shop is closed')
    })
    await eventually(async () => expect(await reported()).toHaveLength(2))
    expect(executor.handed).toEqual(['hopeless', 'hopeless', 'hopeless', 'hopeless', 'next'])
    expect(troubles.map(String)).toContain('Error: the shop is closed')
    expect(await reported()).toMatchObject([
      { key: 'hopeless', kind: 'failed', detail: 'no attempt succeeded before its notAfter', propensity: 0.25 },
      { key: 'next', kind: 'executed' },
    ])
  })

  test('asks for the claim once, keeps it while it tries, and leaves to others what they have claimed', async () => {
    const { options, put, reported } = await stage()
    const asked: string[] = []
    for (const key of ['theirs', 'ours']) await put(toExecute(key))
    let failures = 2
    const claim = (actionKey: string): boolean => {
      asked.push(actionKey)
      return actionKey === 'ours'
    }
    const executor = start({ ...options, claim }, () => {
      if (failures-- > 0) throw new Error('not yet')
    })
    await eventually(async () => expect(await reported()).toHaveLength(1))
    expect(asked).toEqual(['theirs', 'ours'])
    expect(executor.handed).toEqual(['ours', 'ours', 'ours'])
  })

  test('ends at a record it cannot read, and at one of another route, unless it is told what to do', async () => {
    const { options, put, execute } = await stage(1)
    await scene.put(execute, 0, ['no verdict'])
    await put({ ...toExecute('wrong-route'), route: 'review' })
    await put(toExecute('fine'))
    const signal = AbortSignal.timeout(20_000)
    const handed: string[] = []
    const handler = ({ actionKey }: Verdict): void => void handed.push(actionKey)
    await expect(runExecutor({ ...options, signal }, handler)).rejects.toThrow(UnreadableVerdict)
    await expect(runExecutor({ ...options, signal }, handler)).rejects.toThrow(`${execute}:0:0`)
    expect(handed).toEqual([])
    const told: string[] = []
    const executor = start({ ...options, onUnreadable: ({ message }) => void told.push(message) })
    await eventually(async () => expect(executor.handed).toEqual(['fine']))
    expect(told).toEqual([
      expect.stringContaining('starts with byte 110'),
      expect.stringContaining('its route is review, which has another topic'),
    ])
  })

  test('any verdict can be read by those who subscribe, with its record', async () => {
    const review = await topicOf('Verdict', 1)
    const records = await openRecords(access.registry)
    const value = await records.encode('Verdict', review, sample)
    const producer = new Producer(plain(brokers))
    await producer.send([{ topic: review, partition: 0, key: Buffer.from('k'), value, timestamp: 5, headers: [] }])
    await producer.close()
    const stop = new AbortController()
    const seen: unknown[] = []
    const group = scene.unique('g')
    await readVerdicts(
      { ...access, group, routes: ['review'], topics: { review }, signal: stop.signal },
      (verdict, { record, attempt }) => {
        seen.push(verdict, record.timestamp, attempt)
        stop.abort()
      },
    )
    expect(seen).toEqual([sample, 5, 1])
  })
})

/** As @opentelemetry/context-async-hooks has it: the context follows promises. */
function asyncContext(): ContextManager {
  const storage = new AsyncLocalStorage<Context>()
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, work, self, ...args) => storage.run(active, () => work.apply(self, args)),
    bind: (_, target) => target,
    enable: () => manager,
    disable: () => manager,
  }
  return manager
}

describe('with an OpenTelemetry SDK', () => {
  const exporter = new InMemorySpanExporter()

  test('the producer’s span continues the caller’s, and the executor’s the verdict’s', async () => {
    context.setGlobalContextManager(asyncContext())
    trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }))
    const topic = await topicOf('ModelOutput', 1)
    const producer = produceModelOutputs({ ...access, topic })
    const caller = trace.getTracer('test').startSpan('moderate')
    const [sent] = await context.with(trace.setSpan(context.active(), caller), () => producer.send(proposal('traced')))
    caller.end()
    await producer.close()
    const lookup = new LogLookup(plain(brokers))
    const record = await lookup.read(sent!)
    lookup.close()
    const send = exporter.getFinishedSpans().find(({ name }) => name === `send ${topic}`)
    const { traceId, spanId } = caller.spanContext()
    expect(send?.parentSpanContext).toMatchObject({ traceId, spanId })
    expect(String(record?.headers.get('traceparent'))).toBe(`00-${traceId}-${send?.spanContext().spanId}-01`)

    const { options, put, execute } = await stage(1)
    const sender = '00f067aa0ba902b7'
    await put(toExecute('traced'), 0, [['traceparent', `00-${traceId}-${sender}-01`]])
    let active: string | undefined
    const executor = start(options, () => (active = trace.getActiveSpan()?.spanContext().traceId))
    await eventually(async () => expect(executor.handed).toEqual(['traced']))
    await executor.stop()
    const process = exporter.getFinishedSpans().find(({ name }) => name === `process ${execute}`)
    expect(process?.parentSpanContext).toMatchObject({ traceId, spanId: sender, isRemote: true })
    expect(process?.attributes).toMatchObject({ 'decision.id': 'model.outputs:0:traced', 'decision.route': 'execute' })
    expect(active).toBe(traceId)
  })
})
