import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { until } from '../scenarios/support/until.ts'
import { DEFAULT_STEPS, planOf } from './plan.ts'
import type { Plan } from './plan.ts'
import { Pool } from './pool.ts'
import { report } from './report.ts'

/** The slice of the simulation that every `npm test` runs; `npm run simulate` runs as many seeds as are asked for. */

let pool: Pool
let directory = ''
beforeAll(() => {
  pool = new Pool(2)
})
afterAll(() => pool[Symbol.asyncDispose]())
beforeEach(async () => void (directory = await mkdtemp(join(tmpdir(), 'sluice-simulation-'))))
afterEach(() => rm(directory, { recursive: true }))

const MAIN = new URL('main.ts', import.meta.url).pathname

async function simulate(...args: string[]): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stderr }
}

const runPlan = async (plan: Plan) =>
  (await pool.run({ kind: 'plan', plan, mutant: null, shrinks: false })).shrunk.result

describe('a simulated world', () => {
  test('is the same for the same seed, in one process and in another', async () => {
    const plans = [3, 11, 12, 20].map((seed) => planOf(seed, DEFAULT_STEPS))
    // Each plan twice at the same time, so that both processes have it, and then once more.
    const results = await Promise.all([...plans, ...plans].map(runPlan))
    const hashes = results.map(({ hash }) => hash)
    expect(hashes.slice(4)).toEqual(hashes.slice(0, 4))
    expect(new Set(hashes).size).toBe(4)
    expect((await runPlan(plans[0]!)).hash).toBe(hashes[0])
    expect(results.every(({ verdicts }) => verdicts > 0)).toBe(true)
  }, 120_000)

  test('keeps what is promised, whatever goes wrong', async () => {
    const runs = [1, 31].map((from) => pool.run({ kind: 'seeds', from, count: 30, steps: DEFAULT_STEPS }))
    const done = await Promise.all(runs)
    const failed = done.flatMap((it) => it.failed).map(({ plan, result }) => [plan.seed, result.failure])
    expect(failed).toEqual([])
    const [a, b] = done.map(({ tally }) => tally)
    expect(a!.verdicts + b!.verdicts).toBeGreaterThan(500)
    expect(Math.min(a!.discards, a!.degraded, a!.deadLetters, b!.discards)).toBeGreaterThan(0)
  }, 300_000)

  test('keeps it where it once did not', async () => {
    const histories = JSON.parse(readFileSync(new URL('./regressions.json', import.meta.url), 'utf8')) as readonly {
      readonly plan: Plan
    }[]
    const results = await Promise.all(
      histories.map(({ plan }) => runPlan({ ...plan, deedsMax: plan.deedsMax ?? Infinity })),
    )
    expect(results.filter(({ failure }) => failure !== null)).toEqual([])
  }, 120_000)

  test('says that it was interrupted, and does not pass for a run that was done', async () => {
    const child = spawn(process.execPath, [MAIN, '--seeds', '100000', '--steps', '50'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (text: Buffer) => (stdout += text.toString()))
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()))
    await until('it has begun', () => stdout.includes('failed once'), 60_000)
    child.kill('SIGINT')
    const [code] = (await once(child, 'close')) as [number | null]
    expect(code).toBe(1)
    expect(stderr).toMatch(/^interrupted after \d+ of 100000 seeds/)
  }, 120_000)

  test('goes on where it was stopped, and comes to what one run comes to', async () => {
    const file = join(directory, 'progress.json')
    const out = (name: string): string => join(directory, name)
    const run = (...args: string[]) => simulate('--steps', '50', ...args)
    // 60 seeds leave a part of 50 begun.
    await run('--seeds', '60', '--progress', file)
    await run('--seeds', '130', '--progress', file, '--out', out('two'))
    await run('--seeds', '130', '--out', out('one'))
    const [two, one] = ['two', 'one'].map(
      (name) => JSON.parse(readFileSync(out(name), 'utf8')) as Record<string, unknown>,
    )
    const figures = { seconds: expect.any(Number), cpuSeconds: expect.any(Number) }
    expect(two).toEqual({ ...one, ...figures })
    expect(two).toMatchObject({ seeds: 130, failed: 0 })
  }, 120_000)

  test.each([
    [['--sedes', '1'], /^Unknown option '--sedes'/],
    [['--seeds', 'many'], /^--seeds many: a whole number above 0 is needed/],
  ])('says what is wrong with %j', async (args, what) => {
    expect(await simulate(...args)).toMatchObject({ code: 2, stderr: expect.stringMatching(what) })
  })

  test('does not go on with the progress of another run', async () => {
    const file = join(directory, 'progress.json')
    await simulate('--seeds', '1', '--steps', '50', '--progress', file)
    const { code, stderr } = await simulate('--seeds', '1', '--seed', '7', '--steps', '50', '--progress', file)
    expect([code, stderr]).toEqual([2, expect.stringContaining('is of a run from seed 1 with 50 steps a seed')])
  })

  test('tells a planted bug by its seed, step and invariant, with the end of a smaller history', async () => {
    const name = 'drop a dead letter’s reason'
    const plan = planOf(28, DEFAULT_STEPS)
    const { shrunk } = await pool.run({ kind: 'plan', plan, mutant: name, shrinks: true })
    expect(shrunk.plan.events).toBeLessThan(plan.events)
    expect(shrunk.plan.faults.length).toBeLessThan(plan.faults.length)
    const text = report(shrunk)
    expect(text).toMatch(
      new RegExp(`^seed ${plan.seed} fails at step ${shrunk.result.failure?.step}: a dead letter says why$`, 'm'),
    )
    expect(text).toContain('EndTxn')
    expect(text).toContain(`--seed ${plan.seed} `)
  }, 120_000)
})
