import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readOptions, wholeNumber } from '../arguments.ts'
import { inWords, summarize } from './report.ts'
import type { Summary } from './report.ts'
import { playRound } from './round.ts'
import type { RoundResult } from './round.ts'
import { measureRecovery } from './recovery.ts'
import { startServers } from './servers.ts'
import type { KillServers } from './servers.ts'

const HELP = `npm run kill-loop -- --kills N [--seed S] [--json]

Processors are killed, frozen and stopped, brokers and Redis are killed and failed over, all under traffic; then every
input is held against what librdkafka reads, and Redis' counters against a recount. Exit code 1 when anything was lost,
doubled, changed or counted wrong; the logs are then kept.

  --kills N      kills of processes                                                 (60)
  --broker-every N  a broker is killed for so many of them                          (10)
  --seed S       what is done to whom; not the timing                               (1)
  --round N      kills a round; each has a deployment of its own                    (100)
  --workers W    processors in the group                                            (3)
  --rate R       events a second                                                    (200)
  --brokers B    3, or 1                                                            (3 where memory allows)
  --for MINUTES  no more kills after so long, and what was done is verified
  --out FILE     write the summary as JSON, anew after every round
  --json         print it instead of words
  --recovery     measure instead how long each kind of loss is felt; exit code 1 where a goal is missed
  --times N      samples of each kind                                               (10)
`

const OPTIONS = {
  kills: { type: 'string', default: '60' },
  seed: { type: 'string', default: '1' },
  'broker-every': { type: 'string', default: '10' },
  round: { type: 'string', default: '100' },
  workers: { type: 'string', default: '3' },
  rate: { type: 'string', default: '200' },
  brokers: { type: 'string' },
  for: { type: 'string', default: '1440' },
  out: { type: 'string' },
  json: { type: 'boolean', default: false },
  recovery: { type: 'boolean', default: false },
  times: { type: 'string', default: '10' },
} as const

const values = readOptions(OPTIONS, HELP)

const began = Date.now()
const say = (line: string): void => {
  if (!values.json) console.log(`${((Date.now() - began) / 1000).toFixed(0).padStart(5)} s ${line}`)
}

/**
 * Dozens of processes start beside each other here, so that servers may be waited for longer than usual. An outage of Redis
 * is noticed by its closed connections all the same; `--recovery` measures with the product's own times.
 */
const PATIENT = { REDIS_DEADLINE_MS: '2000', SCHEMA_REGISTRY_TIMEOUT_MS: '20000' }

const number = (name: Exclude<keyof typeof values, 'json' | 'recovery' | 'help' | 'brokers' | 'out'>): number =>
  wholeNumber(name, values[name])

const SETTINGS = { workers: number('workers'), rate: number('rate'), say }

async function main(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-kill-loop-'))
  await using open = new AsyncDisposableStack()
  const servers = await startServers(values.brokers === undefined ? null : values.brokers === '1' ? 1 : 3)
  open.defer(() => servers.close())
  say(`${servers.brokers} brokers, Redis with a replica and a registry run; logs in ${folder}`)
  const passed = values.recovery ? await recover(servers, folder) : await torment(servers, folder)
  if (passed) await rm(folder, { recursive: true, force: true })
  else console.error(`the logs of all processes and a timeline are in ${folder}`)
  return passed ? 0 : 1
}

/** Round after round; whether nothing was found. */
async function torment(servers: KillServers, folder: string): Promise<boolean> {
  const [kills, perRound, seed] = [number('kills'), number('round'), number('seed')]
  const over = AbortSignal.timeout(number('for') * 60_000)
  const results: RoundResult[] = []
  const run = { seed, brokers: servers.brokers, workers: SETTINGS.workers }
  const summary = (of: readonly RoundResult[]): Summary =>
    summarize({ ...run, seconds: Math.round((Date.now() - began) / 1000) }, of)
  for (let done = 0, round = 1; done < kills && !over.aborted; round++) {
    const own = {
      seed: seed * 1_000 + round,
      kills: Math.min(perRound, kills - done),
      brokerEvery: number('broker-every'),
    }
    const result = await playRound({
      ...SETTINGS,
      ...own,
      servers,
      over,
      env: PATIENT,
      folder: join(folder, `round-${round}`),
    })
    results.push(result)
    done += result.tally.killed
    say(`round ${round}:\n${inWords(summary([result]))}\n`)
    if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(summary(results), null, 2)}\n`)
  }
  const all = summary(results)
  console.log(values.json ? JSON.stringify(all, null, 2) : inWords(all))
  return all.violations.length === 0
}

/** Whether every goal was kept. */
async function recover(servers: KillServers, folder: string): Promise<boolean> {
  const found = await measureRecovery({ ...SETTINGS, servers, seed: number('seed'), folder, env: {} }, number('times'))
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`
  const rows = found.map(
    ({ what, goal, samples, median, p95 }) =>
      `${what}: median ${seconds(median)}, p95 ${seconds(p95)} of ${samples.length}, goal ${seconds(goal)}` +
      (p95 <= goal ? '' : '  MISSED'),
  )
  console.log(values.json ? JSON.stringify(found, null, 2) : rows.join('\n'))
  if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(found, null, 2)}\n`)
  return found.every(({ p95, goal }) => p95 <= goal)
}

process.exitCode = await main()
