import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { Certificate } from '../../src/commands/certificate-file.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { reportOutcomes } from '../../src/sdk/index.ts'
import type { OutcomeReporter } from '../../src/sdk/index.ts'
import { Producer } from '../../src/kafka/producer.ts'
import { inShort } from './support/answers.ts'
import { endInOrder, endProcesses, runCli } from './support/cli.ts'
import { deploy, event, policyText } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import { startProcessor } from './support/processor.ts'
import type { ProcessorProcess } from './support/processor.ts'
import { until } from './support/until.ts'

/** A certificate made from a stream's own labels, watched, and withdrawn when the model has changed. */

const PAY = 'item.pay'
/** Long enough for all labels to be written on a slow machine. */
const AGE_MS = 6000
const POLICY = policyText().replace(
  'context:\n',
  `  ${PAY}: { undo: compensable, audit: 1, confidence: { certified: { risk: 0.05, assurance: 0.95 } } }
context:
`,
)

let it: Deployment
let processor: ProcessorProcess
let monitor: ProcessorProcess
let reporter: OutcomeReporter
let file: string
let certificate: Certificate

const env = (): Readonly<Record<string, string>> =>
  it.env({ SLUICE_MATURITY_MS: String(AGE_MS), SLUICE_SETTLE_MS: '300' })

const startMonitor = (): ProcessorProcess => startProcessor(env(), 'monitor')

type Status = {
  readonly counted: number
  readonly errors: number
  readonly missing: number
  readonly evidence: number
  readonly withdrawn: { readonly reason: string } | null
}

async function status(): Promise<Status | undefined> {
  const { code, stdout } = await runCli(['monitor', 'status', '--json'], env())
  return code === 0 ? (JSON.parse(stdout) as { readonly certificates: readonly Status[] }).certificates[0] : undefined
}

/** Sends events, waits for their verdicts and labels each; few at a time, so that each is labelled while it is young. */
async function decide(confidences: readonly number[], isRight: (n: number) => boolean): Promise<readonly Verdict[]> {
  const decided: Verdict[] = []
  for (let from = 0; from < confidences.length; from += 40) {
    const sent = await it.send(
      confidences.slice(from, from + 40).map((confidence) => event({ action: PAY, confidence })),
    )
    const verdicts = await Promise.all(sent.map((at) => it.answers.verdict(at)))
    const labels = verdicts.map((verdict, n) => reporter.report(verdict, { kind: 'label', right: isRight(from + n) }))
    await Promise.all(labels)
    decided.push(...verdicts)
  }
  return decided
}

const answerNow = async (): Promise<string> => {
  const [at] = await it.send([event({ action: PAY, confidence: 0.99 })])
  return inShort(await it.answers.of(at!))
}

beforeAll(async () => {
  const servers = inject('stack')
  it = await deploy(servers, { policy: POLICY })
  file = join(it.folder, 'certificates.json')
  const access = { kafka: { brokers: servers.brokers }, registry: { url: servers.registry } }
  reporter = reportOutcomes({ ...access, topic: it.topics.outcomes, source: '/scenario/labels' })
  processor = it.start()
  await processor.untilReady()
})
afterAll(async () => {
  await endProcesses()
  await reporter.close()
  await it.close()
})

test('a certificate is found in what people said of reviewed events, and then the action is executed', async () => {
  const scores = Array.from({ length: 600 }, (_, n) => (n % 100) / 100)
  const verdicts = await decide(scores, (n) => scores[n]! > 0.4 || n % 3 === 0)
  expect(new Set(verdicts.map(({ route, code }) => `${route} ${code}`))).toEqual(
    new Set(['review calibration.uncertified']),
  )
  const args = ['certify', '--from-topics', '--model', 'model@1', '--action', PAY, '--risk', '0.05', '-o', file]
  const young = await runCli([...args, '--maturity', '1h'], env())
  expect(young).toMatchObject({ code: 2, stdout: '' })
  expect(young.stderr).toContain('none of 600 events is of full age')
  await new Promise((resolve) => setTimeout(resolve, AGE_MS))
  const found = await runCli(args, env())
  expect(found).toMatchObject({ code: 0, stderr: '' })
  expect(found.stdout).toContain(
    '0 executed events, 0 of them audited, and 480 reviewed ones of full age, after 120 that',
  )
  certificate = (JSON.parse(await readFile(file, 'utf8')) as { certificates: readonly Certificate[] }).certificates[0]!
  expect(certificate.threshold).toBeGreaterThan(0.3)
  expect(certificate.threshold).toBeLessThan(0.8)
  await endInOrder(processor)
  processor = it.start({ SLUICE_CERTIFICATES: file })
  await processor.untilReady()
  await until('it is executed', async () => (await answerNow()) === 'execute confidence.sufficient')
})

