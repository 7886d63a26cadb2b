import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { Outcome } from '../../src/avro/record-types.ts'
import { createRecords, type Records } from '../../src/avro/records.ts'
import { openRegistry, REGISTRY_DEFAULTS } from '../../src/avro/registry.ts'
import { RAW_THRESHOLD } from '../../src/commands/demo/drift/drift-plan.ts'
import { driftingModel } from '../../src/commands/demo/drift/drifting-model.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { LogLookup } from '../../src/kafka/lookup.ts'
import { copyCheckout, descendants, survivors } from './support/checkout.ts'
import { endProcesses, startCli } from './support/cli.ts'
import type { CliProcess } from './support/cli.ts'
import { until } from './support/until.ts'

/**
 * `npm start -- --demo drift` as a user meets it, and what it has written held against the model's own truth: a certificate is
 * found, executed on, and withdrawn when the model drifts, and the promise is kept where a plain threshold breaks it.
 */

/** So long a stream that the promise is kept with room to spare even where a slow machine withdraws late. */
const EVENTS = 25_000
const DRIFT_AT = 20_000
const SEED = 1
const RISK = 0.05

const stack = inject('stack')
const name = `drift-${process.pid}`
const topics = 'INPUT EXECUTE REVIEW REJECT DEAD_LETTERS CONTEXT CONTROL POLICIES OUTCOMES'.split(' ')
const topicOf = (part: string): string => `${name}.${part.toLowerCase()}`
const given = {
  KAFKA_BROKERS: stack.brokers.join(),
  SCHEMA_REGISTRY_URL: stack.registry,
  REDIS_URL: stack.redis,
  OTEL_TRACES_EXPORTER: 'none',
  OTEL_EXPORTER_OTLP_ENDPOINT: stack.otlp,
  KAFKA_GROUP_ID: name,
  SLUICE_DEPLOYMENT: name,
  ...Object.fromEntries(topics.map((it) => [`TOPIC_${it}`, topicOf(it)])),
}

let checkout: Awaited<ReturnType<typeof copyCheckout>>
let demo: CliProcess
let parts: ReadonlyMap<number, string>
let executed: readonly Verdict[]
let reviewed: readonly Verdict[]
let outcomes: readonly Outcome[]

beforeAll(async () => {
  checkout = await copyCheckout()
  const registry = await openRegistry({ ...REGISTRY_DEFAULTS, address: { url: stack.registry, credentials: null } })
  const args = ['--events', String(EVENTS), '--seed', String(SEED), '--stack', 'given']
  demo = startCli(['demo', '--demo', 'drift', ...args], given, checkout.root)
  await until('it executes', () => demo.hasEnded() || demo.stdout().includes('── executes start'), 240_000)
  parts = await descendants(demo.pid)
  await demo.ended
  const records = createRecords(registry, 33_554_432)
  executed = await allOf(records, 'Verdict', 'EXECUTE')
  reviewed = await allOf(records, 'Verdict', 'REVIEW')
  outcomes = await allOf(records, 'Outcome', 'OUTCOMES')
  await registry.close()
}, 480_000)
afterAll(async () => {
  await endProcesses()
  await checkout.remove()
})

async function allOf<K extends 'Verdict' | 'Outcome'>(records: Records, kind: K, topic: string) {
  const lookup = new LogLookup({ brokers: stack.brokers, clientId: 'scenario', ssl: null, sasl: null })
  try {
    const read = await lookup.all(topicOf(topic))
    return await Promise.all(
      read.map(async ({ value }) => {
        const decoded = await records.decode(kind, topicOf(topic), value)
        return decoded.kind === 'fault' ? expect.fail(decoded.fault.detail) : decoded.value
      }),
    )
  } finally {
    lookup.close()
  }
}

/** By an event's number in the stream. */
const truth = (): readonly boolean[] => {
  const model = driftingModel(SEED, '', DRIFT_AT, () => 0)
  return Array.from({ length: EVENTS }, () => model.next().value.right)
}
const numberOf = ({ event }: Verdict): number => Number(event.id.slice(event.id.lastIndexOf('-') + 1))
const wrongShare = (of: readonly Verdict[]): number => {
  const right = truth()
  return of.filter((it) => !(right[numberOf(it)] ?? false)).length / of.length
}

