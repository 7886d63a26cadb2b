import { inquire } from './inquire.ts'
import type { CounterInquiry } from './inquiry.ts'
import type { CounterFact } from './facts.ts'
import type { Policy } from './policy.ts'
import type { Verdict } from './verdict.ts'

/** That one event counted once at one counter; `at` in milliseconds since 1970. */
export type Count = Pick<CounterInquiry, 'count' | 'key' | 'windowMs'> & { readonly at: number }

/** The event by which an action key is known until `forgottenAt`, milliseconds since 1970. */
export type FirstEvent = {
  readonly actionKey: string
  readonly partition: number
  readonly offset: number
  readonly digest: string
  readonly forgottenAt: number
}

/** What a verdict left behind in state. `first` null: its event repeats an earlier one, or nothing is remembered. */
export type Traces = { readonly counts: readonly Count[]; readonly first: FirstEvent | null }

/** A processor's clock, by which it decides while Redis is away, may be behind that of Redis by this, milliseconds. */
const CLOCK_SKEW_MS = 300_000

/**
 * What the decision counted, from its record: for the time it was made, by the windows of the policy it was made with. An
 * event decided without state is counted by what its policy would have asked, and as if it were no repeat, which its
 * record cannot tell; its time is the processor's and so is taken late, yet not later than `latest`. Where `present`, the
 * policy in force now, gives a limit a longer window, it counts for that.
 */
export function tracesOf(verdict: Verdict, policy: Policy, latest: number, present: Policy = policy): Traces {
  const { facts, source, actionKey } = verdict
  const isBlind = facts.clock === 'processor'
  const at = isBlind ? Math.min(latest, facts.now + CLOCK_SKEW_MS) : facts.now
  const { partition, offset, digest } = source
  const isFirst = facts.first === null && policy.duplicatesMs > 0
  const first = { actionKey, partition, offset, digest, forgottenAt: at + policy.duplicatesMs }
  // Longer than needed where the policy does not know the limit.
  const windows = (limit: string): number =>
    Math.max(windowOf(limit, policy) ?? policy.longestWindowMs, windowOf(limit, present) ?? 0)
  const counts = isBlind ? askedCounts(verdict, policy, at, windows) : recordedCounts(facts.counters, at, windows)
  return { counts, first: isFirst ? first : null }
}

/** The window of a limit, ms. */
type Windows = (limit: string) => number

function recordedCounts(counters: readonly CounterFact[], at: number, windows: Windows): readonly Count[] {
  const counts: Count[] = []
  for (const { limit, key, before, after, granted } of counters) {
    if (after === before) continue
    const count = granted === true ? 'executions' : 'proposals'
    counts.push({ count, key, at, windowMs: windows(limit) })
  }
  return counts
}

const askedCounts = ({ event, source }: Verdict, policy: Policy, at: number, windows: Windows): readonly Count[] =>
  inquire({ event, source }, policy)
    .counters.filter(({ count }) => count === 'proposals')
    .map(({ limit, count, key }) => ({ count, key, windowMs: windows(limit), at }))

const windowOf = (limit: string, { limits, desks }: Policy): number | undefined =>
  [...limits, ...desks].find(({ id }) => id === limit)?.windowMs
