import { BatchSize } from './batch-size.ts'
import type { Lease } from './lease.ts'
import { untold } from './observe.ts'
import { observeBatch, prepareBatch } from './prepare-batch.ts'
import type { LearnedSteps, ObservedBatch, PreparedBatch, Steps } from './prepare-batch.ts'
import { VerdictSizes } from './verdict-sizes.ts'
import type { Assignment, DecisionLog, Observer, PartitionBatch, RulebookSource, StateRefusal } from './ports.ts'

/** How work is cut. */
export type Pace = {
  /** At most so many records a transaction; see BatchSize. */
  readonly maxRecords: number
  /** Transactions start no closer together than this unless full batches are waiting, milliseconds. */
  readonly intervalMs: number
  /** How long one poll waits for a first record, milliseconds. */
  readonly pollMs: number
  /** How long a partition is held back before a record that cannot be read yet is tried again, milliseconds. */
  readonly holdMs: number
  /** Pause before acquiring again after state refused us, milliseconds. */
  readonly retryMs: number
}

export type Processor = Steps & {
  readonly log: DecisionLog
  readonly rulebook: RulebookSource
  readonly observer: Observer
  readonly pace: Pace
}

type Running = Processor & LearnedSteps & { readonly batchSize: BatchSize }

/**
 * Acquires, serves until the assignment ends, and acquires again, until `signal` aborts; then the transaction under way
 * is finished. Rejects only for what no retry can mend.
 */
export async function runProcessor(processor: Processor, signal: AbortSignal): Promise<void> {
  const published = new Set<string>()
  const running = {
    ...processor,
    sizes: new VerdictSizes(processor.outlets.maxVerdictBytes),
    batchSize: new BatchSize(processor.pace.maxRecords),
  }
  while (!signal.aborted) {
    const assignment = await acquireLog(processor, signal)
    if (assignment === null) return
    const lease = await takeState(processor, assignment, signal)
    if (lease !== null) await serve(running, lease, published, signal)
  }
}

/** Null when `signal` aborted meanwhile. */
async function acquireLog({ log }: Processor, signal: AbortSignal): Promise<Assignment | null> {
  try {
    return await log.acquire(signal)
  } catch (error) {
    if (signal.aborted) return null
    throw error
  }
}

/**
 * Takes the partitions' state over. While Redis is away the lease has no tokens: observe is then refused as
 * unavailable and decisions go on without state, until Redis is back and ownership can be taken. The group is asked once
 * more after that: who slept since the log was acquired would else take the state from a successor, and observe what
 * that one has committed.
 */
async function takeState(processor: Processor, assignment: Assignment, signal: AbortSignal): Promise<Lease | null> {
  const { log, state, observer } = processor
  if (signal.aborted || assignment.ended.aborted) return null
  const committed = new Map([...assignment.positions].map(([partition, { start }]) => [partition, start]))
  const answer = await state.acquire(assignment.positions, assignment.partitions)
  if (answer.kind === 'owned') {
    const { tokens, decided } = answer
    return (await log.confirm(assignment)) ? { assignment, tokens, decided, committed, told: new Map(committed) } : null
  }
  observer.refused(answer)
  return { assignment, tokens: new Map(), decided: new Map(), committed, told: new Map(committed) }
}

/**
 * The pipeline: while one batch's transaction runs, the next one is read, decided and encoded, and with a backlog the
 * facts of the one after that are already being fetched. Never more: these three are what Redis has seen and Kafka has
 * not committed.
 */
