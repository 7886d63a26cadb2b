import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from './free-ports.ts'
import { java } from './java.ts'
import { formattedFolder, kafkaFiles, propertiesText } from './kafka-files.ts'
import type { KafkaFiles } from './kafka-files.ts'
import { aliveBrokers } from './kafka-probe.ts'
import { silent } from './log.ts'
import type { Log } from './log.ts'
import { lastLines, startProcess } from './local-process.ts'
import type { LocalProcess } from './local-process.ts'
import { StackError } from './stack-error.ts'

const START_TIMEOUT_MS = 60_000

type Protocol = 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'

export type KafkaOptions = {
  /** Kept at the end, and used again as it is when a cluster was there; else a temporary one that is removed. */
  readonly folder?: string
  /** The first node's; 0, the default, takes a free one. */
  readonly port?: number
  readonly nodes?: 1 | 3
  /** 3.9.x or 4.x; the newest tried one if not given. */
  readonly version?: string
  /** Broker settings over ours. */
  readonly properties?: Readonly<Record<string, string>>
  /** More listeners beside the plain one, by name, each on a free port of every node. */
  readonly listeners?: Readonly<Record<string, Protocol>>
  readonly log?: Log
}

/** One node's id counts from 1. */
export type LocalKafka = {
  /** `127.0.0.1:port` of every node's plain listener. */
  readonly brokers: readonly string[]
  /** The same of every listener, by name; the plain one is PLAINTEXT. */
  readonly listeners: ReadonlyMap<string, readonly string[]>
  readonly folder: string
  /** By node id; those that run. */
  readonly pids: ReadonlyMap<number, number>
  /** Ends the node like a power cut. */
  readonly kill: (node: number) => Promise<void>
  /** Starts a node that was killed on the same ports and data, with `properties` over what it had, and waits for it. */
  readonly restart: (node: number, properties?: Readonly<Record<string, string>>) => Promise<void>
  readonly stop: () => Promise<void>
}

type Node = {
  readonly id: number
  readonly folder: string
  readonly controllerPort: number
  /** By listener name. */
  readonly ports: ReadonlyMap<string, number>
}

type Cluster = {
  readonly folder: string
  readonly nodes: readonly Node[]
  readonly files: KafkaFiles
  readonly options: KafkaOptions
  readonly running: Map<number, LocalProcess>
}

