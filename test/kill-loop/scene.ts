import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { seededRandom } from '../../src/commands/demo/random.ts'
import { Cluster } from '../../src/kafka/cluster.ts'
import { edgesOf } from '../../src/kafka/log-edges.ts'
import { deploy } from '../scenarios/support/deployment.ts'
import type { Deployment } from '../scenarios/support/deployment.ts'
import { Epochs } from './epochs.ts'
import { Executor } from './executor.ts'
import { Gate } from './gate.ts'
import { POLICY_TEXT } from './policy.ts'
import type { KillServers } from './servers.ts'
import { Tally } from './tally.ts'
import { startTraffic } from './traffic.ts'
import type { KillTraffic } from './traffic.ts'
import { Watch } from './watch.ts'
import { serves } from './worker-deeds.ts'
import type { Torment } from './worker-deeds.ts'
import { Worker } from './worker.ts'

export type SceneSettings = {
  readonly servers: KillServers
  readonly seed: number
  readonly workers: number
  /** Events a second. */
  readonly rate: number
  /** Where logs and the timeline go. */
  readonly folder: string
  readonly say: (line: string) => void
  /** Settings of the processors beside those of every deployment. */
  readonly env: Readonly<Record<string, string>>
}

/** A deployment of its own with all that runs in it. */
export type Scene = {
  readonly servers: KillServers
  readonly deployment: Deployment
  readonly workers: readonly Worker[]
  readonly executor: Executor
  readonly watch: Watch
  readonly epochs: Epochs
  readonly tally: Tally
  /** What a deed needs, with random numbers of its own for each `actor`. */
  readonly torment: (actor: number, over: AbortSignal) => Torment
  readonly traffic: () => KillTraffic
  /** The next offset of each input partition. */
  readonly inputEnds: () => Promise<ReadonlyMap<number, number>>
}

/** Resolves when every worker serves; closes in reverse. */
export async function openScene(settings: SceneSettings, open: AsyncDisposableStack): Promise<Scene> {
  const { servers, folder, say, seed } = settings
  await mkdir(folder, { recursive: true })
  const addresses = { brokers: servers.kafka.brokers, registry: servers.registry, redis: servers.redis.url }
  const deployment = await deploy(addresses, { policy: POLICY_TEXT, partitions: 6, settings: settings.env })
  open.defer(() => deployment.close())
  // Of so many verdicts only the verifier looks at the bodies.
  await deployment.answers.close()
  const tally = new Tally(join(folder, 'timeline.jsonl'), say)
  const watch = new Watch(deployment)
  open.defer(() => watch.close())
  const epochs = new Epochs(servers.redis, deployment.name)
  open.defer(() => epochs.close())
  const executor = new Executor(deployment, servers.registry, folder)
  open.defer(() => executor.stop('SIGKILL'))
  const env = deployment.env()
  const workers = Array.from({ length: settings.workers }, (_, at) => new Worker(`w${at}`, env, folder))
  open.defer(async () => void (await Promise.all(workers.map((it) => it.process.end('SIGKILL')))))
  const cluster = new Cluster(deployment.connection, { connectTimeoutMs: 3000, requestTimeoutMs: 10_000 })
  open.defer(() => cluster.close())
  const gate = new Gate()
  let trips = 0
  const traffic = (): KillTraffic => {
    watch.forget()
    return startTraffic(deployment, settings.rate, seededRandom(seed + 1000 * trips++))
  }
  const warmUp = traffic()
  for (const worker of workers) await serves(worker, { tally })
  await warmUp.stop()
  return {
    servers,
    deployment,
    workers,
    executor,
    watch,
    epochs,
    tally,
    torment: (actor, over) => ({ random: seededRandom(seed * 7919 + actor), gate, tally, over }),
    traffic,
    inputEnds: async () => {
      const edges = await edgesOf(cluster, deployment.topics.input)
      return new Map(edges.map(({ partition, end }) => [partition, end]))
    },
  }
}
