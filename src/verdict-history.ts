import type { Records } from './avro/records.ts'
import type { Verdict } from './decision/verdict.ts'
import type { KafkaConnection } from './kafka/connection.ts'
import { messageOf } from './kafka/errors.ts'
import { placeOf, scanLog } from './kafka/log-scan.ts'
import type { Scanned } from './kafka/log-scan.ts'
import type { Slice } from './kafka/reader.ts'
import { partitionsOf } from './kafka/topics.ts'
import type { FetchedRecord } from './kafka/wire/record-reader.ts'
import type { VerdictHistory, VerdictSlice } from './processor/rebuild.ts'

export type VerdictHistoryOptions = {
  readonly connection: KafkaConnection
  readonly input: string
  readonly verdictTopics: readonly string[]
  readonly records: Records
  /** Told of a record that is no verdict of ours; it is passed over. */
  readonly onUnusable: (position: string, problem: string) => void
}

/** The verdicts of a deployment, as its topics keep them. */
export function verdictHistory(options: VerdictHistoryOptions): VerdictHistory {
  const { connection, input } = options
  return {
    partitions: async () => await partitionsOf(connection, input).catch(() => null),
    read: async (since, places, accept, signal) => {
      let waiting: string | null = null
      const acceptSlice = async (slice: Slice, progress: number): Promise<boolean> => {
        const read = await verdictsOf(slice, options)
        if (typeof read === 'string') waiting = read
        return typeof read !== 'string' && (await accept(read, progress))
      }
      try {
        const topics = options.verdictTopics
        const scanned = await scanLog(connection, { topics, since, places, accept: acceptSlice, signal })
        return waiting === null ? inWords(scanned) : { kind: 'failed', why: waiting }
      } catch (error) {
        return { kind: 'failed', why: `the verdict topics cannot be read: ${messageOf(error)}` }
      }
    },
  }
}

/** Why not, where one cannot be read, for now or at all: a verdict passed over would be a count too few. */
async function verdictsOf(
  slice: Slice,
  { input, records, onUnusable }: VerdictHistoryOptions,
): Promise<VerdictSlice | string> {
  const verdicts: Verdict[] = []
  for (const record of slice.records) {
    const { topic, partition, offset, value } = record
    const reading = records.decode('Verdict', topic, value)
    const read = reading instanceof Promise ? await reading : reading
    if (read.kind === 'value') {
      verdicts.push(read.value)
      continue
    }
    const { retry, detail } = read.fault
    if (retry) return detail
    const event = eventNamedBy(record)
    const position = `${topic}:${partition}:${offset}`
    if (event.startsWith(`${input}:`)) return `${position} is the verdict on ${event}, and cannot be read: ${detail}`
    onUnusable(position, detail)
  }
  return { place: placeOf(slice), from: slice.from, next: slice.next, verdicts }
}

/** A header tells whose verdict a record is even where its value, or the schema that it was written with, is gone. */
const eventNamedBy = ({ headers }: FetchedRecord): string => Buffer.from(headers.get('ce_id') ?? []).toString('utf8')

function inWords(scanned: Scanned): Awaited<ReturnType<VerdictHistory['read']>> {
  if (scanned.kind !== 'cut') return scanned
  const { topic, partition } = scanned
  const why =
    `${topic}-${partition} no longer has all verdicts of the longest window; ` +
    'let the verdict topics keep them for longer (retention.ms, retention.bytes)'
  return { kind: 'cut', why }
}
