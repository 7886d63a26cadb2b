import { Cluster } from './cluster.ts'
import type { KafkaConnection } from './connection.ts'
import { remedyOf } from './errors.ts'
import { GroupMembership } from './group-membership.ts'
import { GROUP_READER_TIMES } from './group-reader.ts'
import { Backoff, pause } from './waiting.ts'

export type LeadershipOptions = {
  readonly group: string
  /** The group shares its partitions out, and who is given the first one leads. */
  readonly topic: string
  /** The group is left, and another may lead, once it aborts. */
  readonly signal: AbortSignal
  readonly onStandby: () => void
  readonly onTrouble: (error: unknown) => void
}

/**
 * Runs `lead` in one of all processes of a group at a time, as Kafka's coordinator has it: a process that does not know yet
 * that its time is over may run a little longer beside its successor. `over` aborts when the lead is lost or at the signal;
 * `lead` is run again whenever it is won anew. Resolves after the signal; rejects where the group or topic may not be used, and
 * with what `lead` rejects with.
 */
export async function whileLeading(
  connection: KafkaConnection,
  options: LeadershipOptions,
  lead: (over: AbortSignal) => Promise<void>,
): Promise<void> {
  const { group, topic, signal, onTrouble } = options
  const times = GROUP_READER_TIMES
  const cluster = new Cluster(connection, { connectTimeoutMs: 3000, requestTimeoutMs: times.requestTimeoutMs })
  const membership = new GroupMembership(cluster, group, [topic], times, onTrouble)
  try {
    for (const backoff = new Backoff(50, 1000); !signal.aborted;) {
      const place = await membership.join(signal).catch((error: unknown) => passing(error, options))
      if (place === null) {
        await pause(backoff.next(), signal).catch(() => undefined)
        continue
      }
      backoff.reset()
      const over = AbortSignal.any([place.ended, signal])
      if (place.share.get(topic)?.includes(0) === true) await lead(over)
      else {
        options.onStandby()
        await aborted(over)
      }
    }
  } finally {
    await membership.leave().catch(onTrouble)
    cluster.close()
  }
}

/** Null where trying again may help. */
function passing(error: unknown, { signal, onTrouble }: LeadershipOptions): null {
  if (remedyOf(error) === 'refused') throw error
  if (!signal.aborted && remedyOf(error) !== 'rejoin') onTrouble(error)
  return null
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
