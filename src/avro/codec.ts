import { hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ModelOutput } from '../decision/event.ts'
import { ROUTES, type Route } from '../decision/route.ts'
import type { Fault } from '../processor/fault.ts'
import type { Codec, Decoded, InputRecord } from '../processor/ports.ts'
import { createReader, createWrite, type Read } from './records.ts'
import type { Registry, Writers } from './registry.ts'
import { subjectOf, VERDICT_HEAD } from './schemas.ts'
import { createEncode, fault, HEADER_BYTES, InvalidRecord } from './wire.ts'
import { writeVerdictHead } from './verdict-head.ts'
import { isFault } from './writer.ts'

export type CodecOptions = {
  /** The subjects whose schemas are allowed on the input topic; usually just the topic's own. */
  readonly subjects: readonly string[]
  readonly verdictTopics: Readonly<Record<Route, string>>
  /** A larger value is set aside. */
  readonly maxEventBytes: number
}

/** How to wait for the registry; `onWaiting` is told each time why. */
export type Waiting = {
  readonly signal: AbortSignal
  readonly everyMs: number
  readonly onWaiting: (fault: Fault) => void
}

/** What one schema id per verdict topic is; equal schemas have one id in most registries, but not in all. */
export type VerdictIds = Readonly<Record<Route, number>>

/**
 * The codec, as soon as the verdicts' schema ids are known: from the registry, or from the registry's cache file when it
 * does not answer. Until then it waits, since a verdict cannot be written without. Rejects when the signal aborts.
 */
export async function openCodec(registry: Registry, options: CodecOptions, waiting: Waiting): Promise<Codec> {
  const ids = new Map<Route, number>()
  for (const route of ROUTES) {
    ids.set(route, await awaitId(registry, subjectOf(options.verdictTopics[route]), waiting))
  }
  const { subjects, maxEventBytes } = options
  const verdictIds = Object.fromEntries(ids) as VerdictIds
  return createCodec(registry.writers('ModelOutput', subjects, maxEventBytes), verdictIds, maxEventBytes)
}

async function awaitId(registry: Registry, subject: string, { signal, everyMs, onWaiting }: Waiting): Promise<number> {
  for (;;) {
    signal.throwIfAborted()
    const id = await registry.idOf('Verdict', subject)
    if (!isFault(id)) return id
    onWaiting(id)
    await sleep(everyMs, undefined, { signal })
  }
}

/** The codec over schemas already known or to be found by `writers`. */
export function createCodec(writers: Writers, verdictIds: VerdictIds, maxEventBytes: number): Codec {
  const read = createReader('ModelOutput', writers, maxEventBytes)
  const encodeHead = createEncode(VERDICT_HEAD, 'Verdict', writeVerdictHead)
  const encodeWhole = createWrite('Verdict')
  return {
    decode: (record) => {
      const result = read(record.value)
      return result instanceof Promise ? result.then((it) => received(it, record)) : received(result, record)
    },
    encode: (verdict, record) => {
      const id = verdictIds[verdict.route]
      const body = copyableBody(record.value, writers)
      try {
        return { kind: 'bytes', bytes: body === null ? encodeWhole(id, verdict) : encodeHead(id, verdict, body) }
      } catch (error) {
        if (!(error instanceof InvalidRecord)) throw error
        return { kind: 'fault', fault: fault('verdict.malformed', error.message) }
      }
    },
  }
}

/**
 * The event's bytes, where they are laid out as a verdict's last field is. They were walked when they were decoded, so
 * they are one value and nothing else, though not always the shortest encoding of it.
 */
function copyableBody(value: Buffer | null, writers: Writers): Buffer | null {
  if (value === null || value.length < HEADER_BYTES) return null
  const writer = writers.find(value.readInt32BE(1))
  if (writer === undefined || isFault(writer) || writer.resolver !== undefined) return null
  return value.subarray(HEADER_BYTES)
}

function received(read: Read<ModelOutput>, record: InputRecord): Decoded {
  if (read.kind === 'fault') return { kind: 'fault', fault: read.fault, record }
  const source = {
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    timestamp: record.timestamp,
    keyed: record.key !== null,
    schemaId: read.schemaId,
    digest: digestOf(record.value),
  }
  return { kind: 'event', received: { event: read.value, source }, record }
}

/** SHA-256 of the Avro body, first 16 bytes in hex. */
const digestOf = (value: Buffer | null): string =>
  value === null ? '' : hash('sha256', value.subarray(HEADER_BYTES), 'hex').slice(0, 32)
