import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readOptions, refuse, wholeNumber } from '../arguments.ts'
import { resume, runSeeds, writeWhole } from './campaign.ts'
import type { FailedSeed, Progress } from './campaign.ts'
import { MUTANT_NAMES } from './mutant-names.ts'
import { DEFAULT_STEPS } from './plan.ts'
import type { Plan } from './plan.ts'
import { Pool } from './pool.ts'
import { report } from './report.ts'

const HELP = `npm run simulate -- --seeds N [--seed S] [--mutants] [--json]

The product's processor over servers in memory, under faults and with a simulated clock; each seed is another history.
A seed that fails is made smaller, told, and kept in regressions.json, which every run begins with. Exit code 1 when one
fails, when a planted bug is not found, or when it was interrupted.

  --seeds N        how many                                                         (1000)
  --seed S         the first of them                                                (1)
  --steps K        for how long each goes wrong before it is healed                 (1000)
  --workers W      processes that simulate                                          (2)
  --progress FILE  a run that was stopped goes on from there
  --out FILE       write the summary as JSON
  --json           print it instead of words
  --mutants        look instead how soon each planted bug is found
`

const OPTIONS = {
  seeds: { type: 'string', default: '1000' },
  seed: { type: 'string', default: '1' },
  steps: { type: 'string', default: String(DEFAULT_STEPS) },
  mutants: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  workers: { type: 'string', default: '2' },
  progress: { type: 'string' },
  out: { type: 'string' },
} as const

const values = readOptions(OPTIONS, HELP)

const REGRESSIONS = new URL('./regressions.json', import.meta.url)
/** A planted bug must be found within so many seeds. */
const MUTANT_SEEDS = 2_000
/** Failing seeds that are made smaller and told; the others are only counted. */
const TOLD_MAX = 3

/** A history that failed once, and what it broke then. */
type Regression = { readonly plan: Plan; readonly broke: string }

const say = (line: string): void => {
  if (!values.json) console.log(line)
}

async function main(): Promise<number> {
  const steps = wholeNumber('steps', values.steps)
  await using pool = new Pool(wholeNumber('workers', values.workers))
  return values.mutants ? await findMutants(pool, steps) : await simulate(pool, steps)
}

async function simulate(pool: Pool, steps: number): Promise<number> {
  const seeds = wholeNumber('seeds', values.seeds)
  const first = wholeNumber('seed', values.seed)
  const file = values.progress ?? null
  const progress = resumed(file, first, steps)
  const stop = new AbortController()
  process.once('SIGTERM', () => stop.abort())
  process.once('SIGINT', () => stop.abort())
  const failedBefore = await runRegressions(pool)
  const began = performance.now()
  const seedsBefore = progress.tally.seeds
  let toldAt = began
  const onPart = (): void => {
    if (performance.now() - toldAt < 5_000) return
    toldAt = performance.now()
    const rate = ((progress.tally.seeds - seedsBefore) * 1000) / (toldAt - began)
    const failed = progress.failed.map(({ plan, failure }) => ` (seed ${plan.seed}: ${failure.invariant})`)
    say(
      `${progress.tally.seeds}/${seeds} seeds, ${rate.toFixed(1)} a second, ${failed.length} failed` +
        failed.slice(0, TOLD_MAX).join(''),
    )
  }
  await runSeeds(pool, seeds, progress, file, onPart, stop.signal)
  await tellFailures(pool, [...failedBefore, ...progress.failed])
  const { tally, failed } = progress
  const summary = {
    first,
    ...tally,
    steps: { perSeed: steps, all: tally.steps },
    failed: failed.length + failedBefore.length,
    failures: failed.slice(0, 100).map(({ plan, failure }) => ({ seed: plan.seed, invariant: failure.invariant })),
    seconds: Math.round(progress.seconds),
    cpuSeconds: Math.round(progress.cpuSeconds),
  }
  if (values.json) console.log(JSON.stringify(summary, null, 2))
  else say(summaryLine(progress, failedBefore.length))
  if (values.out !== undefined) writeWhole(values.out, summary)
  const isCut = tally.seeds < seeds
  if (isCut) console.error(cutShort(tally.seeds, seeds, file))
  return summary.failed === 0 && !isCut ? 0 : 1
}

