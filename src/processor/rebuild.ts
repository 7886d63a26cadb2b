import type { Count, FirstEvent } from '../decision/recount.ts'
import { tracesOf } from '../decision/recount.ts'
import type { Policy } from '../decision/policy.ts'
import type { Verdict } from '../decision/verdict.ts'
import type { Fault } from './fault.ts'
import type { Timer } from './ports.ts'

/** An event that is counted unless it repeats another one. */
export type BlindEvent = { readonly first: FirstEvent; readonly counts: readonly Count[] }

/** A run of one place (a partition of a verdict topic), with what its verdicts counted. */
export type Restoration = {
  readonly place: string
  /** Where the last run of the place ended; null where this is its first. */
  readonly after: number | null
  readonly next: number
  readonly counts: readonly Count[]
  readonly firsts: readonly FirstEvent[]
  /** What was decided without state, of which only all verdicts together tell whether it repeats another one. */
  readonly blind: readonly BlindEvent[]
  /** By partition of the input, the offset after the last that has a verdict in the run, whenever it was decided. */
  readonly decided: ReadonlyMap<number, number>
}

/**
 * The right to restore what was counted before `epoch` began. `since`: by partition of the input, the first offset that
 * is counted in the epoch itself. `places`: where to go on, as far as somebody has begun. `now`: state's time, and `lostAt`:
 * when the last epoch ended, ms.
 */
export type RebuildClaim = {
  readonly kind: 'yours'
  readonly epoch: string
  readonly now: number
  readonly lostAt: number
  readonly since: readonly number[]
  readonly places: ReadonlyMap<string, number>
}

type Away = { readonly kind: 'unavailable'; readonly fault: Fault }
type Fenced = { readonly kind: 'fenced' }

/** State as whoever rebuilds it sees it. */
export type RebuildStore = {
  /** Whether state was incomplete when it last answered a decision. */
  readonly isIncomplete: () => boolean
  /**
   * `whole`: nothing is missing (any more). `unproven`: the owner of a partition has not told this Redis what it knows of it,
   * so it is not known whether anything is missing. `waiting`: a partition has no owner since the loss, so it is not known what
   * to restore of it. `held`: another process restores; `progress` from 0 to 1.
   */
  readonly claim: (
    partitions: number,
  ) => Promise<
    | RebuildClaim
    | { readonly kind: 'whole' }
    | { readonly kind: 'unproven' | 'waiting'; readonly partition: number }
    | { readonly kind: 'held'; readonly progress: number }
    | Away
  >
  /**
   * Once per run, however often it is told. `fenced`: another process goes on, or state was lost again, or set back to before
   * the run's predecessor.
   */
  readonly restore: (
    claim: RebuildClaim,
    run: Restoration,
    progress: number,
  ) => Promise<{ readonly kind: 'restored' } | Fenced | Away>
  /** `reached`: how far every place was restored. `fenced` also where state is not as far. */
  readonly finish: (
    claim: RebuildClaim,
    reached: ReadonlyMap<string, number>,
  ) => Promise<{ readonly kind: 'done' } | Fenced | Away>
}

export type VerdictSlice = {
  readonly place: string
  readonly from: number
  readonly next: number
  readonly verdicts: readonly Verdict[]
}

/** The verdict topics, read_committed. */
export type VerdictHistory = {
  /** Partitions of the input; null when Kafka does not answer. */
  readonly partitions: () => Promise<number | null>
  /**
   * Gives everything that was written after `since` (ms) and before reading began, from `places` on where they are given.
   * `progress` from 0 to 1. A false answer ends the reading. `cut`: a topic no longer has all that was written since.
   */
  readonly read: (
    since: number,
    places: ReadonlyMap<string, number>,
    accept: (slice: VerdictSlice, progress: number) => Promise<boolean>,
    signal: AbortSignal,
  ) => Promise<
    { readonly kind: 'read' } | { readonly kind: 'stopped' } | { readonly kind: 'cut'; readonly why: string } | Failed
  >
}

type Failed = { readonly kind: 'failed'; readonly why: string }

/** How far the way back to whole state is; for the log, metrics and readiness. */
export type RebuildStatus =
  | { readonly kind: 'whole' }
  | { readonly kind: 'unproven'; readonly why: string }
  | { readonly kind: 'waiting'; readonly why: string }
  | { readonly kind: 'rebuilding'; readonly progress: number; readonly here: boolean }
  | { readonly kind: 'rebuilt'; readonly verdicts: number; readonly ms: number }

export type Rebuilder = {
  readonly store: RebuildStore
  readonly history: VerdictHistory
  /** The policy a verdict names, or the best there is for it. */
  readonly policyOf: (verdict: Verdict) => Promise<Policy>
  readonly inputTopic: string
  /** The one in force: how far back counts matter, and for how long. */
  readonly policy: () => Policy
  readonly timer: Timer
  readonly onStatus: (status: RebuildStatus) => void
}

