import { clusterConformance } from '../conformance/kafka-cluster.ts'
import { realBrokers } from './support/real-brokers.ts'

clusterConformance('Apache Kafka', () => realBrokers(3))
