import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Pool } from './pool.ts'
import { addTally, emptyTally } from './tally.ts'
import type { Tally } from './tally.ts'
import type { Failed } from './worker.ts'

/** Seeds run one after the other, and what they came to; as a file, a run can be gone on with. */
export type Progress = {
  readonly first: number
  readonly steps: number
  readonly tally: Tally
  /** Beginnings of the runs that are done. */
  readonly done: number[]
  readonly failed: Failed[]
  cpuSeconds: number
}

/** Seeds in one order to a process. */
export const CHUNK = 50

export const beginProgress = (first: number, steps: number): Progress => ({
  first,
  steps,
  tally: emptyTally(),
  done: [],
  failed: [],
  cpuSeconds: 0,
})

/** What was done before of the same run; a new one if there is none. */
export function resume(file: string | null, first: number, steps: number): Progress {
  if (file === null) return beginProgress(first, steps)
  try {
    const progress = JSON.parse(readFileSync(file, 'utf8')) as Progress
    if (progress.first === first && progress.steps === steps) return progress
  } catch {
    // There is none yet.
  }
  return beginProgress(first, steps)
}

export function save(file: string, progress: Progress): void {
  writeFileSync(`${file}.new`, JSON.stringify(progress))
  renameSync(`${file}.new`, file)
}

/** Runs what is not done yet; `onChunk` is told after each part. Stops early once `signal` aborts. */
export async function runSeeds(
  pool: Pool,
  seeds: number,
  progress: Progress,
  onChunk: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<void> {
  const done = new Set(progress.done)
  const starts: number[] = []
  for (let from = progress.first; from < progress.first + seeds; from += CHUNK) if (!done.has(from)) starts.push(from)
  const runNext = async (): Promise<void> => {
    for (let from = starts.shift(); from !== undefined && !signal.aborted; from = starts.shift()) {
      const count = Math.min(CHUNK, progress.first + seeds - from)
      const result = await pool.run({ kind: 'seeds', from, count, steps: progress.steps })
      addTally(progress.tally, result.tally)
      progress.failed.push(...result.failed)
      progress.done.push(from)
      onChunk(progress)
    }
  }
  await Promise.all(Array.from({ length: pool.size }, runNext))
}
