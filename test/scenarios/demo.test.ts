import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { Span } from '../../deploy/local/traces/span.ts'
import type { Trace } from '../../deploy/local/traces/trace-store.ts'
import { copyCheckout, descendants, survivors } from './support/checkout.ts'
import { endProcesses, runCli, startCli } from './support/cli.ts'
import type { CliProcess } from './support/cli.ts'
import { until } from './support/until.ts'

/** What `npm start` runs, as a user meets it: in a checkout of its own, so that a developer's demo is left alone. */

const stack = inject('stack')
let checkout: Awaited<ReturnType<typeof copyCheckout>>
beforeAll(async () => {
  checkout = await copyCheckout()
})
afterAll(async () => {
  await endProcesses()
  await checkout.remove()
})

const stackFile = (): string => join(checkout.root, '.sluice', 'stack.json')

/** The verdicts and dead letters printed, by decision id. */
const printed = (demo: CliProcess): ReadonlyMap<string, { readonly route: string; readonly code: string }> =>
  new Map(
    [...demo.stdout().matchAll(/^[\d:.]{12} {2}(execute|review|reject|dead letter) +(.*) {2}(\S+:\d+:\d+)$/gm)].map(
      ([, route = '', text = '', id = '']) => [id, { route, code: /([a-z]+\.[a-z_]+): /.exec(text)?.[1] ?? '' }],
    ),
  )

