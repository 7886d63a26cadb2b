import type { Position } from '../processor/ports.ts'
import type { Cluster } from './cluster.ts'
import { refuse, remedyOf } from './errors.ts'
import { isPassing } from './transaction-client.ts'
import { Backoff, pause, unlessAborted } from './waiting.ts'
import { listOffsets, offsetFetch } from './wire/messages/offsets.ts'
import type { CommittedOffset } from './wire/messages/offsets.ts'
import { OUR_OFFSETS } from './wire/messages/transaction.ts'

/** What the group has committed, and whether somebody else than a decision log has done so. */
export type Committed = { readonly offset: number; readonly isSetByHand: boolean }

/** Where a partition's log begins and ends. */
export type LogBounds = { readonly start: number; readonly end: number }

/**
 * - `at`: it can be read from `start`.
 * - `gap`: what was committed lies before the log's start, so what is between was deleted unread.
 * - `ahead`: what was committed lies beyond the log's end: the topic was made anew, or has lost its tail.
 * - `unknown`: nothing is committed, and the log's start cannot be asked for.
 */
export type Standing =
  | { readonly kind: 'at'; readonly position: Position }
  | { readonly kind: 'gap'; readonly position: Position; readonly from: number }
  | { readonly kind: 'ahead'; readonly committed: number; readonly end: number }
  | { readonly kind: 'unknown' }

/** `found` null is the group's first time here: it starts at the log's beginning. */
export function standing(found: Committed | null, bounds: LogBounds | undefined): Standing {
  if (found === null) {
    return bounds === undefined
      ? { kind: 'unknown' }
      : { kind: 'at', position: { start: bounds.start, committed: null } }
  }
  const { offset: committed, isSetByHand } = found
  const from = (start: number): Position => ({ start, committed, ...(isSetByHand && { isSetByHand }) })
  if (bounds === undefined) return { kind: 'at', position: from(committed) }
  if (committed > bounds.end) return { kind: 'ahead', committed, end: bounds.end }
  if (committed < bounds.start) return { kind: 'gap', position: from(bounds.start), from: committed }
  return { kind: 'at', position: from(committed) }
}

/**
 * The group's offsets, null where there is none, once all of them are stable (KIP-447): UNSTABLE_OFFSET_COMMIT means
 * that a transaction which commits one is open or not yet marked, and is asked again for as long as it takes. Only
 * after the fence may they be asked for: before it, our own last transaction could still be the one.
 */
export async function stableOffsets(
  cluster: Cluster,
  group: string,
  topic: string,
  partitions: readonly number[],
  signal: AbortSignal,
): Promise<ReadonlyMap<number, Committed | null>> {
  if (partitions.length === 0) return new Map()
  const request = offsetFetch(group, topic, partitions)
  for (const backoff = new Backoff(5, 100); ; await pause(backoff.next(), signal)) {
    try {
      const node = await cluster.coordinator('group', group)
      const answer = await unlessAborted(cluster.send(node, 'query', request), signal)
      refuse(request.apiName, answer.code)
      for (const { code } of answer.partitions) refuse(request.apiName, code)
      const known = new Map(answer.partitions.map((it) => [it.partition, it]))
      return new Map(partitions.map((partition) => [partition, committedOf(known.get(partition))]))
    } catch (error) {
      if (!isPassing(error)) throw error
      if (remedyOf(error) !== 'again') cluster.forgetCoordinators()
    }
  }
}

const committedOf = (found: CommittedOffset | undefined): Committed | null =>
  found === undefined || found.offset < 0 ? null : { offset: found.offset, isSetByHand: found.metadata !== OUR_OFFSETS }

/** Of the partitions whose leader answers; one that does not must not hold up the others. */
export async function logBounds(
  cluster: Cluster,
  topic: string,
  partitions: readonly number[],
): Promise<ReadonlyMap<number, LogBounds>> {
  const byLeader = Map.groupBy(partitions, (partition) => cluster.leader(topic, partition))
  const bounds = new Map<number, LogBounds>()
  const ask = async (node: number, led: readonly number[]): Promise<void> => {
    const starts = await cluster.send(node, 'query', listOffsets(topic, led, 'earliest'))
    const ends = await cluster.send(node, 'query', listOffsets(topic, led, 'latest'))
    for (const { partition, code, offset } of starts) {
      const end = ends.find((edge) => edge.partition === partition)
      if (code === 0 && end?.code === 0) bounds.set(partition, { start: offset, end: end.offset })
    }
  }
  const asked = [...byLeader].flatMap(([node, led]) => (node === null ? [] : [ask(node, led)]))
  await Promise.allSettled(asked)
  return bounds
}
