import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Plan } from './plan.ts'
import type { Pool } from './pool.ts'
import type { Failure } from './seed.ts'
import { addTally, emptyTally } from './tally.ts'
import type { Tally } from './tally.ts'

/** A seed that failed; its history is not kept, since the seed gives it again. */
export type FailedSeed = { readonly plan: Plan; readonly failure: Failure }

/** Seeds run one after the other, and what they came to; as a file, a run can be gone on with. */
export type Progress = {
  readonly first: number
  readonly steps: number
  readonly tally: Tally
  /** How many seeds are done from each beginning of a part, the first ones of it. */
  readonly done: Record<number, number>
  readonly failed: FailedSeed[]
  /** How long it took, all sessions together. */
  seconds: number
  /** What the simulating processes have used, all of them together. */
  cpuSeconds: number
}

/** Seeds in one order to a process. */
export const CHUNK = 50
const SAVE_MS = 5_000

export const beginProgress = (first: number, steps: number): Progress => ({
  first,
  steps,
  tally: emptyTally(),
  done: {},
  failed: [],
  seconds: 0,
  cpuSeconds: 0,
})

/** What was done before of the same run; a new one if there is none. Throws where the file is of another run. */
export function resume(file: string | null, first: number, steps: number): Progress {
  const text = file === null ? null : contentOf(file)
  if (text === null) return beginProgress(first, steps)
  const progress = JSON.parse(text) as Progress
  if (progress.first === first && progress.steps === steps) return progress
  throw new Error(
    `${file} is of a run from seed ${progress.first} with ${progress.steps} steps a seed, and this one is from seed ` +
      `${first} with ${steps}; name another file or delete it`,
  )
}

function contentOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}

/** All of it or nothing, whenever the process ends. */
export function writeWhole(file: string, value: unknown): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(value, null, 2)}\n`)
  renameSync(`${file}.new`, file)
}

type Part = { readonly start: number; readonly from: number; readonly count: number }

/** What is not done yet of so many seeds. */
export function partsLeft({ first, done }: Pick<Progress, 'first' | 'done'>, seeds: number): Part[] {
  const parts: Part[] = []
  for (let start = first; start < first + seeds; start += CHUNK) {
    const from = start + (done[start] ?? 0)
    const count = Math.min(start + CHUNK, first + seeds) - from
    if (count > 0) parts.push({ start, from, count })
  }
  return parts
}

/** Runs what is not done yet; `onPart` is told after each part. Stops early once `signal` aborts. */
export async function runSeeds(
  pool: Pool,
  seeds: number,
  progress: Progress,
  file: string | null,
  onPart: () => void,
  signal: AbortSignal,
): Promise<void> {
  const parts = partsLeft(progress, seeds)
  const [began, before] = [performance.now(), progress.seconds]
  let savedAt = began
  const save = (): void => {
    savedAt = performance.now()
    progress.seconds = before + (savedAt - began) / 1000
    if (file !== null) writeWhole(file, progress)
  }
  const runNext = async (): Promise<void> => {
    for (let part = parts.shift(); part !== undefined && !signal.aborted; part = parts.shift()) {
      const { start, from, count } = part
      const { tally, failed, cpuMs } = await pool.run({ kind: 'seeds', from, count, steps: progress.steps })
      addTally(progress.tally, tally)
      for (const { plan, result } of failed)
        if (result.failure !== null) progress.failed.push({ plan, failure: result.failure })
      progress.done[start] = (progress.done[start] ?? 0) + count
      progress.cpuSeconds += cpuMs / 1000
      if (performance.now() - savedAt > SAVE_MS) save()
      onPart()
    }
  }
  await Promise.all(Array.from({ length: pool.size }, runNext))
  save()
}
