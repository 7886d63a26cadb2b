import type { CounterFact, Facts } from '../decision/facts.ts'
import type { Verdict } from '../decision/verdict.ts'
import { decide, reviewPlace, wouldExecute } from '../decision/decide.ts'
import { claimOf, deskClaimOf } from '../decision/inquire.ts'
import type { Inquiry } from '../decision/inquiry.ts'
import type { ByOffset, Grant, ReserveRange, Rulebook, StateRefusal, StateStore } from './ports.ts'
import type { Known } from './observe.ts'
import type { Lease } from './lease.ts'

export type Judged =
  | { readonly kind: 'judged'; readonly verdicts: ByOffset<Verdict>; readonly refusal: StateRefusal | null }
  | { readonly kind: 'fenced'; readonly refusal: StateRefusal }

/**
 * Places in execution limits are taken only by events that would execute, so these are decided twice: once to know
 * whether they ask for a place, once knowing whether they got it. The same goes for places at a desk and events that would
 * be reviewed; one that is reviewed because it got no place in an execution limit takes none.
 */
export async function judge(
  known: ByOffset<Known>,
  lease: Lease,
  rulebook: Rulebook,
  state: StateStore,
): Promise<Judged> {
  const ranges = claimsOf(known, lease, rulebook)
  if (ranges.length === 0) return { kind: 'judged', verdicts: decideAll(known, rulebook, new Map()), refusal: null }
  const answer = await state.reserve(ranges)
  if (answer.kind === 'fenced') return { kind: 'fenced', refusal: answer }
  if (answer.kind === 'reserved') {
    return {
      kind: 'judged',
      verdicts: decideAll(known, rulebook, grantedFacts(ranges, known, answer.grants)),
      refusal: null,
    }
  }
  return { kind: 'judged', verdicts: decideAll(known, rulebook, ungrantedFacts(ranges, known)), refusal: answer }
}

function claimsOf(known: ByOffset<Known>, lease: Lease, rulebook: Rulebook): readonly ReserveRange[] {
  const { policy } = rulebook
  if (policy.desks.length === 0 && !policy.limits.some((limit) => limit.count === 'executions')) return []
  const ranges: ReserveRange[] = []
  for (const [partition, events] of known) {
    const claims: ReserveRange['claims'][number][] = []
    for (const [offset, it] of events) {
      const claim = executionClaim(it, rulebook) ?? reviewClaim(it, rulebook)
      if (claim !== null) claims.push({ offset, inquiry: claim })
    }
    if (claims.length > 0) ranges.push({ partition, token: lease.tokens.get(partition) ?? 0, claims })
  }
  return ranges
}

function executionClaim(
  { inquiry, received, facts }: Known,
  { policy, calibration, certificates }: Rulebook,
): Inquiry | null {
  const claim = claimOf(inquiry, facts)
  return claim !== null && wouldExecute(received, facts, policy, calibration, certificates) ? claim : null
}

function reviewClaim(
  { inquiry, received, facts }: Known,
  { policy, calibration, certificates }: Rulebook,
): Inquiry | null {
  if (policy.desks.length === 0 || facts.state === 'unavailable') return null
  const place = reviewPlace(received, facts, policy, calibration, certificates)
  return place === null ? null : deskClaimOf(inquiry, place)
}

type FactsByOffset = ReadonlyMap<number, ReadonlyMap<number, Facts>>

function decideAll(
  known: ByOffset<Known>,
  { policy, calibration, certificates }: Rulebook,
  amended: FactsByOffset,
): ByOffset<Verdict> {
  const verdicts = new Map<number, ReadonlyMap<number, Verdict>>()
  for (const [partition, events] of known) {
    const own = new Map<number, Verdict>()
    const better = amended.get(partition)
    for (const [offset, { received, inquiry, facts }] of events) {
      const best = better?.get(offset) ?? facts
      own.set(offset, decide(received, best, policy, calibration, certificates, inquiry.actionKey))
    }
    verdicts.set(partition, own)
  }
  return verdicts
}

const grantedFacts = (
  ranges: readonly ReserveRange[],
  known: ByOffset<Known>,
  grants: ByOffset<Grant>,
): FactsByOffset =>
  amend(ranges, known, (facts, partition, offset) => {
    const grant = grants.get(partition)?.get(offset)
    return grant === undefined ? facts : { ...facts, counters: facts.counters.map((it) => granted(it, grant)) }
  })

/** Nobody knows whether there was room, so state counts as unavailable for those that asked. */
const ungrantedFacts = (ranges: readonly ReserveRange[], known: ByOffset<Known>): FactsByOffset =>
  amend(ranges, known, (facts) => ({ ...facts, state: 'unavailable' }))

function amend(
  ranges: readonly ReserveRange[],
  known: ByOffset<Known>,
  change: (facts: Facts, partition: number, offset: number) => Facts,
): FactsByOffset {
  const amended = new Map<number, Map<number, Facts>>()
  for (const { partition, claims } of ranges) {
    const own = new Map<number, Facts>()
    for (const { offset } of claims) {
      const facts = known.get(partition)?.get(offset)?.facts
      if (facts !== undefined) own.set(offset, change(facts, partition, offset))
    }
    amended.set(partition, own)
  }
  return amended
}

function granted(counter: CounterFact, grant: Grant): CounterFact {
  const before = grant.counters.get(counter.limit)
  if (before === undefined) return counter
  return { ...counter, before, after: grant.granted ? before + 1 : before, granted: grant.granted }
}
