import { startKafka } from '../../../deploy/local/kafka.ts'
import type { LocalKafka } from '../../../deploy/local/kafka.ts'
import type { ClusterSubject } from '../../conformance/kafka-caller.ts'
import { BROKER_PROPERTIES, plain, Scene } from './kafka-scene.ts'

const PROPERTIES = {
  ...BROKER_PROPERTIES,
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200',
}

function pidOf(kafka: LocalKafka, node: number): number {
  const pid = kafka.pids.get(node)
  if (pid === undefined) throw new Error(`broker ${node} does not run`)
  return pid
}

/** Brokers of the test's own, for a conformance suite. KAFKA_VERSION chooses another version than the newest. */
export async function realBrokers(nodes: 1 | 3): Promise<ClusterSubject> {
  const version = process.env['KAFKA_VERSION']
  const kafka = await startKafka({ ...(version === undefined ? {} : { version }), nodes, properties: PROPERTIES })
  const scene = new Scene(kafka.brokers)
  return {
    connection: plain(kafka.brokers),
    topic: (partitions) => scene.topic(partitions),
    unique: (name) => scene.unique(name),
    deleteBefore: (topic, partition, offset) => scene.deleteBefore(topic, partition, offset),
    advance: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    freeze: async (node) => void process.kill(pidOf(kafka, node), 'SIGSTOP'),
    thaw: async (node) => void process.kill(pidOf(kafka, node), 'SIGCONT'),
    close: async () => {
      await scene.close()
      await kafka.stop()
    },
  }
}
