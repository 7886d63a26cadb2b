import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { resume, runSeeds, save } from './campaign.ts'
import type { Progress } from './campaign.ts'
import { MUTANT_NAMES } from './mutant-names.ts'
import { DEFAULT_STEPS } from './plan.ts'
import type { Plan } from './plan.ts'
import { Pool } from './pool.ts'
import { report } from './report.ts'
import type { Failed } from './worker.ts'

/**
 * `npm run simulate -- --seeds N [--seed S] [--steps K] [--mutants] [--json] [--workers W] [--progress FILE]`: the
 * product's processor over servers in memory, under faults and with a simulated clock; each seed is another history.
 * A seed that fails is made smaller, told, and kept in regressions.json, which every run begins with. Exit code 1 when
 * one fails, when a planted bug (`--mutants`) is not found, or when it was interrupted. `--progress`: a run that was
 * stopped goes on from there.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: String(DEFAULT_STEPS) },
    mutants: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    workers: { type: 'string', default: '2' },
    progress: { type: 'string' },
  },
})

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

function wholeNumber(name: string, text: string): number {
  const number = Number(text)
  if (!(Number.isInteger(number) && number > 0)) {
    console.error(`--${name} ${text}: a whole number above 0 is needed`)
    process.exit(2)
  }
  return number
}

async function simulate(pool: Pool, steps: number): Promise<number> {
  const seeds = wholeNumber('seeds', values.seeds)
  const first = wholeNumber('seed', values.seed)
  const file = values.progress ?? null
  const progress = resume(file, first, steps)
  const stop = new AbortController()
  process.once('SIGTERM', () => stop.abort())
  process.once('SIGINT', () => stop.abort())
  const failedBefore = await runRegressions(pool)
  const began = performance.now()
  const seedsBefore = progress.tally.seeds
  let toldAt = began
  const onChunk = (it: Progress): void => {
    if (file !== null) save(file, it)
    if (performance.now() - toldAt < 5_000) return
    toldAt = performance.now()
    const rate = ((it.tally.seeds - seedsBefore) * 1000) / (toldAt - began)
    say(`${it.tally.seeds}/${seeds} seeds, ${rate.toFixed(1)} a second, ${it.failed.length} failed`)
  }
  await runSeeds(pool, seeds, progress, onChunk, stop.signal)
  const seconds = (performance.now() - began) / 1000
  const rate = (progress.tally.seeds - seedsBefore) / seconds
  await tellFailures(pool, [...failedBefore, ...progress.failed])
  const failures = progress.failed.map(({ plan, result }) => ({
    seed: plan.seed,
    invariant: result.failure?.invariant,
  }))
  const summary = {
    first,
    ...progress.tally,
    steps: { perSeed: steps, all: progress.tally.steps },
    failed: failures.length + failedBefore.length,
    failures: failures.slice(0, 100),
    seconds: Math.round(seconds),
    seedsPerSecond: Number(rate.toFixed(1)),
  }
  if (values.json) console.log(JSON.stringify(summary, null, 2))
  else say(summaryLine(progress, failedBefore.length, seconds, rate))
  const isCut = progress.tally.seeds < seeds
  if (isCut) console.error(cutShort(progress.tally.seeds, seeds, file))
  return summary.failed === 0 && !isCut ? 0 : 1
}

function cutShort(done: number, seeds: number, file: string | null): string {
  const next = file === null ? 'with --progress FILE a run can be gone on with' : 'the same command goes on from there'
  return `interrupted after ${done} of ${seeds} seeds, which proves nothing of the others; ${next}`
}

function summaryLine({ tally, failed }: Progress, failedBefore: number, seconds: number, rate: number): string {
  const { seeds, hash, simulatedMs, verdicts, deadLetters, degraded, discards, processes, recoveryMsMax } = tally
  return [
    `${seeds} seeds: ${failed.length + failedBefore} failed; ${Math.round(seconds)} s, ${rate.toFixed(1)} seeds a second`,
    `${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${processes} processes, ${verdicts} verdicts ` +
      `(${degraded} without state), ${deadLetters} dead letters, ${discards} transactions discarded`,
    `longest recovery ${(recoveryMsMax / 1000).toFixed(1)} simulated seconds; hash of all traces ${hash}`,
  ].join('\n')
}

const regressions = (): readonly Regression[] => JSON.parse(readFileSync(REGRESSIONS, 'utf8')) as readonly Regression[]

async function runRegressions(pool: Pool): Promise<readonly Failed[]> {
  const all = regressions()
  const results = await Promise.all(
    all.map(({ plan }) => pool.run({ kind: 'plan', plan: revived(plan), mutant: null, shrinks: false })),
  )
  const failed = results.flatMap(({ shrunk: { plan, result } }) => (result.failure === null ? [] : [{ plan, result }]))
  say(`${all.length} histories that failed once: ${failed.length} fail`)
  return failed
}

/** JSON has no Infinity. */
const revived = (plan: Plan): Plan => ({ ...plan, deedsMax: plan.deedsMax ?? Infinity })

async function tellFailures(pool: Pool, failed: readonly Failed[]): Promise<void> {
  const kept = [...regressions()]
  for (const { plan } of failed.slice(0, TOLD_MAX)) {
    const { shrunk } = await pool.run({ kind: 'plan', plan, mutant: null, shrinks: true })
    console.error(report(shrunk))
    const broke = shrunk.result.failure?.invariant ?? ''
    if (!kept.some((it) => JSON.stringify(it.plan) === JSON.stringify(shrunk.plan)))
      kept.push({ plan: shrunk.plan, broke })
  }
  if (process.env['CI'] === undefined && kept.length > regressions().length)
    writeFileSync(REGRESSIONS, `${JSON.stringify(kept, null, 2)}\n`)
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
  console.log(values.json ? JSON.stringify(results, null, 2) : `${found}/${results.length}`)
  return found === results.length ? 0 : 1
}

process.exitCode = await main()
