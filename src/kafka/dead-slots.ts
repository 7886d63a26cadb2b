import type { Cluster } from './cluster.ts'
import { refuse } from './errors.ts'
import { isPassing } from './transaction-client.ts'
import { Backoff, pause } from './waiting.ts'
import { initProducerId, listOpenTransactions, NEWCOMER } from './wire/messages/transaction.ts'

/**
 * The transactional id of a slot. The slot has no slash, so that the group before the last one is told apart from a
 * group whose name begins alike.
 */
export const transactionalId = (group: string, slot: string): string => `${group}/${slot}`

export function slotOf(id: string, group: string): string | null {
  const slash = id.lastIndexOf('/')
  return slash > 0 && id.slice(0, slash) === group ? id.slice(slash + 1) : null
}

/**
 * Ends the transactions that the group's dead processes left open, so that readers and the partitions' new owners need
 * not wait for the transaction time-out. Run by the group's leader after each rebalance, which is exactly one survivor.
 * Open transactions are asked of the brokers (KIP-664) and not remembered, so it also works when all others died.
 *
 * The race: the dead process may start again between the group's answer and our InitProducerId, which then fences the
 * living one. That costs it one discarded transaction: it finds that the group still knows it under its slot, and
 * takes a new epoch. What it had committed stays; what it had open is replayed.
 *
 * Resolves to the slots whose transaction was ended. A broker that does not know the request (before 3.0) or does not
 * answer is left to the transaction time-out.
 */
export async function endDeadTransactions(
  cluster: Cluster,
  group: string,
  living: readonly string[],
  transactionTimeoutMs: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const lists = await Promise.allSettled(cluster.nodes.map((node) => openOn(cluster, node)))
  const open = lists.flatMap((list) => (list.status === 'fulfilled' ? list.value : []))
  const alive = new Set(living)
  const dead = open.map((id) => slotOf(id, group)).filter((slot) => slot !== null && !alive.has(slot))
  const slots = [...new Set(dead)].filter((slot) => slot !== null)
  await Promise.all(slots.map((slot) => fence(cluster, transactionalId(group, slot), transactionTimeoutMs, signal)))
  return slots
}

async function openOn(cluster: Cluster, node: number): Promise<readonly string[]> {
  const request = listOpenTransactions()
  const { code, ids } = await cluster.send(node, 'query', request)
  refuse(request.apiName, code)
  return ids
}

/** Until the transaction's markers are written, when the answer is no longer CONCURRENT_TRANSACTIONS. */
async function fence(cluster: Cluster, id: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const request = initProducerId(id, timeoutMs, NEWCOMER)
  const until = performance.now() + timeoutMs
  for (const backoff = new Backoff(10, 200); ; await pause(backoff.next(), signal)) {
    try {
      const { code } = await cluster.send(await cluster.coordinator('transaction', id), 'query', request)
      return refuse(request.apiName, code)
    } catch (error) {
      if (!isPassing(error) || performance.now() > until) throw error
      cluster.forgetCoordinators()
    }
  }
}
