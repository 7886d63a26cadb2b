import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import { Kafka, logLevel } from 'kafkajs'
import type { Admin } from 'kafkajs'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import type { AuditReport } from '../../src/audit/auditor.ts'
import type { AuditFinding, FindingKind } from '../../src/audit/finding.ts'
import { NO_CALIBRATION } from '../../src/decision/calibration.ts'
import { NO_CERTIFICATES } from '../../src/decision/certificate.ts'
import { decide } from '../../src/decision/decide.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { readAll } from '../../src/kafka/lookup.ts'
import type { FetchedRecord } from '../../src/kafka/wire/record-reader.ts'
import { loadPolicy } from '../../src/policy/load-policy.ts'
import { endInOrder, endProcesses, runCli, startCli } from './support/cli.ts'
import type { CliProcess } from './support/cli.ts'
import { deploy, event, many, policyText } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import { until } from './support/until.ts'

/** What a broken processor or a hand on the topics could do is found by a process that has no part in deciding. */

const stack = inject('stack')
const PARTITIONS = 3
const loaded = loadPolicy(policyText(), 'policy.yaml')
if (loaded.kind === 'problems') throw new Error('the policy has problems')
const { policy } = loaded
let it: Deployment
let admin: Admin

beforeAll(async () => {
  admin = new Kafka({ brokers: [...stack.brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
})
afterEach(async () => {
  await endProcesses()
  await it.close()
})
afterAll(() => admin.disconnect())

/** A deployment with some hundred answers of every kind, and nobody who decides any more. */
async function decided(): Promise<void> {
  it = await deploy(stack, { partitions: PARTITIONS })
  const processor = it.start()
  const positions = [
    ...(await it.send([...many(240), ...many(40, { confidence: 0.1 }), ...many(40, { confidence: null })])),
  ]
  for (const bytes of [Buffer.from('garbage'), Buffer.alloc(0), Buffer.from([0, 0, 0, 0, 99])])
    positions.push(await it.put(bytes))
  await processor.untilReady()
  await it.answers.all(positions)
  await endInOrder(processor)
}

const startAudit = (): CliProcess => startCli(['audit', '--follow'], it.env())

async function reportOf(audit: CliProcess): Promise<AuditReport> {
  const answer = await fetch(`${await audit.http()}/audit`, { signal: AbortSignal.timeout(5000) })
  return (await answer.json()) as AuditReport
}

const isSure = ({ partitions }: AuditReport): boolean =>
  partitions.length === PARTITIONS && partitions.every(({ sure, committed }) => committed > 0 && sure >= committed)

type Injected = { readonly kind: FindingKind; readonly partition: number; readonly offset: number }

/** Events that lie in the input and that nobody decides, as the verdicts on them would be. */
async function undecided(count: number): Promise<readonly Verdict[]> {
  const sent = await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const one = event({ confidence: 0.9, action: 'item.flag' })
      const bytes = await it.records.encode('ModelOutput', it.topics.input, one)
      return { one, bytes, position: await it.put(bytes, { partition: n % PARTITIONS, key: 'k' }) }
    }),
  )
  const records = new Map(
    (await readAll(it.connection, it.topics.input)).map((record) => [
      `${record.topic}:${record.partition}:${record.offset}`,
      record,
    ]),
  )
  return sent.map(({ one, bytes, position }) => {
    const { topic, partition, offset, timestamp } = records.get(position)!
    const digest = createHash('sha256').update(bytes.subarray(5)).digest('hex').slice(0, 32)
    const source = { topic, partition, offset, timestamp, keyed: true, schemaId: bytes.readInt32BE(1), digest }
    const facts = {
      now: Date.now(),
      clock: 'processor',
      state: 'unavailable',
      first: null,
      context: [],
      counters: [],
      control: [],
    } as const
    return decide({ event: one, source }, facts, policy, NO_CALIBRATION, NO_CERTIFICATES)
  })
}

/** Each is one lie that a verdict might tell. */
const ALTERATIONS: readonly ((verdict: Verdict) => Verdict)[] = [
  (verdict) => ({ ...verdict, route: 'execute' }),
  (verdict) => ({ ...verdict, event: { ...verdict.event, confidence: 0.95 } }),
  (verdict) => ({ ...verdict, event: { ...verdict.event, attributes: { amount: 1 } } }),
  (verdict) => ({ ...verdict, findings: verdict.findings.slice(0, -1) }),
  (verdict) => ({ ...verdict, actionKey: '0'.repeat(32) }),
  (verdict) => ({ ...verdict, source: { ...verdict.source, digest: 'f'.repeat(32) } }),
  (verdict) => ({ ...verdict, facts: { ...verdict.facts, state: 'ok' } }),
  (verdict) => ({ ...verdict, notAfter: 1 }),
]

async function write(verdict: Verdict): Promise<void> {
  const topic = it.topics[verdict.route]
  await it.producer.send([
    {
      topic,
      partition: verdict.source.partition,
      key: Buffer.from('k'),
      value: await it.records.encode('Verdict', topic, verdict),
      timestamp: verdict.facts.now,
      headers: [['ce_id', verdict.decisionId]],
    },
  ])
}

async function alter(verdict: Verdict, n: number): Promise<Injected> {
  await write(ALTERATIONS[n % ALTERATIONS.length]!(verdict))
  return { kind: 'altered', partition: verdict.source.partition, offset: verdict.source.offset }
}

async function double(record: FetchedRecord): Promise<Injected> {
  const { topic, partition, key, value, timestamp, headers } = record
  await it.producer.send([
    { topic, partition, key, value, timestamp, headers: [...headers].map(([name, text]) => [name, Buffer.from(text)]) },
  ])
  const id = Buffer.from(headers.get('ce_id') ?? []).toString('utf8')
  const offset =
    id === '' ? Buffer.from(headers.get('__connect.errors.offset') ?? []).toString('utf8') : id.split(':').at(-1)
  return { kind: 'doubled', partition, offset: Number(offset) }
}