const LOOK_MS = 500
const RETRY_MS = 5000
/** Verdicts may bear times that lie apart by as much as clocks do. */
const MARGIN_MS = 600_000

/**
 * Whenever state was lost, restores the counters and action keys from the verdicts and declares state whole again. Every
 * process runs one; state lets one of them work at a time, and another goes on where that one ends. Meanwhile owners
 * observe into the same counters: a verdict is restored if its offset lies below where the epoch's observations began.
 */
export async function runRebuilder(rebuilder: Rebuilder, signal: AbortSignal): Promise<void> {
  const { store, timer, onStatus } = rebuilder
  let wasIncomplete = false
  while (!signal.aborted) {
    await timer.sleep(LOOK_MS, signal)
    const isIncomplete = store.isIncomplete()
    if (wasIncomplete && !isIncomplete) onStatus({ kind: 'whole' })
    wasIncomplete = isIncomplete
    if (signal.aborted || !isIncomplete) continue
    if (!(await attempt(rebuilder, signal))) await timer.sleep(RETRY_MS, signal)
  }
}

/** False where trying again at once makes no sense. */
async function attempt(rebuilder: Rebuilder, signal: AbortSignal): Promise<boolean> {
  const { store, history, onStatus } = rebuilder
  const partitions = await history.partitions()
  if (partitions === null) return false
  const claim = await store.claim(partitions)
  if (claim.kind === 'yours') return await rebuild(claim, rebuilder, signal)
  if (claim.kind === 'held') onStatus({ kind: 'rebuilding', progress: claim.progress, here: false })
  if (claim.kind === 'unavailable') onStatus({ kind: 'waiting', why: claim.fault.detail })
  if (claim.kind === 'unproven')
    onStatus({
      kind: 'unproven',
      why: `the owner of partition ${claim.partition} has not told this Redis what it knows`,
    })
  if (claim.kind === 'waiting')
    onStatus({ kind: 'waiting', why: `partition ${claim.partition} has had no owner since` })
  return true
}

async function rebuild(claim: RebuildClaim, rebuilder: Rebuilder, signal: AbortSignal): Promise<boolean> {
  const { store, history, timer, onStatus } = rebuilder
  const began = timer.now()
  const reached = new Map(claim.places)
  let verdicts = 0
  const accept = async (slice: VerdictSlice, progress: number): Promise<boolean> => {
    onStatus({ kind: 'rebuilding', progress, here: true })
    verdicts += slice.verdicts.length
    const after = reached.get(slice.place) ?? null
    const run = { ...(await restorationOf(slice, claim, rebuilder)), after }
    const isRestored = await restore(claim, run, progress, rebuilder, signal)
    if (isRestored) reached.set(slice.place, slice.next)
    return isRestored
  }
  const oldest = claim.now - rebuilder.policy().longestWindowMs - MARGIN_MS
  const result = await history.read(oldest, claim.places, accept, signal)
  if (result.kind === 'stopped') return true
  if (result.kind !== 'read') {
    onStatus({ kind: 'waiting', why: result.why })
    return false
  }
  const finished = await store.finish(claim, reached)
  if (finished.kind === 'done') onStatus({ kind: 'rebuilt', verdicts, ms: timer.now() - began })
  return true
}

/** What the epoch does not count itself; a verdict on another topic's event is none of ours. */
async function restorationOf(
  { place, next, verdicts }: VerdictSlice,
  claim: RebuildClaim,
  { policyOf, policy, inputTopic }: Rebuilder,
): Promise<Omit<Restoration, 'after'>> {
  const counts: Count[] = []
  const firsts: FirstEvent[] = []
  const blind: BlindEvent[] = []
  const decided = new Map<number, number>()
  for (const verdict of verdicts) {
    const { topic, partition, offset } = verdict.source
    if (topic !== inputTopic) continue
    decided.set(partition, Math.max(decided.get(partition) ?? 0, offset + 1))
    const isOfEpoch = offset >= (claim.since[partition] ?? 0)
    if (isOfEpoch && (verdict.facts.state !== 'ok' || verdict.facts.now >= claim.lostAt)) continue
    const { counts: counted, first } = tracesOf(verdict, await policyOf(verdict), claim.now, policy())
    if (isOfEpoch) {
      // It was decided before the loss, and the offsets were set back since.
      counts.push(...counted.filter(({ count }) => count === 'executions'))
      if (first !== null) firsts.push(first)
      continue
    }
    if (first !== null && verdict.facts.clock === 'processor') {
      blind.push({ first, counts: counted })
      continue
    }
    counts.push(...counted)
    if (first !== null) firsts.push(first)
  }
  return { place, next, counts, firsts, blind, decided }
}

/** Tells it until there is an answer; false when somebody else must go on. */
async function restore(
  claim: RebuildClaim,
  run: Restoration,
  progress: number,
  { store, timer }: Rebuilder,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    const answer = await store.restore(claim, run, progress)
    if (answer.kind !== 'unavailable') return answer.kind === 'restored'
    await timer.sleep(LOOK_MS, signal)
  }
  return false
}
