import type { Fault } from './fault.ts'
import type { Codec, PartitionBatch, Suspicion } from './ports.ts'

/** From so many deaths on records go one by one, and from so many on the record they begin with is not read any more. */
const ALONE_FROM = 2
const CONDEMNED_FROM = 3

/** By partition. */
type Suspicions = Map<number, Suspicion>

/** Whether any partition's records are to go one by one. */
export const isOneByOne = (suspicions: ReadonlyMap<number, Suspicion>): boolean =>
  [...suspicions.values()].some(({ deaths }) => deaths >= ALONE_FROM)

/**
 * What earlier processes died of, and what this one could not decide: `failed` is by partition the offset up to which
 * batches threw. What is committed is not suspected any more.
 */
export function suspicionsOf(
  died: ReadonlyMap<number, Suspicion>,
  failed: ReadonlyMap<number, number>,
  starts: ReadonlyMap<number, number>,
): Suspicions {
  const all: Suspicions = new Map(died)
  for (const [partition, until] of failed) {
    const start = starts.get(partition)
    if (start === undefined || start >= until) continue
    const known = died.get(partition)
    const deaths = Math.max(ALONE_FROM, known?.deaths ?? 0)
    all.set(partition, { start, deaths, until: Math.max(until, known?.until ?? 0) })
  }
  return all
}

/**
 * Polled runs in three parts: `free` may share a transaction, `alone` is one suspected record, or none, and `later` is to
 * be given back. Never two suspected records at once, or a death would tell nothing of either.
 */
export function setApart(polled: readonly PartitionBatch[], suspicions: ReadonlyMap<number, Suspicion>) {
  const free: PartitionBatch[] = []
  const later: PartitionBatch[] = []
  let alone: PartitionBatch | null = null
  for (const run of polled) {
    const isSuspected = (suspicions.get(run.partition)?.deaths ?? 0) >= ALONE_FROM
    if (!isSuspected) free.push(run)
    else if (alone !== null) later.push(run)
    else {
      const [head, rest] = firstOf(run)
      alone = head
      if (rest !== null) later.push(rest)
    }
  }
  return { free, alone, later }
}

function firstOf(run: PartitionBatch): readonly [PartitionBatch, PartitionBatch | null] {
  const [, second] = run.records
  if (second === undefined) return [run, null]
  const cut = second.offset
  return [
    { ...run, next: cut, records: run.records.slice(0, 1) },
    { ...run, from: cut, records: run.records.slice(1) },
  ]
}

/** A commit clears what it holds: of one death all, of more the records up to its end. */
export function clear(suspicions: Suspicions, committed: ReadonlyMap<number, number>): void {
  for (const [partition, next] of committed) {
    const held = suspicions.get(partition)
    if (held === undefined) continue
    if (held.deaths < ALONE_FROM || next >= held.until) suspicions.delete(partition)
    else suspicions.set(partition, { start: next, deaths: ALONE_FROM, until: held.until })
  }
}

/** Why the first record of `run` is not to be read, or null where it is. */
export function sentenceOn(run: PartitionBatch, suspicion: Suspicion | undefined): Fault | null {
  if (suspicion === undefined || suspicion.deaths < CONDEMNED_FROM || suspicion.start !== run.from) return null
  const detail = `${suspicion.deaths} processes in a row died, the last of them with only this record in hand; it was not read again`
  return { code: 'record.poison', detail, retry: false }
}

/** A record that throws even alone. Of the error only its name and message are told, since a stack may show data. */
export function failureOf(error: unknown): Fault {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  const detail = `Sluice could not decide it, which is a bug: ${text.slice(0, ERROR_CHARACTERS)}`
  return { code: 'record.failed', detail, retry: false, cause: error }
}

const ERROR_CHARACTERS = 500

/** The same codec, but every record it is given has this fault, and is not looked at. */
export const condemning = (codec: Codec, fault: Fault): Codec => ({
  ...codec,
  decode: (record) => ({ kind: 'fault', fault, record }),
})