/** As an operator's offset reset does: everything that lies in the input counts as decided. */
async function commitToTheEnd(): Promise<void> {
  const ends = await admin.fetchTopicOffsets(it.topics.input)
  await admin.setOffsets({
    groupId: it.name,
    topic: it.topics.input,
    partitions: ends.map(({ partition, high }) => ({ partition, offset: high })),
  })
}

const nameOf = ({ kind, partition, offset }: Injected): string => `${kind} ${partition}:${offset}`

const namesIn = (findings: readonly AuditFinding[]): readonly string[] =>
  findings.flatMap(({ kind, partition, from, next }) =>
    Array.from({ length: next - from }, (_, n) => nameOf({ kind, partition, offset: from + n })),
  )

test(
  'of 100 lost, doubled and altered verdicts all are reported within 30 seconds, and nothing else is',
  { timeout: 150_000 },
  async () => {
    await decided()
    const audit = startAudit()
    await until('all is sure', async () => isSure(await reportOf(audit)), 60_000)
    expect((await reportOf(audit)).recent).toEqual([])
    const records = (
      await Promise.all(
        [it.topics.execute, it.topics.review, it.topics.deadLetters].map((topic) => readAll(it.connection, topic)),
      )
    ).flat()
    const injected = new Map<string, number>()
    const note = (one: Injected): unknown => injected.set(nameOf(one), Date.now())
    for (let n = 0; n < 34; n++) note(await double(records[(n * 7) % records.length]!))
    const verdicts = await undecided(66)
    for (const [n, verdict] of verdicts.slice(0, 33).entries()) note(await alter(verdict, n))
    await commitToTheEnd()
    for (const { source } of verdicts.slice(33))
      note({ kind: 'lost', partition: source.partition, offset: source.offset })
    expect(injected.size).toBe(100)
    const seen = new Map<string, number>()
    await until(
      'all are reported',
      async () => {
        for (const name of namesIn((await reportOf(audit)).recent)) if (!seen.has(name)) seen.set(name, Date.now())
        return [...injected.keys()].every((name) => seen.has(name))
      },
      30_000,
    ).catch(() => undefined)
    const missed = [...injected.keys()].filter((name) => !seen.has(name))
    const delays = [...injected].map(([name, at]) => (seen.get(name) ?? Infinity) - at)
    console.log(
      `${injected.size - missed.length} of ${injected.size} reported, the last ${Math.max(...delays)} ms after it was done`,
    )
    expect(missed).toEqual([])
    expect(Math.max(...delays)).toBeLessThan(30_000)
    const report = await reportOf(audit)
    expect([...seen.keys()].filter((name) => !injected.has(name))).toEqual([])
    expect(report).toMatchObject({ ok: false, findings: { lost: 33, doubled: 34, altered: 33, orphan: 0, counter: 0 } })
    expect(isSure(report)).toBe(true)
    const metrics = await (await fetch(`${await audit.http()}/metrics`)).text()
    expect(metrics).toMatch(/audit_findings_total\{kind="lost"\} 33/)
    for (const { partition, sure } of report.partitions)
      expect(metrics).toContain(`audit_sure_offset{partition="${partition}"} ${sure}`)
    const once = await runCli(['audit', '--json'], it.env())
    expect(once.code).toBe(1)
    expect((JSON.parse(once.stdout) as AuditReport).findings).toEqual(report.findings)
  },
)

test(
  'one run says that all is well up to what is committed; what retention has deleted is told, and not as lost',
  { timeout: 150_000 },
  async () => {
    await decided()
    const well = await runCli(['audit'], it.env())
    expect([well.stderr, well.code]).toEqual(['', 0])
    expect(well.stdout).toContain('Nothing is wrong: every event has exactly one answer')
    expect(well.stdout).toMatch(/320 verdicts and 3 dead letters were read/)
    for (const topic of [it.topics.execute, it.topics.review]) {
      await admin.fetchTopicOffsets(topic)
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '5' }] })
    }
    const cut = await runCli(['audit', '--json'], it.env())
    const report = JSON.parse(cut.stdout) as AuditReport
    expect([cut.code, report.ok, report.findings.lost]).toEqual([0, true, 0])
    expect(report.partitions[0]!.untold).toBeGreaterThan(0)
    expect(report.partitions.slice(1).map(({ untold }) => untold)).toEqual([0, 0])
  },
)

test('counters of state that are lower than what the verdicts counted are found', { timeout: 150_000 }, async () => {
  it = await deploy(stack, { policy: policyText({ window: '64s' }).replaceAll('window: 1s', 'window: 64s') })
  const processor = it.start()
  await processor.untilReady()
  await it.answers.all(await it.send(many(60)))
  // A window is counted in 16 parts, and only those that are over can be told to be too low.
  await new Promise((resolve) => setTimeout(resolve, 9000))
  await it.answers.all(await it.send(many(8)))
  expect(JSON.parse((await runCli(['audit', '--json'], it.env())).stdout)).toMatchObject({ ok: true })
  const redis = new Redis(stack.redis)
  await redis.eval(
    "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end",
    0,
    `{${it.name}}:c:*`,
  )
  redis.disconnect()
  await endInOrder(processor)
  const { code, stdout } = await runCli(['audit'], it.env())
  expect(code).toBe(1)
  expect(stdout).toMatch(/counter: .*state holds 0 in counter p[0-9a-f]{32}, and the verdicts counted at least \d/)
})
