import type { Route } from '../../src/decision/route.ts'
import type { Assignment, DecisionLog, InputRecord, OutputRecord, PartitionBatch } from '../../src/processor/ports.ts'

type Topics = Readonly<Record<Route, string>>

/**
 * What exactly-once costs without a decision: every record as it is to one of the verdict topics, in the shares the
 * decisions have, with the same overlap of preparing and committing as the processor.
 */
export async function passThrough(
  log: DecisionLog,
  topics: Topics,
  batch: number,
  onCommitted: (records: number) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const assignment = await log.acquire(signal)
    await serve(log, assignment, topics, batch, onCommitted, AbortSignal.any([signal, assignment.ended]))
  }
}

async function serve(
  log: DecisionLog,
  assignment: Assignment,
  topics: Topics,
  batch: number,
  onCommitted: (records: number) => void,
  stop: AbortSignal,
): Promise<void> {
  let underWay: Promise<boolean> = Promise.resolve(true)
  while (!stop.aborted) {
    const polled = await log.poll(assignment, batch, 500)
    if (polled.length === 0) continue
    const outputs = polled.flatMap(({ records }) => records.map((record) => outputOf(record, topics)))
    const offsets = new Map(polled.map(({ partition, next }) => [partition, next]))
    if (!(await underWay)) return
    underWay = commit(log, assignment, outputs, offsets, polled, onCommitted)
  }
  await underWay
}

async function commit(
  log: DecisionLog,
  assignment: Assignment,
  outputs: readonly OutputRecord[],
  offsets: ReadonlyMap<number, number>,
  polled: readonly PartitionBatch[],
  onCommitted: (records: number) => void,
): Promise<boolean> {
  const { kind } = await log.commit(outputs, offsets, assignment)
  if (kind === 'committed') onCommitted(polled.reduce((sum, { records }) => sum + records.length, 0))
  return kind === 'committed'
}

const outputOf = (record: InputRecord, topics: Topics): OutputRecord => ({
  topic: topics[routeOf(record.offset % 100)],
  partition: record.partition,
  key: record.key,
  value: record.value,
  timestamp: record.timestamp,
  headers: [...record.headers],
})

function routeOf(percent: number): Route {
  if (percent < 68) return 'execute'
  return percent < 88 ? 'review' : 'reject'
}
