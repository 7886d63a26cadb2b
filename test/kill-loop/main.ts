import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startKafka } from '../../deploy/local/kafka.ts'
import { startRedis } from '../../deploy/local/redis.ts'
import { startRegistry } from '../../deploy/local/registry.ts'
import { between, pick, seededRandom } from '../../src/commands/demo/random.ts'
import type { Random } from '../../src/commands/demo/random.ts'
import { deploy, policyText } from '../scenarios/support/deployment.ts'
import type { Deployment } from '../scenarios/support/deployment.ts'
import { startProcessor } from '../scenarios/support/processor.ts'
import type { ProcessorProcess } from '../scenarios/support/processor.ts'
import { startTraffic } from './traffic.ts'
import { verify } from './verify.ts'

/**
 * `npm run kill-loop -- --kills N [--seed S] [--workers W] [--rate R] [--json]`: processors are killed (kill -9), frozen
 * past their session and woken as zombies, stopped in order, and the broker is killed, all under traffic; then every
 * input is held against what librdkafka reads. Exit code 1 when anything was lost, doubled, changed or counted wrong.
 */
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    rate: { type: 'string', default: '400' },
    json: { type: 'boolean', default: false },
  },
})

const KILLS = Number(values.kills)
const WORKERS = Number(values.workers)
/** Longer than the group's session, so that a frozen process wakes up as a zombie. */
const FREEZE_MS = 9000

/** Nothing leaves a window and no limit is reached while a run lasts, so that counters can be recounted. */
const POLICY = policyText({ window: '1d' })
  .replaceAll('window: 1s', 'window: 1d')
  .replace('max: 1000,', 'max: 1000000000,')

type Worker = { readonly slot: string; process: ProcessorProcess; busy: boolean }
type Deed = 'kill' | 'kill and restart later' | 'freeze' | 'stop in order' | 'kill the broker'

const say = (line: string): void => {
  if (!values.json) console.log(line)
}

async function main(): Promise<number> {
  await using open = new AsyncDisposableStack()
  const random = seededRandom(Number(values.seed))
  const [kafka, redis, registry] = await Promise.all([startKafka(), startRedis(), startRegistry()])
  open.defer(async () => void (await Promise.all([kafka.stop(), redis.stop(), registry.stop()])))
  const servers = { brokers: kafka.brokers, registry: registry.url, redis: redis.url }
  const deployment = await deploy(servers, { policy: POLICY, partitions: 6 })
  open.defer(() => deployment.close())
  const workers = await Promise.all(Array.from({ length: WORKERS }, (_, at) => startWorker(deployment, `w${at}`)))
  open.defer(async () => void (await Promise.all(workers.map((it) => it.process.stop('SIGKILL')))))
  const traffic = startTraffic(deployment, Number(values.rate), random)
  const done = new Map<Deed, number>()
  const killBroker = async (): Promise<void> => {
    await kafka.kill(1)
    await kafka.restart(1)
  }
  for (let n = 1; n <= KILLS; n++) {
    await delay(between(random, 200, 2500))
    const deed = nextDeed(random, n)
    done.set(deed, (done.get(deed) ?? 0) + 1)
    say(`${String(n).padStart(5)}/${KILLS}  ${deed}  (${traffic.sent()} events, ${deployment.answers.count} answered)`)
    await carryOut(deed, pick(random, asNonEmpty(workers)), deployment, random, killBroker)
  }
  await untilAllServe(workers)
  const inputs = await traffic.stop()
  await deployment.answers.all(inputs, 60_000).catch((error: unknown) => say(String(error)))
  const result = {
    seed: Number(values.seed),
    deeds: Object.fromEntries(done),
    ...(await verify(deployment, kafka.brokers)),
  }
  console.log(values.json ? JSON.stringify(result, null, 2) : summary(result))
  return result.lost + result.doubled + result.changed + result.doubleExecutes + result.drift === 0 ? 0 : 1
}

const asNonEmpty = (workers: readonly Worker[]): readonly [Worker, ...Worker[]] => workers as [Worker, ...Worker[]]

/** Mostly kill -9; every tenth something slower, every twenty-fifth the broker. */
function nextDeed(random: Random, n: number): Deed {
  if (n % 25 === 0) return 'kill the broker'
  if (n % 10 === 0) return pick(random, ['freeze', 'stop in order', 'kill and restart later'])
  return 'kill'
}

async function startWorker(deployment: Deployment, slot: string): Promise<Worker> {
  const worker = { slot, process: startProcessor(deployment.env({ SLUICE_SLOT: slot })), busy: false }
  await worker.process.untilReady(60_000)
  return worker
}

async function carryOut(
  deed: Deed,
  worker: Worker,
  deployment: Deployment,
  random: Random,
  killBroker: () => Promise<void>,
): Promise<void> {
  const again = (): void => void (worker.process = startProcessor(deployment.env({ SLUICE_SLOT: worker.slot })))
  switch (deed) {
    case 'kill':
      await worker.process.stop('SIGKILL')
      return again()
    case 'kill and restart later':
      await worker.process.stop('SIGKILL')
      await delay(between(random, 5000, 9000))
      return again()
    case 'freeze':
      worker.process.kill('SIGSTOP')
      await delay(FREEZE_MS)
      worker.process.kill('SIGCONT')
      return
    case 'stop in order':
      await worker.process.stop('SIGTERM')
      return again()
    case 'kill the broker':
      return await killBroker()
  }
}

/** A process that gave up with a message is what an operator's supervisor would start again. */
async function untilAllServe(workers: readonly Worker[]): Promise<void> {
  for (const worker of workers) if (!worker.process.hasEnded()) await worker.process.untilReady(60_000)
}

function summary(
  result: Awaited<ReturnType<typeof verify>> & { readonly deeds: Readonly<Record<string, number>> },
): string {
  const deeds = Object.entries(result.deeds).map(([deed, times]) => `${times} × ${deed}`)
  return [
    '',
    deeds.join(', '),
    `${result.events} events: ${result.lost} lost, ${result.doubled} doubled, ${result.changed} changed, ` +
      `${result.doubleExecutes} action keys executed twice, counter drift ${result.drift}, ` +
      `${result.degraded} decided without state`,
    `routes: ${Object.entries(result.outputs)
      .map(([topic, count]) => `${topic} ${count}`)
      .join(', ')}`,
  ].join('\n')
}

process.exitCode = await main()
