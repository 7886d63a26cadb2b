import { groupConformance } from '../conformance/kafka-group.ts'
import { logConformance } from '../conformance/kafka-log.ts'
import { transactionConformance } from '../conformance/kafka-transactions.ts'
import { realBrokers } from './support/real-brokers.ts'

const NAME = 'Apache Kafka'
const open = () => realBrokers(1)

logConformance(NAME, open)
transactionConformance(NAME, open)
groupConformance(NAME, open)
