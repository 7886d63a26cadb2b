import { startKafka } from '../../../deploy/local/kafka.ts'
import type { ClusterSubject } from '../../conformance/kafka-caller.ts'
import { BROKER_PROPERTIES, plain, Scene } from './kafka-scene.ts'

const PROPERTIES = {
  ...BROKER_PROPERTIES,
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200',
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
    kill: (node) => kafka.kill(node),
    restart: (node) => kafka.restart(node),
    close: async () => {
      await scene.close()
      await kafka.stop()
    },
  }
}