describe('with a number of events, on given servers', () => {
  const name = `demo-${process.pid}`
  const topics = 'INPUT EXECUTE REVIEW REJECT DEAD_LETTERS CONTEXT CONTROL POLICIES OUTCOMES'.split(' ')
  const given = {
    KAFKA_BROKERS: stack.brokers.join(),
    SCHEMA_REGISTRY_URL: stack.registry,
    REDIS_URL: stack.redis,
    OTEL_EXPORTER_OTLP_ENDPOINT: stack.otlp,
    KAFKA_GROUP_ID: name,
    SLUICE_DEPLOYMENT: name,
    ...Object.fromEntries(topics.map((it) => [`TOPIC_${it}`, `${name}.${it.toLowerCase()}`])),
  }

  test('it ends by itself with 0, counts right, and leaves nothing running', async () => {
    const demo = startCli(['demo', '--events', '120', '--rate', '60', '--stack', 'given'], given, checkout.root)
    const addresses = await until('the stack is written down', () => existsSync(stackFile()), 30_000).then(
      () => JSON.parse(readFileSync(stackFile(), 'utf8')) as { brokers: readonly string[]; http: string },
    )
    expect(addresses.brokers).toEqual(stack.brokers)
    expect((await fetch(`${addresses.http}/readyz`)).status).toBe(200)
    const parts = await descendants(demo.pid)
    expect(parts.size).toBeGreaterThanOrEqual(3)
    const { code } = await demo.ended
    expect({ code, stderr: demo.stderr() }).toEqual({ code: 0, stderr: '' })
    expect(survivors(parts)).toEqual([])
    expect(existsSync(stackFile())).toBe(false)
    expectSums(demo)
  })

  function expectSums(demo: CliProcess): void {
    const out = demo.stdout()
    expect(out).toContain('120 events sent, 120 answered, 0 without a verdict, 0 answered twice')
    const rows = [...out.matchAll(/^ {2}(execute|review|reject|dead letter) (\S+) +(\d+)$/gm)]
    const sum = (of: string | null): number =>
      rows.filter(([, route]) => of === null || route === of).reduce((sum, [, , , count]) => sum + Number(count), 0)
    expect(sum(null)).toBe(120)
    expect(printed(demo).size).toBe(120)
    for (const route of ['execute', 'review', 'reject', 'dead letter'])
      expect([...printed(demo).values()].filter((it) => it.route === route).length).toBe(sum(route))
    expect(out).toContain(`${sum('execute')} actions done by the executor`)
  }

  test('what may be executed is done before it ends, be it the last event', async () => {
    const { code, stdout } = await runCli(
      ['demo', '--events', '1', '--seed', '6', '--stack', 'given'],
      given,
      checkout.root,
    )
    expect(code).toBe(0)
    expect(stdout).toMatch(/execute confidence.sufficient +1\n1 actions done by the executor/)
  })

  test('a policy that cannot be used ends it with the mistakes, file and line', async () => {
    const policy = join(checkout.root, 'broken.yaml')
    writeFileSync(policy, 'name: [\n')
    const { code, stderr } = await runCli(
      ['demo', '--stack', 'given'],
      { ...given, SLUICE_POLICY: policy },
      checkout.root,
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/^the processor ended before it was ready; its log is .*sluice\.log\n/)
    expect(stderr).toContain(`${policy}:2:1: `)
    expect(stderr).not.toMatch(/\n\s+at \S+ \(/)
  })

  test('addresses that lead nowhere are told of, without a stack trace', async () => {
    const { code, stderr } = await runCli(['demo', '--stack', 'given'], { KAFKA_BROKERS: 'x:1' }, checkout.root)
    expect(code).toBe(1)
    expect(stderr).toContain('SCHEMA_REGISTRY_URL and REDIS_URL are not set')
    expect(stderr).not.toMatch(/\n\s+at \S+ \(/)
  })
})

describe('until Ctrl-C, with servers of its own', () => {
  let demo: CliProcess
  let traces: string

  beforeAll(async () => {
    demo = startCli(
      ['demo', '--rate', '50', '--stack', stack.kind === 'docker' ? 'docker' : 'local'],
      {},
      checkout.root,
    )
    await until('the stack is written down', () => existsSync(stackFile()), 100_000)
    traces = (JSON.parse(readFileSync(stackFile(), 'utf8')) as { traces: string }).traces
  })

  /** The trace of a printed verdict with this route, once it is whole. */
  async function traceOf(
    route: string,
    names: readonly string[],
  ): Promise<{ readonly id: string; readonly trace: Trace }> {
    const [id] = await until(`${route} is printed`, () => [...printed(demo)].find(([, it]) => it.route === route))
    const trace = await until(`the trace of ${id} has ${names.join(', ')}`, async () => {
      const { traces: found } = (await (await fetch(`${traces}/api/traces?decisionId=${id}`)).json()) as {
        traces: readonly Trace[]
      }
      return found.find((it) => names.every((name) => it.spans.some((span) => span.name === name)))
    })
    return { id, trace }
  }

  const spanOf = ({ spans }: Trace, name: string): Span => {
    const found = spans.filter((it) => it.name === name)
    expect(found.length, `spans named ${name}`).toBe(1)
    return found[0]!
  }

  test.each(['execute', 'review', 'reject'])(
    'one trace holds a decision to %s from the model to the end',
    async (route) => {
      const sent = `send decisions.${route}`
      const executed = route === 'execute' ? ['process decisions.execute'] : []
      const names = ['send model.outputs', 'process model.outputs', 'enrich', 'evaluate', sent, ...executed]
      const { id, trace } = await traceOf(route, names)
      const [produced, processed, enriched, evaluated, published] = names.map((name) => spanOf(trace, name))
      expect(produced).toMatchObject({ kind: 'producer', service: 'demo-producer', parentSpanId: null })
      expect(processed).toMatchObject({ kind: 'consumer', service: 'sluice', parentSpanId: produced!.spanId })
      for (const inner of [enriched, evaluated])
        expect(inner).toMatchObject({ kind: 'internal', service: 'sluice', parentSpanId: processed!.spanId })
      expect(published).toMatchObject({ kind: 'producer', service: 'sluice', parentSpanId: processed!.spanId })
      if (route === 'execute') {
        const done = spanOf(trace, 'process decisions.execute')
        expect(done).toMatchObject({ kind: 'consumer', service: 'demo-executor', parentSpanId: published!.spanId })
        expect(done.attributes).toMatchObject({ 'decision.id': id, 'decision.route': 'execute' })
      }
      expectDecision(processed!, id, route)
    },
  )

  function expectDecision({ attributes, startMs, endMs }: Span, id: string, route: string): void {
    const { code } = printed(demo).get(id)!
    expect(attributes).toMatchObject({
      'decision.id': id,
      'decision.route': route,
      'decision.code': code,
      'decision.codes': expect.arrayContaining([code]) as unknown,
      'decision.policy.name': 'marketplace',
      'decision.policy.version': 1,
      'decision.policy.digest': expect.stringMatching(/^[0-9a-f]{16,}$/) as unknown,
      'messaging.destination.name': 'model.outputs',
      'messaging.destination.partition.id': id.split(':')[1],
      'kafka.offset': Number(id.split(':')[2]),
    })
    if (attributes['decision.confidence.calibrated'] !== undefined)
      expect(typeof attributes['decision.margin']).toBe('number')
    expect(endMs).toBeGreaterThan(startMs)
  }

  test('a dead letter has its trace, marked as an error with its code', async () => {
    const { id, trace } = await traceOf('dead letter', ['process model.outputs', 'send model.outputs.dlq'])
    const processed = spanOf(trace, 'process model.outputs')
    const { code } = printed(demo).get(id)!
    expect(processed).toMatchObject({
      status: 'error',
      attributes: { 'decision.id': id, 'decision.code': code, 'error.type': code },
    })
    expect(spanOf(trace, 'send model.outputs.dlq').parentSpanId).toBe(processed.spanId)
  })

  test('no span shows what was in an event', async () => {
    const { traces: all } = (await (await fetch(`${traces}/api/traces?limit=1000`)).json()) as {
      traces: readonly Trace[]
    }
    expect(all.length).toBeGreaterThan(10)
    expect(JSON.stringify(all)).not.toMatch(/"(s|c|l|o)-\d+"|EUR|phones|garden/)
  })

  test('the page shows a decision to a person', async () => {
    const { id, trace } = await traceOf('execute', ['process decisions.execute'])
    const list = await (await fetch(`${traces}/?decisionId=${id}`)).text()
    expect(list).toContain(trace.traceId)
    expect(await (await fetch(`${traces}/trace/${trace.traceId}`)).text()).toContain('process decisions.execute')
  })

  test('commands find the running stack by themselves', async () => {
    const [id] = [...printed(demo)].find(([, it]) => it.route === 'review')!
    const { code, stdout } = await runCli(['explain', id], {}, checkout.root)
    expect(code).toBe(0)
    expect(stdout).toContain('Decided again from this record: the same verdict.')
  })

  test('Ctrl-C ends all of it in order, within 15 s', async () => {
    const parts = await descendants(demo.pid)
    expect(parts.size).toBeGreaterThanOrEqual(3)
    const { code, ms } = await demo.stop('SIGINT')
    console.log(`Ctrl-C to the end: ${ms.toFixed(0)} ms for ${parts.size} processes`)
    expect(ms).toBeLessThan(15_000)
    expect({ code, stderr: demo.stderr() }).toEqual({ code: 0, stderr: '' })
    expect(demo.stdout()).toMatch(/0 without a verdict, 0 answered twice/)
    expect(survivors(parts)).toEqual([])
    expect(existsSync(stackFile())).toBe(false)
  })
})
