import type { ControlFact, ContextValue, First } from '../decision/facts.ts'
import type { Inquiry } from '../decision/inquiry.ts'
import type { ModelOutput, Received } from '../decision/event.ts'
import type { Verdict } from '../decision/verdict.ts'
import type { Calibration } from '../decision/calibration.ts'
import type { Certificate, Certificates } from '../decision/certificate.ts'
import type { Policy } from '../decision/policy.ts'
import type { Fault } from './fault.ts'

// ---- Kafka ------------------------------------------------------------------------------------------------------

export type Headers = ReadonlyMap<string, Uint8Array>

/** One record of the input topic, as it lay there. `timestamp` in milliseconds since 1970. */
export type InputRecord = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Headers
}

/**
 * A run of one partition: every offset from `from` to before `next` is either in `records` or holds no record of the
 * topic's (control records, compacted away).
 */
export type PartitionBatch = {
  readonly partition: number
  readonly from: number
  readonly next: number
  readonly records: readonly InputRecord[]
}

/** `partition` is explicit on every record; `timestamp` in milliseconds since 1970. */
export type OutputRecord = {
  readonly topic: string
  readonly partition: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: number
  readonly headers: readonly (readonly [name: string, value: string | Uint8Array])[]
}

/**
 * `start`: the next offset to read. `committed`: the group's stable offset, null when there is none yet. `isSetByHand`: no
 * decision log has committed it, so more may have been decided than it says.
 */
export type Position = { readonly start: number; readonly committed: number | null; readonly isSetByHand?: boolean }

/**
 * What one join of the group gave: generation, member and stable offsets belong together and are what a commit is
 * stamped with. `ended` aborts as soon as it is void (rebalance, discard, close).
 */
export type Assignment = {
  readonly generation: number
  readonly positions: ReadonlyMap<number, Position>
  /** How many partitions the input has, whoever they were assigned to. */
  readonly partitions: number
  readonly ended: AbortSignal
}

/**
 * `discarded`: nothing of it is or will be visible, or it is unknown; acquire again, which settles it. `tooLarge`: one of
 * the outputs to this partition is more than its topic takes, and will be again.
 */
export type CommitResult =
  | { readonly kind: 'committed' }
  | {
      readonly kind: 'discarded'
      readonly reason: string
      readonly code: string
      readonly tooLarge?: { readonly topic: string; readonly partition: number }
    }

/**
 * The input log and the verdict topics behind one port. There is no begin, send or abort: abort-and-go-on is the
 * operation that loses data.
 */
export type DecisionLog = {
  /**
   * Joins (again, if need be), fences this slot's transactional id, and reads the stable offsets after that. Waits
   * for as long as Kafka is away. Rejects with SlotTaken when another process has the slot, and when `signal` aborts.
   */
  readonly acquire: (signal: AbortSignal) => Promise<Assignment>
  /**
   * Whether the group still has us where the assignment says, asked of it now; where not, the assignment has ended. Who
   * takes the state over and is confirmed after that did so before any later owner.
   */
  readonly confirm: (assignment: Assignment) => Promise<boolean>
  /**
   * The next records in order, at most `maxRecords` over all partitions, each partition at most once. Waits up to
   * `waitMs` for the first; empty when none came or the assignment ended.
   */
  readonly poll: (assignment: Assignment, maxRecords: number, waitMs: number) => Promise<readonly PartitionBatch[]>
  /** Gives the last part of a polled batch back, to be polled again no sooner than `delayMs`. Other partitions go on. */
  readonly putBack: (assignment: Assignment, batch: PartitionBatch, delayMs: number) => void
  /** One transaction: the outputs and, per partition, the next offset to read. At most one at a time. */
  readonly commit: (
    outputs: readonly OutputRecord[],
    offsets: ReadonlyMap<number, number>,
    assignment: Assignment,
  ) => Promise<CommitResult>
  /** Leaves the group, so that others take over at once. */
  readonly close: () => Promise<void>
}

// ---- State ------------------------------------------------------------------------------------------------------

/**
 * A run of one partition to observe. `token` is the right to change its state: a later owner's is greater, and the lesser
 * one is refused. `committed` says up to where recorded facts may be forgotten.
 */
export type ObserveRange = {
  readonly partition: number
  readonly token: number
  readonly from: number
  readonly next: number
  readonly committed: number
  readonly inquiries: readonly Inquiry[]
}

/**
 * What state said of one event when it was first observed. `lost`: state was known to be incomplete then.
 * Counters by limit id: the count before this event. Context by name.
 */
export type Observation = {
  readonly now: number
  readonly lost: boolean
  readonly first: First | null
  readonly counters: ReadonlyMap<string, number>
  readonly context: ReadonlyMap<string, ContextValue>
}

/** Per limit id the count before; `granted`: all limits had room and one place was taken in each. */
export type Grant = { readonly granted: boolean; readonly counters: ReadonlyMap<string, number> }

export type ReserveRange = {
  readonly partition: number
  readonly token: number
  readonly claims: readonly { readonly offset: number; readonly inquiry: Inquiry }[]
}

/** `fenced`: a newer owner has the partition, or state forgot us: acquire again. `unavailable`: no answer in time. */
export type StateRefusal =
  | { readonly kind: 'fenced'; readonly partition: number }
  | { readonly kind: 'unavailable'; readonly fault: Fault }

/** Per partition, per offset. */
export type ByOffset<T> = ReadonlyMap<number, ReadonlyMap<number, T>>

/** By partition. */
export type Owned = {
  readonly kind: 'owned'
  readonly tokens: ReadonlyMap<number, number>
  readonly decided: ReadonlyMap<number, number>
}

