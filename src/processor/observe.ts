import type { Facts, CounterFact, ContextFact } from '../decision/facts.ts'
import type { Inquiry, CounterInquiry } from '../decision/inquiry.ts'
import type { Policy } from '../decision/policy.ts'
import type { ModelOutput, Received } from '../decision/event.ts'
import { inquire } from '../decision/inquire.ts'
import { decisionIdOf } from '../decision/keys.ts'
import { reliableFor } from '../decision/proof.ts'
import type { DecodedRun } from './decode.ts'
import type { Lease } from './lease.ts'
import type {
  ByOffset,
  ControlSource,
  Observation,
  ObserveRange,
  Rulebook,
  StateRefusal,
  StateStore,
  Timer,
} from './ports.ts'

/** An event with everything known about it, before it is judged. */
export type Known = { readonly received: Received; readonly inquiry: Inquiry; readonly facts: Facts }

export type Observed =
  | { readonly kind: 'known'; readonly byPartition: ByOffset<Known>; readonly refusal: StateRefusal | null }
  | { readonly kind: 'fenced'; readonly refusal: StateRefusal }

export type ObserveParts = { readonly state: StateStore; readonly control: ControlSource; readonly timer: Timer }

/**
 * Records the facts of every event before they are used, in one round trip. When state does not answer, the decisions
 * go on without it, which the facts say.
 */
export async function observe(
  runs: readonly DecodedRun[],
  lease: Lease,
  rulebook: Rulebook,
  parts: ObserveParts,
): Promise<Observed> {
  const { policy } = rulebook
  const asked = runs.map((run) => inquiriesOf(run, policy))
  const ranges = runs.map((run, at) => toRange(run, asked[at] ?? [], lease))
  const answer = await parts.state.observe(ranges, policy.duplicatesMs, policy.longestWindowMs)
  if (answer.kind === 'fenced') return { kind: 'fenced', refusal: answer }
  const observations = answer.kind === 'observed' ? answer.observations : null
  const now = Math.floor(parts.timer.now())
  const ordersOn = (event: ModelOutput): Facts['control'] => ordersFor(event, rulebook, parts.control)
  const byPartition = new Map<number, Map<number, Known>>()
  runs.forEach((run, at) => {
    const seen = observations?.get(run.partition)
    const around = { now, ordersOn, decided: decidedOf(lease, run.partition) }
    byPartition.set(run.partition, knownOf(run, asked[at] ?? [], seen, around))
  })
  return { kind: 'known', byPartition, refusal: answer.kind === 'unavailable' ? answer : null }
}

/** What a run's facts are made of besides what state knows. */
type Around = {
  readonly now: number
  readonly ordersOn: (event: ModelOutput) => Facts['control']
  readonly decided: number
}

const decidedOf = (lease: Lease, partition: number): number => lease.decided.get(partition) ?? 0

const ordersFor = (event: ModelOutput, { policy, certificates }: Rulebook, control: ControlSource): Facts['control'] =>
  control.matching(event, reliableFor(event, policy, certificates))

function inquiriesOf(run: DecodedRun, policy: Policy): readonly Inquiry[] {
  const inquiries: Inquiry[] = []
  for (const it of run.records) if (it.kind === 'event') inquiries.push(inquire(it.received, policy))
  return inquiries
}

/** What was decided before is not asked about again: it was counted then, and its facts are forgotten. */
function toRange(run: DecodedRun, inquiries: readonly Inquiry[], lease: Lease): ObserveRange {
  const { partition, from, next } = run
  const decided = decidedOf(lease, partition)
  const committed = lease.committed.get(partition) ?? 0
  lease.told.set(partition, committed)
  return {
    partition,
    token: lease.tokens.get(partition) ?? 0,
    from,
    next,
    committed,
    inquiries: from < decided ? inquiries.filter(({ offset }) => offset >= decided) : inquiries,
  }
}

/** Runs of nothing that tell state how far each partition is committed, where it does not know. */
export function untold(lease: Lease): readonly ObserveRange[] {
  const ranges: ObserveRange[] = []
  for (const [partition, committed] of lease.committed) {
    const token = lease.tokens.get(partition)
    if (token === undefined || lease.told.get(partition) === committed) continue
    lease.told.set(partition, committed)
    ranges.push({ partition, token, from: committed, next: committed, committed, inquiries: [] })
  }
  return ranges
}

function knownOf(
  run: DecodedRun,
  inquiries: readonly Inquiry[],
  seen: ReadonlyMap<number, Observation> | undefined,
  { now, ordersOn, decided }: Around,
): Map<number, Known> {
  const known = new Map<number, Known>()
  let next = 0
  for (const it of run.records) {
    if (it.kind !== 'event') continue
    const inquiry = inquiries[next++]
    if (inquiry === undefined) throw new Error('an event without an inquiry')
    const { received } = it
    const orders = ordersOn(received.event)
    const observation = seen?.get(inquiry.offset)
    const facts = observation === undefined ? factsWithout(inquiry, now, orders) : factsOf(inquiry, observation, orders)
    known.set(inquiry.offset, {
      received,
      inquiry,
      facts: inquiry.offset < decided ? factsAgain(facts, received) : facts,
    })
  }
  return known
}

/** The first of this event is the event itself: the group's offset was set back to before it. */
const factsAgain = (facts: Facts, { source }: Received): Facts => ({
  ...facts,
  state: 'ok',
  first: { decisionId: decisionIdOf(source), digest: source.digest },
})

/** The facts when state did not answer: nothing is known but the processor's own time and the operator's orders. */
function factsWithout(inquiry: Inquiry, now: number, control: Facts['control']): Facts {
  const context = inquiry.context.map(({ name, key }) => ({ name, key, value: null }))
  return { now, clock: 'processor', state: 'unavailable', first: null, context, counters: [], control }
}

function factsOf(inquiry: Inquiry, seen: Observation, control: Facts['control']): Facts {
  const isRepeat = seen.first !== null && seen.first.digest === inquiry.digest
  const counters: CounterFact[] = []
  for (const asked of inquiry.counters) {
    const before = seen.counters.get(asked.limit)
    if (before !== undefined) counters.push(counterFact(asked, before, isRepeat))
  }
  const context: ContextFact[] = inquiry.context.map(({ name, key }) => ({
    name,
    key,
    value: seen.context.get(name) ?? null,
  }))
  const state = seen.lost ? 'lost' : 'ok'
  return { now: seen.now, clock: 'redis', state, first: seen.first, context, counters, control }
}

/** A proposal counts when it is observed, unless it repeats an earlier one; an execution when it is reserved. */
function counterFact(asked: CounterInquiry, before: number, isRepeat: boolean): CounterFact {
  const counted = asked.count === 'proposals' && !isRepeat
  return { limit: asked.limit, key: asked.key, before, after: counted ? before + 1 : before, granted: null }
}
