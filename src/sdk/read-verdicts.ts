import type { Records } from '../avro/records.ts'
import { ROUTES } from '../decision/route.ts'
import type { Route } from '../decision/route.ts'
import type { Verdict } from '../decision/verdict.ts'
import { readGroup } from '../kafka/group-reader.ts'
import type { GroupReaderTimes } from '../kafka/group-reader.ts'
import type { Fault } from '../processor/fault.ts'
import type { InputRecord } from '../processor/ports.ts'
import { DECISION, MESSAGING } from '../telemetry/names.ts'
import { connectionOf, openRecords } from './access.ts'
import type { Access } from './access.ts'
import { inProcessSpan } from './trace.ts'

export type ReadOptions = Access & {
  /** The consumer group: its members share the verdicts out, and each verdict is handed to one of them. */
  readonly group: string
  /** All three if not given. */
  readonly routes?: readonly Route[]
  /** `decisions.execute`, `decisions.review`, `decisions.reject` if not given. */
  readonly topics?: Partial<Readonly<Record<Route, string>>>
  /** Where a group that has read nothing yet begins; the beginning if not given. */
  readonly from?: 'beginning' | 'end'
  /** How many partitions are handled at the same time; 8 if not given. */
  readonly concurrency?: number
  /** Reading ends in order when it aborts: what is being handled is finished and committed. */
  readonly signal: AbortSignal
  /**
   * Told of a record that is no verdict we can read; when it resolves the record is passed over. If not given, reading
   * ends with UnreadableVerdict, since no record is passed over in silence.
   */
  readonly onUnreadable?: (why: UnreadableVerdict, record: InputRecord) => Promise<void> | void
  /** Told of what is tried again: trouble with Kafka or the registry, or a handler that failed. */
  readonly onTrouble?: (error: unknown) => void
  readonly times?: Partial<GroupReaderTimes>
}

/** Where a verdict came from, and the attempt, from 1. `signal` aborts when the partition is lost or reading ends. */
export type Delivery = {
  readonly record: InputRecord
  readonly attempt: number
  readonly signal: AbortSignal
}

export type VerdictHandler = (verdict: Verdict, delivery: Delivery) => Promise<void> | void

/** A record of a verdict topic that cannot be read, or that lies in another route's topic. */
export class UnreadableVerdict extends Error {
  override readonly name = 'UnreadableVerdict'
  readonly fault: Fault | null

  constructor({ topic, partition, offset }: InputRecord, detail: string, fault: Fault | null) {
    super(`${topic}:${partition}:${offset} is no verdict that can be read: ${detail}`)
    this.fault = fault
  }
}

/**
 * Hands over every verdict of the routes, in order within a partition, at least once: after a crash or when partitions
 * change hands the last ones come again. Aborted records are never seen. A handler that rejects is given the same
 * verdict again, later from time to time, and the partition waits. Resolves after the signal.
 */
export async function readVerdicts(options: ReadOptions, handler: VerdictHandler): Promise<void> {
  const records = await openRecords(options.registry)
  const routes = new Map((options.routes ?? ROUTES).map((route) => [topicOf(options, route), route]))
  const failed = new AbortController()
  const { group, from, concurrency, times } = options
  await readGroup(connectionOf(options.kafka), {
    group,
    topics: [...routes.keys()],
    signal: AbortSignal.any([options.signal, failed.signal]),
    onTrouble: (error) => options.onTrouble?.(error),
    ...(from === undefined ? {} : { from }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(times === undefined ? {} : { times }),
    handle: async (record, { attempt, signal }) => {
      const read = await readVerdict(records, record, routes.get(record.topic))
      if (read instanceof UnreadableVerdict) return await passOver(read, record, options, failed)
      await deliver(read, { record, attempt, signal }, options, handler)
    },
  })
  if (failed.signal.aborted) throw failed.signal.reason
}

const topicOf = ({ topics }: ReadOptions, route: Route): string => topics?.[route] ?? `decisions.${route}`

/** Rejects when waiting may help, as for a registry that does not answer. */
async function readVerdict(
  records: Records,
  record: InputRecord,
  route: Route | undefined,
): Promise<Verdict | UnreadableVerdict> {
  const read = await records.decode('Verdict', record.topic, record.value)
  if (read.kind === 'fault') {
    const unreadable = new UnreadableVerdict(record, read.fault.detail, read.fault)
    if (read.fault.retry) throw unreadable
    return unreadable
  }
  if (read.value.route === route) return read.value
  return new UnreadableVerdict(record, `its route is ${read.value.route}, which has another topic`, null)
}

/** Without `onUnreadable` reading ends; the record is not committed, so it comes first the next time. */
async function passOver(
  why: UnreadableVerdict,
  record: InputRecord,
  { onUnreadable }: ReadOptions,
  failed: AbortController,
): Promise<void> {
  if (onUnreadable !== undefined) return await onUnreadable(why, record)
  failed.abort(why)
  throw why
}

function deliver(verdict: Verdict, delivery: Delivery, { group }: ReadOptions, handler: VerdictHandler): Promise<void> {
  const { topic, partition, offset, headers } = delivery.record
  const attributes = {
    [MESSAGING.offset]: offset,
    [MESSAGING.group]: group,
    [DECISION.id]: verdict.decisionId,
    [DECISION.route]: verdict.route,
    [DECISION.code]: verdict.code,
  }
  return inProcessSpan({ topic, partition }, headers, attributes, async () => {
    await handler(verdict, delivery)
  })
}
