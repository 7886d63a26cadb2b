import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { httpAnswers, redisAnswers } from './answers.ts'
import { freePorts } from './free-ports.ts'
import { aliveBrokers } from './kafka-probe.ts'
import { runTool } from './local-process.ts'
import type { Log } from './log.ts'
import { StackError } from './stack-error.ts'
import type { Stack } from './stack.ts'
import { step } from './step.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const INFRASTRUCTURE = ['kafka', 'registry', 'redis', 'jaeger'] as const
const START_TIMEOUT_MS = 120_000

/** One for each checkout: what an earlier start left behind is found again and ended. */
const PROJECT = `sluice-${createHash('sha256').update(ROOT).digest('hex').slice(0, 6)}`

type Command = readonly [command: string, ...args: readonly string[]]

/** Why there can be no containers, in a few words; null when there can. */
export async function dockerRefusal(): Promise<string | null> {
  try {
    await runTool('docker', ['info', '--format', '{{.ServerVersion}}'], { timeout: 5_000 })
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return missing ? 'there is no `docker` in PATH' : 'Docker does not answer'
  }
  return (await composeCommand()) === null ? 'Docker has no Compose' : null
}

async function composeCommand(): Promise<Command | null> {
  const candidates: readonly Command[] = [['docker', 'compose'], ['docker-compose']]
  for (const [command, ...args] of candidates) {
    const runs = await runTool(command, [...args, 'version']).then(
      () => true,
      () => false,
    )
    if (runs) return [command, ...args]
  }
  return null
}

/** The compose file's servers in containers, on free ports of loopback. Nothing is kept. */
export async function dockerStack(log: Log): Promise<Stack> {
  const compose = await composeCommand()
  if (compose === null) throw new StackError('Docker has no Compose')
  const [kafka = 0, registry = 0, redis = 0, otlp = 0, traces = 0] = await freePorts(5)
  const env = {
    ...process.env,
    SLUICE_KAFKA_PORT: String(kafka),
    SLUICE_REGISTRY_PORT: String(registry),
    SLUICE_REDIS_PORT: String(redis),
    SLUICE_OTLP_PORT: String(otlp),
    SLUICE_TRACES_PORT: String(traces),
  }
  const containers = await composeUp(compose, env, log)
  await using open = new AsyncDisposableStack()
  open.defer(containers.down)
  const ready = (name: string, answers: () => Promise<boolean>) =>
    step(
      name,
      open,
      log,
      () => waitFor(name, answers),
      async () => undefined,
    )
  const registryUrl = `http://127.0.0.1:${registry}/apis/ccompat/v7`
  const tracesUrl = `http://127.0.0.1:${traces}`
  await Promise.all([
    ready('Apache Kafka', async () => (await aliveBrokers(kafka)).length > 0),
    ready('schema registry', () => httpAnswers(`${registryUrl}/subjects`)),
    ready('Redis', () => redisAnswers(redis)),
    ready('Jaeger', () => httpAnswers(tracesUrl)),
  ])
  const opened = open.move()
  return {
    kind: 'docker',
    brokers: [`127.0.0.1:${kafka}`],
    registry: registryUrl,
    redis: `redis://127.0.0.1:${redis}`,
    otlp: `http://127.0.0.1:${otlp}`,
    traces: tracesUrl,
    close: () => opened.disposeAsync(),
  }
}

/** Starts the containers and sees to it that they end with us, also when we end while they start. */
async function composeUp(
  [command, ...first]: Command,
  env: NodeJS.ProcessEnv,
  log: Log,
): Promise<{ readonly down: () => Promise<void> }> {
  const compose = [...first, '--project-name', PROJECT, '--file', join(ROOT, 'docker-compose.yml')]
  const end = [...compose, 'down', '--volumes', '--remove-orphans', '--timeout', '1']
  const endNow = () => void spawnSync(command, end, { env, stdio: 'ignore' })
  process.once('exit', endNow)
  const down = async () => {
    await runTool(command, end, { env })
    process.off('exit', endNow)
  }
  log('  containers: starting (the first time, images are fetched, which takes some minutes)')
  try {
    await runTool(command, end, { env })
    await runTool(command, [...compose, 'up', '--detach', ...INFRASTRUCTURE], { env })
  } catch (error) {
    await down()
    throw new StackError(`the containers did not start (${lastLineOf(error)})`)
  }
  return { down }
}

async function waitFor(name: string, answers: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + START_TIMEOUT_MS
  while (!(await answers())) {
    if (Date.now() > until)
      throw new StackError(`${name} in its container does not answer after ${START_TIMEOUT_MS / 1000} s`)
    await sleep(100)
  }
}

function lastLineOf(error: unknown): string {
  const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error)
  return output.trimEnd().split('\n').at(-1) ?? ''
}