async function serve(processor: Running, lease: Lease, published: Set<string>, signal: AbortSignal): Promise<void> {
  const { pace, timer } = processor
  // A policy's text goes with the first batch only, though the second is prepared before that one is committed.
  const publishing = new Set(published)
  const stop = AbortSignal.any([signal, lease.assignment.ended])
  let underWay: Promise<boolean> = Promise.resolve(true)
  let ahead: Promise<Begun> | null = null
  let lastStart = -Infinity
  while (!stop.aborted) {
    const wait = ahead === null ? lastStart + pace.intervalMs - timer.now() : 0
    if (wait > 0) await timer.sleep(wait, stop)
    if (stop.aborted) break
    const begun: Begun = await (ahead ?? begin(processor, lease))
    ahead = null
    if (begun.kind === 'fenced') break
    if (begun.kind === 'nothing') continue
    if (begun.isFull && !stop.aborted) ahead = begin(processor, lease)
    const batch = await prepare(processor, lease, begun.batch, publishing)
    if (batch === null || !(await underWay)) break
    if (batch.offsets.size === 0) continue
    if (batch.publishes !== null) publishing.add(batch.publishes)
    lastStart = timer.now()
    underWay = commit(processor, lease, batch, published)
  }
  await ahead
  if ((await underWay) && signal.aborted) await tellCommitted(processor, lease)
}

/** `nothing`: no record came. `fenced`: state has another owner for one of the partitions; all must be acquired anew. */
type Begun =
  | { readonly kind: 'observed'; readonly batch: ObservedBatch; readonly isFull: boolean }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'fenced' }

async function begin(processor: Running, lease: Lease): Promise<Begun> {
  const { log, pace, rulebook } = processor
  const { records } = processor.batchSize
  const polled = await log.poll(lease.assignment, records, pace.pollMs)
  if (polled.length === 0) return await tellCommitted(processor, lease)
  const putBack = (held: PartitionBatch): void => log.putBack(lease.assignment, held, pace.holdMs)
  const answer = await observeBatch(polled, lease, rulebook.current(), putBack, processor)
  if (answer.kind === 'fenced') return await fenced(processor, answer.refusal)
  return { kind: 'observed', batch: answer.batch, isFull: countOf(polled) >= records }
}

/**
 * Nothing new comes, or nothing more is to be done. State may have been away, and what it missed then others should know
 * of; and it learns what has been committed, which must not be decided again if somebody sets the offset back.
 */
async function tellCommitted(processor: Processor, lease: Lease): Promise<Begun> {
  const { duplicatesMs, longestWindowMs } = processor.rulebook.current().policy
  const answer = await processor.state.observe(untold(lease), duplicatesMs, longestWindowMs)
  return answer.kind === 'fenced' ? await fenced(processor, answer) : { kind: 'nothing' }
}

const countOf = (polled: readonly PartitionBatch[]): number => polled.reduce((sum, it) => sum + it.records.length, 0)

async function fenced(
  { observer, pace, timer }: Processor,
  refusal: StateRefusal,
): Promise<{ readonly kind: 'fenced' }> {
  observer.refused(refusal)
  await timer.sleep(pace.retryMs)
  return { kind: 'fenced' }
}

/** Null when state has another owner for one of the partitions: everything must be acquired anew. */
async function prepare(
  processor: Running,
  lease: Lease,
  observed: ObservedBatch,
  published: ReadonlySet<string>,
): Promise<PreparedBatch | null> {
  const answer = await prepareBatch(observed, lease, (it) => published.has(it), processor)
  if (answer.kind === 'fenced') {
    await fenced(processor, answer.refusal)
    return null
  }
  if (answer.refusal !== null) processor.observer.refused(answer.refusal)
  return answer.batch
}

/** Whether it was committed. A discarded batch leaves no trace: it is polled again after the next acquire. */
async function commit(
  processor: Running,
  lease: Lease,
  batch: PreparedBatch,
  published: Set<string>,
): Promise<boolean> {
  const committing = processor.timer.now()
  const result = await processor.log.commit(batch.outputs, batch.offsets, lease.assignment)
  if (result.kind === 'discarded') {
    processor.batchSize.discarded()
    processor.observer.discarded(result.code, batch.decided.length)
    if (result.tooLarge !== undefined) processor.sizes.refused(result.tooLarge, batch.outputs)
    return false
  }
  processor.batchSize.committed()
  for (const [partition, next] of batch.offsets) lease.committed.set(partition, next)
  if (batch.publishes !== null) published.add(batch.publishes)
  processor.observer.committed(batch.decided, { ...batch.times, committing, committed: processor.timer.now() })
  return true
}