function resumed(file: string | null, first: number, steps: number): Progress {
  try {
    return resume(file, first, steps)
  } catch (error) {
    return refuse(`--progress: ${(error as Error).message}`)
  }
}

function cutShort(done: number, seeds: number, file: string | null): string {
  const next = file === null ? 'with --progress FILE a run can be gone on with' : 'the same command goes on from there'
  return `interrupted after ${done} of ${seeds} seeds, which proves nothing of the others; ${next}`
}

function summaryLine({ tally, failed, seconds, cpuSeconds }: Progress, failedBefore: number): string {
  const { seeds, hash, simulatedMs, verdicts, deadLetters, degraded, discards, processes, recoveryMsMax } = tally
  return [
    `${seeds} seeds: ${failed.length + failedBefore} failed; ${Math.round(seconds)} s, ` +
      `${Math.round((cpuSeconds * 1000) / Math.max(1, seeds))} ms of CPU a seed`,
    `${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${processes} processes, ${verdicts} verdicts ` +
      `(${degraded} without state), ${deadLetters} dead letters, ${discards} transactions discarded`,
    `longest recovery ${(recoveryMsMax / 1000).toFixed(1)} simulated seconds; hash of all traces ${hash}`,
  ].join('\n')
}

const regressions = (): readonly Regression[] => JSON.parse(readFileSync(REGRESSIONS, 'utf8')) as readonly Regression[]

async function runRegressions(pool: Pool): Promise<readonly FailedSeed[]> {
  const all = regressions()
  const results = await Promise.all(
    all.map(({ plan }) => pool.run({ kind: 'plan', plan: revived(plan), mutant: null, shrinks: false })),
  )
  const failed = results.flatMap(({ shrunk: { plan, result } }) =>
    result.failure === null ? [] : [{ plan, failure: result.failure }],
  )
  say(`${all.length} histories that failed once: ${failed.length} fail`)
  return failed
}

/** JSON has no Infinity. */
const revived = (plan: Plan): Plan => ({ ...plan, deedsMax: plan.deedsMax ?? Infinity })

async function tellFailures(pool: Pool, failed: readonly FailedSeed[]): Promise<void> {
  const kept = [...regressions()]
  for (const { plan } of failed.slice(0, TOLD_MAX)) {
    const { shrunk } = await pool.run({ kind: 'plan', plan, mutant: null, shrinks: true })
    console.error(report(shrunk))
    const broke = shrunk.result.failure?.invariant ?? ''
    if (!kept.some((it) => JSON.stringify(it.plan) === JSON.stringify(shrunk.plan)))
      kept.push({ plan: shrunk.plan, broke })
  }
  if (process.env['CI'] === undefined && kept.length > regressions().length)
    writeWhole(fileURLToPath(REGRESSIONS), kept)
}

async function findMutants(pool: Pool, steps: number): Promise<number> {
  const results = await Promise.all(
    MUTANT_NAMES.map(async (name) => {
      const found = await pool.run({ kind: 'mutant', name, seedsMax: MUTANT_SEEDS, steps })
      const { failed, seeds } = found
      say(
        failed === null
          ? `NOT FOUND in ${seeds} seeds  ${name}`
          : `found by seed ${String(seeds).padStart(4)}  ${name.padEnd(50)} ${failed.result.failure?.invariant}`,
      )
      return { name, seeds, found: failed !== null, invariant: failed?.result.failure?.invariant ?? null }
    }),
  )
  const found = results.filter((it) => it.found).length
  if (values.out !== undefined) writeWhole(values.out, results)
  console.log(values.json ? JSON.stringify(results, null, 2) : `${found}/${results.length}`)
  return found === results.length ? 0 : 1
}

process.exitCode = await main()
