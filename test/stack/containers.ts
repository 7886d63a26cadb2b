import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers'
import { freePorts } from '../../deploy/local/free-ports.ts'
import type { Log } from '../../deploy/local/log.ts'
import type { Stack } from '../../deploy/local/stack.ts'
import { step } from '../../deploy/local/step.ts'
import { openTraceServer } from '../../deploy/local/traces/server.ts'
import { imageOf } from './images.ts'

const START_TIMEOUT_MS = 180_000

/** The servers of the compose file in containers of their own, for one run of the tests. */
export async function containerStack(log: Log): Promise<Stack> {
  await using open = new AsyncDisposableStack()
  const parts = [
    step('Apache Kafka', open, log, startKafka, (it) => it.stop()),
    step('schema registry', open, log, startRegistry, (it) => it.stop()),
    step('Redis', open, log, startRedis, (it) => it.stop()),
  ] as const
  // When one fails, the others are still waited for, so that they are ended too.
  await Promise.allSettled(parts)
  const [kafka, registry, redis] = await Promise.all(parts)
  const traces = await openTraceServer({ host: '127.0.0.1', port: 0, maxTraces: 2000 })
  open.defer(() => traces.close())
  const opened = open.move()
  return {
    kind: 'docker',
    brokers: [kafka.address],
    registry: `http://${registry.address}/apis/ccompat/v7`,
    redis: `redis://${redis.address}`,
    otlp: traces.url,
    traces: traces.url,
    close: () => opened.disposeAsync(),
  }
}

type Part = { readonly address: string; readonly stop: () => Promise<void> }

/** The port outside is chosen beforehand, since a broker has to be told the address it is reached by. */
async function startKafka(): Promise<Part> {
  const [port = 0] = await freePorts(1)
  const host = (await getContainerRuntimeClient()).info.containerRuntime.host
  const container = new GenericContainer(imageOf('kafka'))
    .withExposedPorts({ container: 9092, host: port })
    .withEnvironment({
      KAFKA_PROCESS_ROLES: 'broker,controller',
      KAFKA_NODE_ID: '1',
      KAFKA_CONTROLLER_QUORUM_VOTERS: '1@localhost:9093',
      KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
      KAFKA_LISTENERS: 'PLAINTEXT://:9092,CONTROLLER://:9093',
      KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://${host}:${port}`,
      KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
      KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
      KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS: '6',
      KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
      KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
      KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS: '6',
      KAFKA_HEAP_OPTS: '-Xmx512m',
    })
    .withWaitStrategy(
      Wait.forSuccessfulCommand('/opt/kafka/bin/kafka-broker-api-versions.sh --bootstrap-server localhost:9092'),
    )
  return startPart(container, 9092)
}

const startRegistry = (): Promise<Part> =>
  startPart(
    new GenericContainer(imageOf('registry'))
      .withExposedPorts(8080)
      .withEnvironment({ QUARKUS_HTTP_PORT: '8080' })
      .withWaitStrategy(Wait.forHttp('/apis/ccompat/v7/subjects', 8080)),
    8080,
  )

const startRedis = (): Promise<Part> =>
  startPart(
    new GenericContainer(imageOf('redis'))
      .withExposedPorts(6379)
      .withWaitStrategy(Wait.forSuccessfulCommand('redis-cli ping')),
    6379,
  )

async function startPart(container: GenericContainer, port: number): Promise<Part> {
  const started = await container.withStartupTimeout(START_TIMEOUT_MS).start()
  return {
    address: `${started.getHost()}:${started.getMappedPort(port)}`,
    stop: async () => void (await started.stop({ timeout: 0 })),
  }
}