/**
 * Starts Apache Kafka in KRaft combined mode, one JVM a node, on loopback, and resolves when every node has answered and
 * knows all others. It ends with this process at the latest. Rejects with StackError when it cannot be had.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<LocalKafka> {
  const files = await kafkaFiles(options.version ?? null, options.log ?? silent)
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'sluice-kafka-')))
  const cluster: Cluster = { folder, nodes: await layOut(folder, options), files, options, running: new Map() }
  const remove = async () => options.folder ?? (await rm(folder, { recursive: true, force: true }))
  try {
    await Promise.all(cluster.nodes.map((node) => startNode(cluster, node, {})))
    await Promise.all(cluster.nodes.map((node) => ready(cluster, node)))
  } catch (error) {
    await stopAll(cluster)
    await remove()
    throw error
  }
  return handle(cluster, remove)
}

function handle(cluster: Cluster, remove: () => Promise<unknown>): LocalKafka {
  const nodeOf = (id: number): Node => {
    const node = cluster.nodes.find((it) => it.id === id)
    if (node === undefined) throw new Error(`there is no node ${id}`)
    return node
  }
  const names = [...nodeOf(1).ports.keys()]
  const addresses = (name: string) => cluster.nodes.map(({ ports }) => `127.0.0.1:${ports.get(name)}`)
  return {
    brokers: addresses('PLAINTEXT'),
    listeners: new Map(names.map((name) => [name, addresses(name)])),
    folder: cluster.folder,
    get pids() {
      return new Map([...cluster.running].map(([id, { pid }]) => [id, pid]))
    },
    kill: async (id) => {
      const process = cluster.running.get(nodeOf(id).id)
      cluster.running.delete(id)
      await process?.kill()
    },
    restart: async (id, properties = {}) => {
      if (cluster.running.has(id)) throw new Error(`node ${id} runs; kill it first`)
      await startNode(cluster, nodeOf(id), properties)
      await ready(cluster, nodeOf(id))
    },
    stop: async () => {
      await stopAll(cluster)
      await remove()
    },
  }
}

async function layOut(folder: string, options: KafkaOptions): Promise<readonly Node[]> {
  const names = ['PLAINTEXT', ...Object.keys(options.listeners ?? {})]
  const ids = options.nodes === 3 ? [1, 2, 3] : [1]
  const free = [...(await freePorts(ids.length * (names.length + 1)))]
  const next = () => free.pop() ?? 0
  return ids.map((id) => {
    const ports = new Map(names.map((name) => [name, next()]))
    if (id === 1 && options.port !== undefined && options.port !== 0) ports.set('PLAINTEXT', options.port)
    return { id, folder: join(folder, `node-${id}`), controllerPort: next(), ports }
  })
}

async function startNode(cluster: Cluster, node: Node, properties: Readonly<Record<string, string>>): Promise<void> {
  const data = join(node.folder, 'data')
  await mkdir(node.folder, { recursive: true })
  if (!existsSync(data)) await formattedFolder(cluster.files.template, node.id, data)
  const config = join(node.folder, 'server.properties')
  await writeFile(
    config,
    propertiesText({ ...settings(cluster, node, data), ...cluster.options.properties, ...properties }),
  )
  const args = [...jvmFlags(cluster.files), '-cp', join(cluster.files.jars, '*'), 'kafka.Kafka', config]
  const temporary = cluster.options.folder === undefined ? cluster.folder : null
  const logFile = join(node.folder, 'broker.log')
  cluster.running.set(node.id, await startProcess(await java(), args, { logFile, temporary }))
}

function settings(cluster: Cluster, { id, controllerPort, ports }: Node, data: string): Record<string, string> {
  const listeners = [...ports].map(([name, port]) => `${name}://127.0.0.1:${port}`).join()
  const protocols = { PLAINTEXT: 'PLAINTEXT', CONTROLLER: 'PLAINTEXT', ...cluster.options.listeners }
  return {
    'process.roles': 'broker,controller',
    'node.id': String(id),
    'controller.quorum.voters': cluster.nodes.map((it) => `${it.id}@127.0.0.1:${it.controllerPort}`).join(),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': Object.entries(protocols)
      .map(([name, it]) => `${name}:${it}`)
      .join(),
    listeners: `${listeners},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': listeners,
    'log.dirs': data,
    ...replication(cluster.nodes.length),
    ...SHORT_SESSIONS,
    ...SMALL,
  }
}

function replication(nodes: number): Record<string, string> {
  const factor = String(nodes)
  const inSync = String(Math.max(1, nodes - 1))
  return {
    'default.replication.factor': factor,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': factor,
    'transaction.state.log.replication.factor': factor,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.replication.factor': factor,
    'share.coordinator.state.topic.min.isr': inSync,
  }
}

/**
 * A broker that was killed can come back only when its session has run out (9 s by default), and that is also how long
 * its partitions have no leader.
 */
const SHORT_SESSIONS = { 'broker.session.timeout.ms': '4000', 'broker.heartbeat.interval.ms': '1000' }

/** What a broker for thousands of clients sets aside and one for a few does not need. */
const SMALL = {
  'auto.create.topics.enable': 'false',
  'group.initial.rebalance.delay.ms': '0',
  'offsets.topic.num.partitions': '6',
  'transaction.state.log.num.partitions': '6',
  'num.network.threads': '2',
  'num.io.threads': '4',
  'log.cleaner.dedupe.buffer.size': '4194304',
  'log.index.size.max.bytes': '1048576',
}

/** Time to answer was measured: the serial collector and the first compiler only save a quarter of it. */
function jvmFlags(files: KafkaFiles): readonly string[] {
  return [
    '-Xmx512m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Djava.awt.headless=true',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-Dorg.slf4j.simpleLogger.showDateTime=true',
    ...(existsSync(files.archive) ? [`-XX:SharedArchiveFile=${files.archive}`] : []),
  ]
}

/** Resolves when the node answers and knows all nodes that run. */
async function ready(cluster: Cluster, node: Node): Promise<void> {
  const port = node.ports.get('PLAINTEXT') ?? 0
  const until = Date.now() + START_TIMEOUT_MS
  for (;;) {
    const alive = await aliveBrokers(port)
    if ([...cluster.running.keys()].every((id) => alive.includes(id))) return
    const process = cluster.running.get(node.id)
    const ended = process === undefined ? 'it was killed' : process.ended()
    if (ended !== null || Date.now() > until)
      throw notStarted(node, ended ?? `it does not answer on port ${port} after ${START_TIMEOUT_MS / 1000} s`)
    await sleep(50)
  }
}

function notStarted(node: Node, why: string): StackError {
  const log = join(node.folder, 'broker.log')
  return new StackError(`Apache Kafka (node ${node.id}) did not start: ${why}. The end of its log:\n${lastLines(log)}`)
}

/** A temporary cluster's data is of no use any more, so it need not be shut down in order. */
async function stopAll(cluster: Cluster): Promise<void> {
  const processes = [...cluster.running.values()]
  cluster.running.clear()
  await Promise.all(processes.map((it) => (cluster.options.folder === undefined ? it.kill() : it.stop())))
}
