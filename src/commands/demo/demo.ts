import { mkdir, mkdtemp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { styleText } from 'node:util'
import { openStack, type Stack, type StackKind } from '../../../deploy/local/stack.ts'
import { StackError } from '../../../deploy/local/stack-error.ts'
import { removeStackFile, writeStackFile } from '../../../deploy/local/stack-file.ts'
import { createRecords } from '../../avro/records.ts'
import { openRegistry } from '../../avro/registry.ts'
import { readConfig } from '../../config.ts'
import type { Config } from '../../config.ts'
import { registryOptions } from '../../connections.ts'
import { untilInterrupted } from '../interrupt.ts'
import { setUp } from '../setup.ts'
import { verdictLine } from '../verdict-line.ts'
import { startChild } from './children.ts'
import type { Child } from './children.ts'
import { Tally } from './tally.ts'
import { watchAnswers } from './watch.ts'

export type DemoOptions = {
  readonly stack: StackKind | undefined
  /** Stop after so many; null: run until interrupted. */
  readonly events: number | null
  readonly perSecond: number
  readonly seed: number
}

const ROOT = join(import.meta.dirname, '..', '..', '..')
const POLICY = join(ROOT, 'deploy', 'policies', 'marketplace.yaml')
const CALIBRATION = join(ROOT, 'deploy', 'policies', 'marketplace.calibration.json')
/** With no new verdict for so long, what is missing is taken to be lost, milliseconds. */
const PATIENCE_MS = 30_000
const STOP_MS = 10_000
const TALLY_EVERY_MS = 5000
const SAID_LINES = 20

/**
 * `npm start`: a stack, the processor, a producer and an executor, each verdict on a line with its reasons. Ends with
 * Ctrl-C or after the given number of events: 0 when every event has exactly one verdict or dead letter, else 1.
 */
export async function demo(options: DemoOptions): Promise<number> {
  using interrupt = untilInterrupted()
  await using open = new AsyncDisposableStack()
  const folder = await runFolder()
  const stack = await openStack({ log: console.log, ...(options.stack !== undefined && { kind: options.stack }) })
  open.defer(() => stack.close())
  const config = readConfig(undefined, demoEnv(stack, folder, 'sluice'))
  await setUp(config, (line) => console.log(`  ${line}`))
  const tally = new Tally()
  const parts = await startParts({ stack, folder, config, options, tally, open, signal: interrupt.signal })
  if (parts === null) return 1
  printAddresses(stack, parts.http, folder)
  if (await writeStackFile(stack, parts.http)) open.defer(() => removeStackFile())
  else console.log('Another `npm start` runs in this folder, and `npx sluice` here goes on speaking to that one.\n')
  const complete = await untilDone(options, tally, parts, interrupt.signal)
  for (const line of ['', ...tally.summary()]) console.log(line)
  return complete && tally.repeated === 0 ? 0 : 1
}

/** Logs and the schema cache of this run; the registry of a local stack forgets its ids with each run. */
async function runFolder(): Promise<string> {
  const parent = join(ROOT, '.sluice')
  try {
    await mkdir(parent, { recursive: true })
    return await mkdtemp(join(parent, 'run-'))
  } catch (error) {
    throw new StackError(`logs go to ${parent}, which cannot be written: ${String(error)}; use a copy that is yours`)
  }
}

const demoEnv = (stack: Stack, folder: string, service: string): NodeJS.ProcessEnv => ({
  ...process.env,
  KAFKA_BROKERS: stack.brokers.join(','),
  SCHEMA_REGISTRY_URL: stack.registry,
  REDIS_URL: stack.redis,
  SCHEMA_CACHE: join(folder, `${service}-schemas.json`),
  SLUICE_POLICY: process.env['SLUICE_POLICY'] ?? POLICY,
  SLUICE_CALIBRATION: process.env['SLUICE_CALIBRATION'] ?? CALIBRATION,
  SLUICE_SLOT: process.env['SLUICE_SLOT'] ?? 'demo',
  SLUICE_HTTP_PORT: process.env['SLUICE_HTTP_PORT'] ?? '0',
  SLUICE_TRACE_EXECUTE_SHARE: process.env['SLUICE_TRACE_EXECUTE_SHARE'] ?? '1',
  OTEL_EXPORTER_OTLP_ENDPOINT: stack.otlp,
  OTEL_SERVICE_NAME: service,
})

type Parts = {
  readonly processor: Child
  readonly producer: Child
  readonly executor: Child
  readonly http: string
  readonly folder: string
  readonly sent: () => boolean
}

type Starting = {
  readonly stack: Stack
  readonly folder: string
  readonly config: Config
  readonly options: DemoOptions
  readonly tally: Tally
  readonly open: AsyncDisposableStack
  readonly signal: AbortSignal
}

/** Null when the processor ended before it was ready. The producer starts last, so that nothing it sends is missed. */
async function startParts(starting: Starting): Promise<Parts | null> {
  const { stack, folder, config, options, tally, open } = starting
  const start = (name: string, args: readonly string[], onMessage: (message: Message) => void): Child => {
    const child = startChild(name, args, demoEnv(stack, folder, name), join(folder, `${name}.log`), (it) =>
      onMessage(it as Message),
    )
    open.defer(() => child.stop(STOP_MS))
    return child
  }
  const watching = new AbortController()
  open.defer(() => watching.abort())
  await watchDemo(config, tally, watching.signal)
  const http = Promise.withResolvers<string | null>()
  const processor = start('sluice', ['run'], ({ http: url }) => url !== undefined && http.resolve(url))
  void processor.ended.then(() => http.resolve(null))
  const url = await http.promise
  if (url === null || !(await untilReady(url, processor, starting.signal))) {
    if (processor.over.aborted) await reportEnd('ended before it was ready', folder)
    return null
  }
  const executor = start(
    'demo-executor',
    ['demo-executor'],
    ({ executed }) => executed !== undefined && tally.executed(),
  )
  let done = false
  const producer = start('demo-producer', producerArgs(options), (message) => {
    if (message.sent !== undefined) tally.sent(message.sent, message.story ?? '')
    if (message.done !== undefined) done = true
  })
  return { processor, producer, executor, http: url, folder, sent: () => done }
}

/** What our children tell us. */
type Message = {
  readonly http?: string
  readonly sent?: string
  readonly story?: string
  readonly done?: number
  readonly executed?: string
}

const producerArgs = ({ events, perSecond, seed }: DemoOptions): readonly string[] => [
  'demo-producer',
  '--rate',
  String(perSecond),
  '--seed',
  String(seed),
  ...(events === null ? [] : ['--events', String(events)]),
]

async function watchDemo(config: Config, tally: Tally, signal: AbortSignal): Promise<void> {
  const registry = await openRegistry(registryOptions(config, () => undefined))
  const records = createRecords(registry, config.SLUICE_MAX_VERDICT_BYTES)
  await watchAnswers(config, records, {
    signal,
    onVerdict: (verdict) => {
      tally.answered(verdict.decisionId, verdict.route, verdict.code)
      console.log(verdictLine(verdict))
    },
    onDeadLetter: (position, code, detail) => {
      tally.answered(position, 'dead letter', code)
      console.log(
        `${new Date().toISOString().slice(11, 23)}  ${styleText('magenta', 'dead letter')}  ${code}: ${detail}  ${styleText('dim', position)}`,
      )
    },
  })
}

async function untilReady(url: string, processor: Child, signal: AbortSignal): Promise<boolean> {
  const over = AbortSignal.any([signal, processor.over])
  while (!over.aborted) {
    const answer = await fetch(`${url}/readyz`).catch(() => null)
    if (answer?.ok === true) return true
    await delay(100)
  }
  return false
}

/** With what it said to people, which is what in its log is not JSON. */
async function reportEnd(what: string, folder: string): Promise<void> {
  const file = join(folder, 'sluice.log')
  const lines = (await readFile(file, 'utf8')).split('\n')
  const said = lines.filter((line) => line !== '' && !line.startsWith('{')).slice(-SAID_LINES)
  console.error([`the processor ${what}; its log is ${file}`, ...said.map((line) => `  ${line}`)].join('\n'))
}

function printAddresses(stack: Stack, http: string, folder: string): void {
  const rows = [
    ['Kafka', stack.brokers.join(',')],
    ['schema registry', stack.registry],
    ['Redis', stack.redis],
    ['traces', stack.traces ?? `sent to ${stack.otlp}`],
    ['processor', `${http}/readyz, ${http}/metrics`],
    ['logs', folder],
  ]
  console.log('')
  for (const [name = '', address = ''] of rows) console.log(`  ${name.padEnd(16)} ${address}`)
  console.log('\nCtrl-C ends it all.\n')
}

/** Whether every event sent has an answer by then. */
async function untilDone(options: DemoOptions, tally: Tally, parts: Parts, signal: AbortSignal): Promise<boolean> {
  let lastProgress = { unanswered: -1, sent: -1, at: Date.now() }
  let lastTally = Date.now()
  for (;;) {
    await delay(50, undefined, { signal }).catch(() => undefined)
    if (Date.now() - lastTally > TALLY_EVERY_MS) {
      lastTally = Date.now()
      console.log(tally.line())
    }
    if (signal.aborted) return await settle(tally, parts)
    const [unanswered, sent] = [tally.unanswered.length, tally.sentCount]
    if (parts.sent() && unanswered === 0 && sent === options.events) return await untilExecuted(tally)
    if (parts.processor.over.aborted) {
      await reportEnd('has ended by itself', parts.folder)
      return false
    }
    if (unanswered !== lastProgress.unanswered || sent !== lastProgress.sent)
      lastProgress = { unanswered, sent, at: Date.now() }
    if (unanswered > 0 && Date.now() - lastProgress.at > PATIENCE_MS) return unansweredFor(tally)
  }
}

/** After an interrupt: no more events, and the verdicts of those that were sent are awaited for a moment. */
async function settle(tally: Tally, { producer }: Parts): Promise<boolean> {
  await producer.stop(STOP_MS)
  for (let waited = 0; tally.unanswered.length > 0 && waited < 3000; waited += 50) await delay(50)
  return tally.unanswered.length === 0 && (await untilExecuted(tally))
}

/** The executor follows a little behind. What it does not do in time (late, failed) is no failure of the verdicts. */
async function untilExecuted(tally: Tally): Promise<true> {
  for (let waited = 0; tally.undone > 0 && waited < 5000; waited += 50) await delay(50)
  return true
}

function unansweredFor(tally: Tally): boolean {
  const missing = tally.unanswered
  console.error(
    `${missing.length} events have no verdict after ${PATIENCE_MS / 1000} s: ${missing.slice(0, 10).join(', ')}`,
  )
  return false
}