test('the monitor counts what is of full age, and an unlabelled execution as wrong', async () => {
  const none = await runCli(['monitor', 'status'], env())
  expect(none.code).toBe(1)
  expect(none.stderr).toContain('has counted yet')
  monitor = startMonitor()
  await monitor.untilReady(60_000)
  const before = await until('it counts', status)
  expect(before.missing).toBe(before.errors)
  const verdicts = await decide(
    Array.from({ length: 100 }, () => 0.99),
    () => true,
  )
  expect(new Set(verdicts.map(({ route, audit }) => `${route} ${audit.selected} ${audit.propensity}`))).toEqual(
    new Set(['execute true 1']),
  )
  const after = await until('all are counted', async () => {
    const now = await status()
    return now !== undefined && now.counted >= before.counted + 100 ? now : null
  })
  expect(after.errors).toBe(before.errors)
  expect(after.withdrawn).toBeNull()
  expect(await monitor.metric('watch_outcomes_total', { result: 'right' })).toBeGreaterThanOrEqual(100)
})

test('a certificate that cannot be watched is said to be none that is, and counts nothing', async () => {
  const [verdict] = await decide([0.99], () => true)
  const { score } = verdict!
  const unwatched = 'e'.repeat(32)
  const certified = { ...score.certified!, budget: 'per-event' as const }
  const perEvent = { ...verdict!, score: { ...score, certificate: unwatched, certified } }
  const value = await it.records.encode('Verdict', it.topics.execute, perEvent)
  const producer = new Producer(it.connection)
  await producer.send([
    { topic: it.topics.execute, partition: 0, key: null, value, timestamp: Date.now(), headers: [] },
  ])
  await producer.close()
  await until('it is told of', async () => (await monitor.metric('watch_unwatched_certificates')) === 1)
  expect(monitor.log().filter((line) => line['certificate'] === unwatched)).toMatchObject([
    { level: 'warn', message: expect.stringContaining('is executed on and is not watched') as string },
  ])
  const { stdout } = await until('its status says so', async () => {
    const said = await runCli(['monitor', 'status'], env())
    return said.stdout.includes(unwatched) && said
  })
  expect(stdout).toContain(`${unwatched} is not watched, since it bounds errors among all events`)
  const told = JSON.parse((await runCli(['monitor', 'status', '--json'], env())).stdout) as Record<string, unknown>
  expect(told['unwatched']).toEqual([unwatched])
  expect((told['certificates'] as readonly { certificate: string }[]).map((it) => it.certificate)).toEqual([
    certificate.id,
  ])
})

test('a model that errs is withdrawn within seconds of full age, and says why', async () => {
  await decide(
    Array.from({ length: 60 }, () => 0.99),
    (n) => n % 4 === 0,
  )
  const labelledAt = performance.now()
  await until('it is withdrawn', async () => (await answerNow()) === 'review calibration.withdrawn')
  // The age, settling, and a look at the topics twice a second; the machine may be slow.
  expect(performance.now() - labelledAt).toBeLessThan(AGE_MS + 10_000)
  const now = await until('its status says so', async () => (await status())?.withdrawn ?? null)
  expect(now.reason).toContain('more executed events are wrong than the promised 5 %')
  expect(await monitor.metric('watch_withdrawals_total')).toBe(1)
  const said = monitor.log().find(({ message }) => message.startsWith('certificate withdrawn'))
  expect(said).toMatchObject({ level: 'error', certificate: certificate.id, reason: now.reason })
  const [at] = await it.send([event({ action: PAY, confidence: 0.99 })])
  const { findings } = await it.answers.verdict(at!)
  expect(findings[0]?.detail).toContain(
    '`sluice monitor` has withdrawn the certificate: more executed events are wrong',
  )
  const list = await runCli(['control', 'list'], env())
  expect(list.stdout).toContain(`certificate ${certificate.id} withdrawn`)
  expect(list.stdout).toContain('by sluice monitor')
})

test('killed and started again it goes on where it was, and a replay of the topics gives the same bytes', async () => {
  const before = await until('it has a status', status)
  await monitor.stop('SIGKILL')
  monitor = startMonitor()
  await monitor.untilReady(60_000)
  const after = await until('it counts on', async () => {
    const now = await status()
    return now !== undefined && now.counted >= before.counted ? now : null
  })
  expect(after.withdrawn).toEqual(before.withdrawn)
  const replay = await runCli(['monitor', 'replay'], env())
  expect({ code: replay.code, stderr: replay.stderr }).toEqual({ code: 0, stderr: '' })
  expect(replay.stdout).toMatch(/^the same \d+ bytes up to /)
  const text = (await runCli(['monitor', 'status'], env())).stdout
  expect(text).toContain(`${certificate.id}: at most 5 % wrong`)
  expect(text).toContain('  withdrawn  ')
})

test('a calibration is fitted to the same topics', async () => {
  const args = ['calibrate', '--from-topics', '--model', 'model@1', '--action', PAY, '--missing', 'exclude']
  const { code, stdout, stderr } = await runCli(args, env())
  expect({ code, stderr, stdout }).toMatchObject({ code: 0, stderr: '' })
  expect(stdout).toContain('executed events')
})

test('everything ends in order', async () => {
  await endInOrder(monitor)
  await endInOrder(processor)
})
