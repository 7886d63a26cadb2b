import { mkdir, mkdtemp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openStack, type Stack, type StackKind } from '../../../deploy/local/stack.ts'
import { StackError } from '../../../deploy/local/stack-error.ts'
import { removeStackFile, writeStackFile } from '../../../deploy/local/stack-file.ts'
import { createRecords } from '../../avro/records.ts'
import type { Records } from '../../avro/records.ts'
import { openRegistry } from '../../avro/registry.ts'
import { readConfig } from '../../config.ts'
import type { Config } from '../../config.ts'
import { registryOptions } from '../../connections.ts'
import type { SettingName } from '../../settings.ts'
import { setUp } from '../setup.ts'
import { startChild } from './children.ts'
import type { Child } from './children.ts'

type Settings = Partial<Readonly<Record<SettingName, string>>>

export type StageOptions = {
  readonly stack: StackKind | undefined
  /** Where the environment does not say otherwise. */
  readonly standard: Settings
  /** Whatever the environment says; `folder` is the run's own. */
  readonly fixed: (folder: string) => Settings
}

/** The servers of a demo, its topics, and what runs on them. All of it ends with `open`. */
export type Stage = {
  readonly stack: Stack
  /** Logs and the schema cache of this run. */
  readonly folder: string
  readonly config: Config
  readonly records: Records
  /** One of our commands as a process of its own, whose output goes to `NAME.log` in the folder. */
  readonly start: (name: string, args: readonly string[], onMessage?: (message: Message) => void) => Child
}

/** What our children tell us. */
export type Message = {
  readonly http?: string
  readonly sent?: string
  readonly story?: string
  readonly done?: number
  readonly executed?: string
}

export const ROOT = join(import.meta.dirname, '..', '..', '..')
export const POLICIES = join(ROOT, 'deploy', 'policies')
export const STOP_MS = 10_000
const SAID_LINES = 20

export async function openStage(options: StageOptions, open: AsyncDisposableStack): Promise<Stage> {
  const folder = await runFolder()
  const kind = options.stack === undefined ? {} : { kind: options.stack }
  const stack = await openStack({ log: console.log, ...kind })
  open.defer(() => stack.close())
  const env = (service: string) => stageEnv(stack, folder, service, options)
  const config = readConfig(undefined, env('sluice'))
  await setUp(config, (line) => console.log(`  ${line}`))
  const registry = await openRegistry(registryOptions(config, () => undefined))
  open.defer(() => registry.close())
  const records = createRecords(registry, config.SLUICE_MAX_VERDICT_BYTES)
  const start: Stage['start'] = (name, args, onMessage = () => undefined) => {
    const log = join(folder, `${name}.log`)
    const child = startChild(name, args, env(name), log, (message) => onMessage(message as Message))
    open.defer(() => child.stop(STOP_MS))
    return child
  }
  return { stack, folder, config, records, start }
}

/** The registry of a local stack forgets its ids with each run. */
async function runFolder(): Promise<string> {
  const parent = join(ROOT, '.sluice')
  try {
    await mkdir(parent, { recursive: true })
    return await mkdtemp(join(parent, 'run-'))
  } catch (error) {
    throw new StackError(`logs go to ${parent}, which cannot be written: ${String(error)}; use a copy that is yours`)
  }
}

const STANDARD: Settings = { SLUICE_SLOT: 'demo', SLUICE_HTTP_PORT: '0', SLUICE_TRACE_EXECUTE_SHARE: '1' }

const stageEnv = (stack: Stack, folder: string, service: string, options: StageOptions): NodeJS.ProcessEnv => ({
  ...STANDARD,
  ...options.standard,
  ...process.env,
  KAFKA_BROKERS: stack.brokers.join(','),
  SCHEMA_REGISTRY_URL: stack.registry,
  REDIS_URL: stack.redis,
  SCHEMA_CACHE: join(folder, `${service}-schemas.json`),
  OTEL_EXPORTER_OTLP_ENDPOINT: stack.otlp,
  OTEL_SERVICE_NAME: service,
  ...options.fixed(folder),
})

/** A service of ours that serves /readyz, once it is ready; null where it ended before, which is told of. */
export async function startService(
  stage: Stage,
  name: string,
  command: string,
  signal: AbortSignal,
): Promise<{ readonly child: Child; readonly http: string } | null> {
  const told = Promise.withResolvers<string | null>()
  const child = stage.start(name, [command], ({ http }) => http !== undefined && told.resolve(http))
  void child.ended.then(() => told.resolve(null))
  const http = await told.promise
  if (http !== null && (await untilReady(http, child, signal))) return { child, http }
  if (child.over.aborted) await reportEnd(child, 'ended before it was ready', stage.folder)
  return null
}

async function untilReady(url: string, { over }: Child, signal: AbortSignal): Promise<boolean> {
  const stop = AbortSignal.any([signal, over])
  while (!stop.aborted) {
    const answer = await fetch(`${url}/readyz`).catch(() => null)
    if (answer?.ok === true) return true
    await delay(100)
  }
  return false
}

/** With what it said to people, which is what in its log is not JSON. */
export async function reportEnd({ name }: Child, what: string, folder: string): Promise<void> {
  const file = join(folder, `${name}.log`)
  const lines = (await readFile(file, 'utf8')).split('\n')
  const said = lines.filter((line) => line !== '' && !line.startsWith('{')).slice(-SAID_LINES)
  const who = name === 'sluice' ? 'processor' : name
  console.error([`the ${who} ${what}; its log is ${file}`, ...said.map((line) => `  ${line}`)].join('\n'))
}

/** Where everything is, for people and for commands that are run in this folder meanwhile. */
export async function announce({ stack, folder }: Stage, http: string, open: AsyncDisposableStack): Promise<void> {
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
  if (await writeStackFile(stack, http)) open.defer(() => removeStackFile())
  else console.log('Another `npm start` runs in this folder, and `npx sluice` here goes on speaking to that one.\n')
}