test('every event is decided once, and it ends with 0, and nothing is left running', async () => {
  const { code } = await demo.ended
  expect({ code, stderr: demo.stderr() }, demo.stdout().slice(-3000)).toEqual({ code: 0, stderr: '' })
  expect(demo.stdout()).toContain(`${EVENTS} events sent, ${EVENTS} decided, 0 without a verdict, 0 answered twice`)
  const numbers = [...executed, ...reviewed].map(numberOf).toSorted((a, b) => a - b)
  expect(numbers).toEqual(Array.from({ length: EVENTS }, (_, number) => number))
  expect(survivors(parts)).toEqual([])
})

test('nothing is executed before a certificate is found in what people said, and then from its threshold on', () => {
  const uncertified = reviewed.filter(({ code }) => code === 'calibration.uncertified').map(numberOf)
  expect(uncertified.length).toBeGreaterThan(EVENTS / 10)
  expect(Math.min(...executed.map(numberOf))).toBeGreaterThan(EVENTS / 10)
  expect(new Set(executed.map(({ score }) => score.certificate)).size).toBe(1)
  expect(new Set(executed.map(({ score }) => score.certified?.threshold))).toEqual(new Set([0.95]))
  expect(executed.filter(({ event }) => !((event.confidence ?? 0) >= 0.95))).toEqual([])
  expect(executed.filter((it) => numberOf(it) < DRIFT_AT).length).toBeGreaterThan(2000)
})

test('executors label what was picked for audit, with its chance, and reviewers everything that they see', () => {
  const right = truth()
  const labels = new Map(outcomes.filter(({ kind }) => kind === 'label').map((it) => [it.actionKey, it]))
  const audited = executed.filter(({ audit }) => audit.selected)
  expect(audited.length / executed.length).toBeGreaterThan(0.45)
  expect(audited.length / executed.length).toBeLessThan(0.55)
  for (const it of audited)
    expect(labels.get(it.actionKey)).toMatchObject({
      right: right[numberOf(it)],
      propensity: 0.5,
      source: '/demo/executor',
    })
  for (const it of reviewed)
    expect(labels.get(it.actionKey)).toMatchObject({ right: right[numberOf(it)], source: '/demo/reviewers' })
  expect(labels.size).toBe(audited.length + reviewed.length)
})

test('after the drift the monitor withdraws the certificate while the stream goes on, and executes stop', () => {
  const withdrawn = reviewed.filter(({ code }) => code === 'calibration.withdrawn')
  const first = withdrawn.reduce((least, { facts }) => Math.min(least, facts.now), Infinity)
  const drifted = [...executed, ...reviewed].find((it) => numberOf(it) === DRIFT_AT)?.facts.now ?? expect.fail()
  console.log(`withdrawn ${first - drifted} ms after the drift`)
  expect(first - drifted).toBeGreaterThan(0)
  const [order] = withdrawn[0]?.facts.control ?? []
  expect(order).toMatchObject({ author: 'sluice monitor', certificate: executed[0]?.score.certificate })
  expect(demo.stdout()).toMatch(
    /── executes stop, [\d.]+ s and \d+ events after the drift: `sluice monitor` has withdrawn/,
  )
  // Of what was sent once the first verdict without the certificate had been read.
  expect(demo.stdout()).toMatch(/^after that 0 executed on it;/mu)
})

test('the share of wrong executes stays under the promise, and a plain threshold on the same stream does not', () => {
  const raw = [...executed, ...reviewed].filter(({ event }) => (event.confidence ?? 0) > RAW_THRESHOLD)
  console.log(`wrong: ${wrongShare(executed)} by the certificate, ${wrongShare(raw)} by the plain threshold`)
  expect(wrongShare(executed)).toBeLessThan(RISK)
  expect(wrongShare(raw)).toBeGreaterThan(2 * RISK)
  const row = (start: string): readonly string[] =>
    (
      demo
        .stdout()
        .split('\n')
        .findLast((line) => line.startsWith(start)) ?? ''
    )
      .replaceAll(',', '')
      .trim()
      .split(/\s{2,}/)
  expect(row('by the certificate')[1]).toBe(String(executed.length))
  expect(row('if (confidence')[1]).toBe(String(raw.length))
  expect(demo.stdout()).toContain(`the promise was kept: ${(100 * wrongShare(executed)).toFixed(2)} % wrong`)
})
