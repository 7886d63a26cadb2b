import { BatchSize } from './batch-size.ts'
import type { Lease } from './lease.ts'
import { untold } from './observe.ts'
import { clear, condemning, failureOf, isOneByOne, sentenceOn, setApart, suspicionsOf } from './one-by-one.ts'
import { observeBatch, prepareBatch } from './prepare-batch.ts'
import type { LearnedSteps, ObservedBatch, PreparedBatch, Steps } from './prepare-batch.ts'
import { VerdictSizes } from './verdict-sizes.ts'
import type {
  Assignment,
  AttemptStore,
  DecisionLog,
  Observer,
  PartitionBatch,
  RulebookSource,
  StateRefusal,
  Suspicion,
} from './ports.ts'

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
  readonly attempts: AttemptStore
  readonly rulebook: RulebookSource
  readonly observer: Observer
  readonly pace: Pace
}

type Running = Processor &
  LearnedSteps & {
    readonly batchSize: BatchSize
    /** By partition the offset up to which batches threw. */
    readonly failed: Map<number, number>
    /** Records in a row that threw alone. */
    readonly failures: { inARow: number }
  }

/** More records in a row do not throw because of what is in them. */
const FAILURES_MAX = 20

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
    failed: new Map<number, number>(),
    failures: { inARow: 0 },
  }
  while (!signal.aborted) {
    const assignment = await acquireLog(processor, signal)
    if (assignment === null) return
    const lease = await takeState(running, assignment, signal)
    if (lease === null) continue
    await serve(running, lease, published, signal)
    await processor.attempts.end([...assignment.positions.keys()])
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
async function takeState(processor: Running, assignment: Assignment, signal: AbortSignal): Promise<Lease | null> {
  const { log, state, observer } = processor
  if (signal.aborted || assignment.ended.aborted) return null
  const committed = new Map([...assignment.positions].map(([partition, { start }]) => [partition, start]))
  const answer = await state.acquire(assignment.positions, assignment.partitions, assignment.generation)
  if (answer.kind === 'owned' && !(await log.confirm(assignment))) return null
  if (answer.kind !== 'owned') observer.refused(answer)
  const { tokens, decided } = answer.kind === 'owned' ? answer : NOTHING_OWNED
  const suspicions = await suspect(processor, committed)
  return { assignment, tokens, decided, committed, told: new Map(committed), suspicions }
}

const NOTHING_OWNED = { tokens: new Map<number, number>(), decided: new Map<number, number>() }

/** What stops a partition must not stop it for ever: see AttemptStore, and one-by-one.ts for what is done about it. */
async function suspect(
  { attempts, failed, observer }: Running,
  starts: ReadonlyMap<number, number>,
): Promise<Map<number, Suspicion>> {
  const died = await attempts.begin(starts)
  for (const [partition, suspicion] of died) observer.isolated({ kind: 'deaths', partition, suspicion })
  return suspicionsOf(died, failed, starts)
}

/**
 * The pipeline: while one batch's transaction runs, the next one is read, decided and encoded, and with a backlog the
 * facts of the one after that are already being fetched. Never more: these three are what Redis has seen and Kafka has
 * not committed.
 */
async function serve(processor: Running, lease: Lease, published: Set<string>, signal: AbortSignal): Promise<void> {
  const { pace, timer } = processor
  const stop = AbortSignal.any([signal, lease.assignment.ended])
  if (!(await serveOneByOne(processor, lease, published, stop))) return
  // A policy's text goes with the first batch only, though the second is prepared before that one is committed.
  const publishing = new Set(published)
  let underWay: Promise<boolean> = Promise.resolve(true)
  let ahead: Promise<Begun> | null = null
  let lastStart = -Infinity
  while (!stop.aborted) {
    const wait = ahead === null ? lastStart + pace.intervalMs - timer.now() : 0
    if (wait > 0) await timer.sleep(wait, stop)
    if (stop.aborted) break
    const begun: Begun = await (ahead ?? begin(processor, lease))
    ahead = null
    if (begun.kind === 'over') break
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

/** `nothing`: no record came. `over`: everything must be acquired anew, since state has another owner or a batch threw. */
type Begun =
  | { readonly kind: 'observed'; readonly batch: ObservedBatch; readonly isFull: boolean }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'over' }

async function begin(processor: Running, lease: Lease): Promise<Begun> {
  const { records } = processor.batchSize
  const polled = await processor.log.poll(lease.assignment, records, processor.pace.pollMs)
  if (polled.length === 0) return await tellCommitted(processor, lease)
  await noteReading(processor, lease, polled)
  const batch = await isolating(processor, polled, () => observed(processor, lease, polled))
  return batch === null ? { kind: 'over' } : { kind: 'observed', batch, isFull: countOf(polled) >= records }
}

/** Costs nothing where no process has died. */
async function noteReading({ attempts }: Processor, lease: Lease, runs: readonly PartitionBatch[]): Promise<void> {
  const suspected = runs.filter(({ partition }) => lease.suspicions.has(partition))
  if (suspected.length > 0) await attempts.reading(suspected)
}

/** Null when state has another owner for one of the partitions. */
async function observed(
  processor: Running,
  lease: Lease,
  polled: readonly PartitionBatch[],
): Promise<ObservedBatch | null> {
  const { log, pace, rulebook } = processor
  const putBack = (held: PartitionBatch): void => log.putBack(lease.assignment, held, pace.holdMs)
  const answer = await observeBatch(polled, lease, rulebook.current(), putBack, processor)
  if (answer.kind === 'observed') return answer.batch
  await fenced(processor, answer.refusal)
  return null
}

/**
 * What `work` gives; null where it throws, which is a bug of ours that one of these records brings to light. Whatever it
 * is, it must not stop their partitions: from the next lease on they go one by one.
 */
async function isolating<T>(
  { failed, observer }: Running,
  runs: readonly { readonly partition: number; readonly next: number }[],
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    for (const { partition, next } of runs) failed.set(partition, Math.max(next, failed.get(partition) ?? 0))
    observer.isolated({ kind: 'error', error })
    return null
  }
}

/** While records are suspected: one transaction after the other, each suspected record in one of its own. False: over. */
async function serveOneByOne(
  processor: Running,
  lease: Lease,
  published: Set<string>,
  stop: AbortSignal,
): Promise<boolean> {
  const { log, pace, batchSize } = processor
  while (!stop.aborted && isOneByOne(lease.suspicions)) {
    const polled = await log.poll(lease.assignment, batchSize.records, pace.pollMs)
    if (polled.length === 0 && (await tellCommitted(processor, lease)).kind === 'over') return false
    const { free, alone, later } = setApart(polled, lease.suspicions)
    for (const rest of later) log.putBack(lease.assignment, rest, 0)
    if (free.length > 0) {
      await noteReading(processor, lease, free)
      const batch = await isolating(processor, free, () => made(processor, lease, free, published))
      if (!(await committed(processor, lease, batch, published))) return false
    }
    if (alone !== null && !(await decideAlone(processor, lease, alone, published))) return false
  }
  return true
}

/** A record that processes have died of is set aside unread, and one that throws is set aside with the error. */
async function decideAlone(
  processor: Running,
  lease: Lease,
  alone: PartitionBatch,
  published: Set<string>,
): Promise<boolean> {
  const { failures, observer } = processor
  let fault = sentenceOn(alone, lease.suspicions.get(alone.partition))
  let batch: PreparedBatch | null = null
  if (fault === null) {
    await noteReading(processor, lease, [alone])
    try {
      batch = await made(processor, lease, [alone], published)
      failures.inARow = 0
    } catch (error) {
      if (++failures.inARow > FAILURES_MAX) throw error
      observer.isolated({ kind: 'error', error })
      fault = failureOf(error)
    }
  }
  if (fault !== null) {
    const codec = condemning(processor.codec, fault)
    batch = await made({ ...processor, codec }, lease, [alone], published)
  }
  return await committed(processor, lease, batch, published)
}

/** Both halves of a batch; null when state has another owner. */
async function made(
  processor: Running,
  lease: Lease,
  polled: readonly PartitionBatch[],
  published: ReadonlySet<string>,
): Promise<PreparedBatch | null> {
  const batch = await observed(processor, lease, polled)
  return batch === null ? null : await prepared(processor, lease, batch, published)
}

/** Whether the lease may go on. */
async function committed(
  processor: Running,
  lease: Lease,
  batch: PreparedBatch | null,
  published: Set<string>,
): Promise<boolean> {
  if (batch === null) return false
  return batch.offsets.size === 0 || (await commit(processor, lease, batch, published))
}

/**
 * Nothing new comes, or nothing more is to be done. State may have been away, and what it missed then others should know
 * of; and it learns what has been committed, which must not be decided again if somebody sets the offset back.
 */
async function tellCommitted(processor: Processor, lease: Lease): Promise<Begun> {
  const { duplicatesMs, longestWindowMs } = processor.rulebook.current().policy
  const answer = await processor.state.observe(untold(lease), duplicatesMs, longestWindowMs)
  if (answer.kind !== 'fenced') return { kind: 'nothing' }
  await fenced(processor, answer)
  return { kind: 'over' }
}

const countOf = (polled: readonly PartitionBatch[]): number => polled.reduce((sum, it) => sum + it.records.length, 0)

async function fenced({ observer, pace, timer }: Processor, refusal: StateRefusal): Promise<void> {
  observer.refused(refusal)
  await timer.sleep(pace.retryMs)
}

/** Null when everything must be acquired anew. */
async function prepare(
  processor: Running,
  lease: Lease,
  batch: ObservedBatch,
  published: ReadonlySet<string>,
): Promise<PreparedBatch | null> {
  return await isolating(processor, batch.runs, () => prepared(processor, lease, batch, published))
}

/** Null when state has another owner for one of the partitions. */
async function prepared(
  processor: Running,
  lease: Lease,
  batch: ObservedBatch,
  published: ReadonlySet<string>,
): Promise<PreparedBatch | null> {
  const answer = await prepareBatch(batch, lease, (it) => published.has(it), processor)
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
  for (const [partition, next] of batch.offsets) {
    lease.committed.set(partition, next)
    if (next >= (processor.failed.get(partition) ?? Infinity)) processor.failed.delete(partition)
  }
  clear(lease.suspicions, batch.offsets)
  if (batch.publishes !== null) published.add(batch.publishes)
  processor.observer.committed(batch.decided, { ...batch.times, committing, committed: processor.timer.now() })
  return true
}
