import { clusterConformance } from '../conformance/kafka-cluster.ts'
import { groupConformance } from '../conformance/kafka-group.ts'
import { logConformance } from '../conformance/kafka-log.ts'
import { transactionConformance } from '../conformance/kafka-transactions.ts'
import { twinSubject } from '../twins/kafka/twin-subject.ts'

const NAME = 'the twin in memory'
const open = async () => twinSubject(1, { transactionSweepMs: 200 })

logConformance(NAME, open)
transactionConformance(NAME, open)
groupConformance(NAME, open)
clusterConformance(NAME, async () => twinSubject(3, { failoverMs: null }))