export type StateStore = {
  /**
   * Takes the partitions over. `committed` is compared with the watermark: less seen than committed means lost state.
   * `decided`: below it all was committed before; beyond `start` only where somebody has set the group's offset back.
   * `partitions`: how many the input has; what an owner of another one knows may be missing as well. `generation`: the
   * assignment's; who was not given a partition in the one before may have had a successor, whose places it knows nothing of.
   */
  readonly acquire: (
    positions: ReadonlyMap<number, Position>,
    partitions: number,
    generation: number,
  ) => Promise<Owned | StateRefusal>
  /**
   * Counts and reads, once per offset for ever: a repeated offset gets its recorded observation. One round trip; none
   * without ranges, unless state is to be told what it missed while it was away.
   */
  readonly observe: (
    ranges: readonly ObserveRange[],
    duplicatesMs: number,
    longestWindowMs: number,
  ) => Promise<{ readonly kind: 'observed'; readonly observations: ByOffset<Observation> } | StateRefusal>
  /** Takes places in execution limits, in order, once per offset for ever. One round trip. */
  readonly reserve: (
    ranges: readonly ReserveRange[],
  ) => Promise<{ readonly kind: 'reserved'; readonly grants: ByOffset<Grant> } | StateRefusal>
}

// ---- Attempts ---------------------------------------------------------------------------------------------------

/**
 * What is held against the records of a partition from `start` to before `until`. `deaths`: so many processes in a row have
 * died with some of them in hand. From two on records go one by one; at three the first of them is what they died of.
 */
export type Suspicion = { readonly start: number; readonly deaths: number; readonly until: number }

/** Remembers across the death of a process what it had in hand. Never refuses: without an answer nothing is suspected. */
export type AttemptStore = {
  /** Before any record of these partitions is decoded; by partition where it starts. Those of which something is suspected. */
  readonly begin: (starts: ReadonlyMap<number, number>) => Promise<ReadonlyMap<number, Suspicion>>
  /** Before these runs are decoded; told only where there were deaths. */
  readonly reading: (
    runs: readonly { readonly partition: number; readonly from: number; readonly next: number }[],
  ) => Promise<void>
  /** Nothing of these partitions is in hand any more. */
  readonly end: (partitions: readonly number[]) => Promise<void>
}

// ---- Records ----------------------------------------------------------------------------------------------------

/** Reads input records and writes verdicts. */
export type Codec = {
  /** A record's event, or the fault it is set aside with. Synchronous when the schema is known. */
  readonly decode: (record: InputRecord) => Decoded | Promise<Decoded>
  /**
   * The verdict in the Confluent wire format, or the fault for which it cannot be written. `record` is the one the
   * verdict's event was decoded from.
   */
  readonly encode: (verdict: Verdict, record: InputRecord) => Encoded
}

export type Decoded =
  | { readonly kind: 'event'; readonly received: Received; readonly record: InputRecord }
  | { readonly kind: 'fault'; readonly fault: Fault; readonly record: InputRecord }

export type Encoded =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'fault'; readonly fault: Fault }

// ---- What is in force -------------------------------------------------------------------------------------------

/** One consistent set of rules; taken once per batch, so that a change comes between batches. */
export type Rulebook = {
  readonly policy: Policy
  readonly calibration: Calibration
  readonly certificates: Certificates
}

export type RulebookSource = { readonly current: () => Rulebook }

/** The operator's standing orders. */
export type ControlSource = {
  /**
   * Those whose scope covers the event; of withdrawals those of `reliable`, the certificates it might rely on. Expiry is
   * left to the decision.
   */
  readonly matching: (event: ModelOutput, reliable: readonly Certificate[]) => readonly ControlFact[]
}

// ---- Traces -----------------------------------------------------------------------------------------------------

/** The ids one decision's spans have; `sampled` also decides whether they are made at all. */
export type TraceLink = {
  readonly traceId: string
  readonly parentSpanId: string | null
  readonly processSpanId: string
  readonly sendSpanId: string
  readonly sampled: boolean
  readonly tracestate: string | null
}

export type Tracer = {
  /** Continues the producer's trace, or starts one; `verdict` null for a dead letter. Deterministic in its arguments. */
  readonly link: (record: InputRecord, verdict: Verdict | null) => TraceLink
}

/** What one record became. */
export type Decided =
  | { readonly kind: 'verdict'; readonly verdict: Verdict; readonly record: InputRecord; readonly link: TraceLink }
  | { readonly kind: 'deadLetter'; readonly fault: Fault; readonly record: InputRecord; readonly link: TraceLink }

/** When each step of a batch ended, milliseconds since 1970 with fractions, in this order. */
export type BatchTimes = {
  readonly polled: number
  readonly decoded: number
  readonly observed: number
  readonly decided: number
  readonly encoded: number
  readonly committing: number
  readonly committed: number
}

/** Told of what has become visible; must not throw and must not wait. */
export type Observer = {
  readonly committed: (decided: readonly Decided[], times: BatchTimes) => void
  readonly discarded: (code: string, records: number) => void
  readonly refused: (refusal: StateRefusal) => void
  /** Records are suspected to stop their partition; see Suspicion for what is done about them. */
  readonly isolated: (why: Isolation) => void
}

/** `deaths`: processes died with them in hand. `error`: a batch that holds them could not be decided, which is a bug. */
export type Isolation =
  | { readonly kind: 'deaths'; readonly partition: number; readonly suspicion: Suspicion }
  | { readonly kind: 'error'; readonly error: unknown }

// ---- Time -------------------------------------------------------------------------------------------------------

export type Timer = {
  /** Milliseconds since 1970, with fractions; used for spans, and for `facts.now` when Redis is away. */
  readonly now: () => number
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
}
