import type { Fault } from './fault.ts'
import type { Codec, Decoded, PartitionBatch } from './ports.ts'

/** A run of one partition, every record either an event or a fault to set aside. */
export type DecodedRun = {
  readonly partition: number
  readonly from: number
  readonly next: number
  readonly records: readonly Decoded[]
}

/** `held`: what follows a record that cannot be read yet, to be polled again. */
export type DecodedBatches = { readonly runs: readonly DecodedRun[]; readonly held: readonly PartitionBatch[] }

/** Whether a fault that may pass has lasted long enough to be taken as final; see `createPatience`. */
export type Patience = { readonly isOver: (partition: number, offset: number) => boolean }

/**
 * Reads every record. A fault that may pass (the registry is away) holds its partition back from that record on, for
 * as long as `patience` lasts; the other partitions go on. After that it is a dead letter like any other.
 */
export async function decodeBatches(
  batches: readonly PartitionBatch[],
  codec: Codec,
  patience: Patience,
): Promise<DecodedBatches> {
  const runs: DecodedRun[] = []
  const held: PartitionBatch[] = []
  for (const batch of batches) {
    const records = await decodeAll(batch, codec)
    const cut = records.findIndex((it) => mustWait(it, patience))
    if (cut === -1) {
      runs.push({ partition: batch.partition, from: batch.from, next: batch.next, records })
      continue
    }
    const [run, rest] = split(batch, records, cut)
    if (run.next > run.from) runs.push(run)
    held.push(rest)
  }
  return { runs, held }
}

async function decodeAll(batch: PartitionBatch, codec: Codec): Promise<readonly Decoded[]> {
  const decoded = batch.records.map((record) => codec.decode(record))
  // Awaiting a batch of plain values costs more than decoding it, so it is done only where something is pending.
  return decoded.every(isSettled) ? decoded : await Promise.all(decoded.map(async (it) => it))
}

const isSettled = (it: Decoded | Promise<Decoded>): it is Decoded => !(it instanceof Promise)

const mustWait = (it: Decoded, patience: Patience): boolean =>
  it.kind === 'fault' && it.fault.retry && !patience.isOver(it.record.partition, it.record.offset)

function split(batch: PartitionBatch, records: readonly Decoded[], cut: number): [DecodedRun, PartitionBatch] {
  const at = batch.records[cut]?.offset ?? batch.next
  return [
    { partition: batch.partition, from: batch.from, next: at, records: records.slice(0, cut) },
    { partition: batch.partition, from: at, next: batch.next, records: batch.records.slice(cut) },
  ]
}

/**
 * Waits `giveUpMs` for one and the same record of a partition, measured from the first time it was asked about. One
 * record a partition is remembered, so memory is bounded by the number of partitions.
 */
export function createPatience(giveUpMs: number, now: () => number): Patience {
  const waiting = new Map<number, { readonly offset: number; readonly since: number }>()
  return {
    isOver: (partition, offset) => {
      const entry = waiting.get(partition)
      if (entry === undefined || entry.offset !== offset) {
        waiting.set(partition, { offset, since: now() })
        return false
      }
      return now() - entry.since >= giveUpMs
    },
  }
}

/** What a dead letter says of a fault whose retries ran out. */
export const finalFault = (fault: Fault): Fault => (fault.retry ? { ...fault, retry: false } : fault)
