import type {
  Assignment,
  CommitResult,
  DecisionLog,
  InputRecord,
  OutputRecord,
  PartitionBatch,
} from '../../src/processor/ports.ts'

/** What the next commit meets: refused with no effect, or done with its reply lost. */
export type CommitFault = 'refused' | 'reply lost'

/** The input log and the outputs in memory, for one process at a time; `visible` is what a read_committed reader sees. */
export type MemoryLog = DecisionLog & {
  readonly append: (partition: number, value: Buffer | null, key?: string | null) => number
  readonly visible: readonly OutputRecord[]
  readonly committed: ReadonlyMap<number, number>
  readonly failNext: (...faults: readonly (CommitFault | null)[]) => void
  /** The topic takes no larger value, bytes. */
  readonly limit: (topic: string, bytes: number) => void
  readonly endAssignment: () => void
  /** The group moves on, and the process has not heard of it: it polls on, and its commits are refused. */
  readonly depose: () => void
  /** What another process has committed. */
  readonly commitAs: (offsets: ReadonlyMap<number, number>) => void
  /** What an operator has set the group's offsets to. */
  readonly setOffsets: (offsets: ReadonlyMap<number, number>) => void
}

type Live = { readonly assignment: Assignment; readonly end: AbortController; readonly positions: Map<number, number> }

export function memoryLog(topic: string, partitions: number): MemoryLog {
  const inputs = Array.from({ length: partitions }, (): InputRecord[] => [])
  const visible: OutputRecord[] = []
  const committed = new Map<number, number>()
  const setByHand = new Set<number>()
  const setCommitted = (partition: number, next: number): void => {
    committed.set(partition, next)
    setByHand.delete(partition)
  }
  const faults: (CommitFault | null)[] = []
  const limits = new Map<string, number>()
  let generation = 0
  let isDeposed = false
  let live: Live | null = null
  let held: { batch: PartitionBatch; until: number }[] = []

  const append = (partition: number, value: Buffer | null, key: string | null = 'k'): number => {
    const log = inputs[partition]!
    const offset = log.length
    log.push({
      topic,
      partition,
      offset,
      timestamp: 1_700_000_000_000 + offset,
      key: key === null ? null : Buffer.from(key),
      value,
      headers: new Map(),
    })
    return offset
  }

  const acquire = async (signal: AbortSignal): Promise<Assignment> => {
    signal.throwIfAborted()
    live?.end.abort()
    held = []
    isDeposed = false
    const end = new AbortController()
    const starts = inputs.map((_, partition) => {
      const at = committed.get(partition)
      return [partition, { start: at ?? 0, committed: at ?? null, isSetByHand: setByHand.has(partition) }] as const
    })
    const assignment = {
      generation: ++generation,
      positions: new Map(starts),
      partitions: inputs.length,
      ended: end.signal,
    }
    live = { assignment, end, positions: new Map(starts.map(([partition, { start }]) => [partition, start])) }
    return assignment
  }

  const take = (it: Live, partition: number, room: number): PartitionBatch | null => {
    const from = it.positions.get(partition) ?? 0
    const records = inputs[partition]!.slice(from, from + room)
    if (records.length === 0) return null
    it.positions.set(partition, from + records.length)
    return { partition, from, next: from + records.length, records }
  }

  const poll = async (
    assignment: Assignment,
    maxRecords: number,
    waitMs: number,
  ): Promise<readonly PartitionBatch[]> => {
    if (live === null || live.assignment !== assignment || assignment.ended.aborted) return []
    const now = performance.now()
    for (const it of held.filter((one) => one.until <= now)) live.positions.set(it.batch.partition, it.batch.from)
    held = held.filter((one) => one.until > now)
    const blocked = new Set(held.map((one) => one.batch.partition))
    const batches: PartitionBatch[] = []
    let room = maxRecords
    for (let partition = 0; partition < partitions && room > 0; partition++) {
      const batch = blocked.has(partition) ? null : take(live, partition, room)
      if (batch === null) continue
      batches.push(batch)
      room -= batch.records.length
    }
    if (batches.length === 0) await new Promise((resolve) => setTimeout(resolve, Math.min(waitMs, 2)))
    return batches
  }

  const commit = async (
    outputs: readonly OutputRecord[],
    offsets: ReadonlyMap<number, number>,
    assignment: Assignment,
  ): Promise<CommitResult> => {
    await new Promise((resolve) => setImmediate(resolve))
    if (isDeposed) live?.end.abort()
    if (live === null || live.assignment !== assignment || assignment.ended.aborted) {
      return { kind: 'discarded', reason: 'an old generation', code: 'ILLEGAL_GENERATION' }
    }
    const tooLarge = outputs.find((it) => (it.value?.length ?? 0) > (limits.get(it.topic) ?? Infinity))
    if (tooLarge !== undefined) {
      live.end.abort()
      return { kind: 'discarded', reason: 'too large', code: 'MESSAGE_TOO_LARGE', tooLarge }
    }
    const fault = faults.shift() ?? null
    if (fault !== 'refused') {
      visible.push(...outputs)
      for (const [partition, next] of offsets) setCommitted(partition, next)
    }
    if (fault === null) return { kind: 'committed' }
    live.end.abort()
    return { kind: 'discarded', reason: fault, code: 'INJECTED' }
  }

  const confirm = async (assignment: Assignment): Promise<boolean> => {
    if (isDeposed) live?.end.abort()
    return live?.assignment === assignment && !assignment.ended.aborted
  }

  return {
    acquire,
    confirm,
    poll,
    commit,
    append,
    visible,
    committed,
    putBack: (_, batch, delayMs) => void held.push({ batch, until: performance.now() + delayMs }),
    close: async () => live?.end.abort(),
    failNext: (...next) => void faults.push(...next),
    limit: (topic, bytes) => void limits.set(topic, bytes),
    endAssignment: () => live?.end.abort(),
    depose: () => void (isDeposed = true),
    commitAs: (offsets) => {
      for (const [partition, next] of offsets) setCommitted(partition, next)
    },
    setOffsets: (offsets) => {
      for (const [partition, next] of offsets) committed.set(partition, next)
      for (const partition of offsets.keys()) setByHand.add(partition)
    },
  }
}
