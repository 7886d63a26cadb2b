import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { text } from 'node:stream/consumers'

const ROOT = join(import.meta.dirname, '..', '..')

type Check = { readonly name: string; readonly command: readonly [program: string, ...args: readonly string[]] }
type Result = { readonly check: Check; readonly passed: boolean; readonly output: string; readonly seconds: number }

const CHECKS: readonly Check[] = [
  { name: 'types', command: ['tsc', '--project', '.', '--pretty'] },
  { name: 'lint', command: ['oxlint', '--type-aware', 'src', 'test', 'deploy'] },
  { name: 'format', command: ['oxfmt', '--check'] },
  { name: 'unused', command: ['knip', '--no-progress'] },
]

/** `npm run check`: all of them side by side, what failed in full, and one line each at the end. */
async function main(): Promise<number> {
  const results = await Promise.all(CHECKS.map(runCheck))
  const failed = results.filter(({ passed }) => !passed)
  for (const { check, output } of failed)
    console.log(`---- ${check.name}: ${check.command.join(' ')}\n${output.trimEnd()}\n`)
  for (const { check, passed, seconds } of results)
    console.log(`${passed ? 'ok    ' : 'FAILED'} ${check.name.padEnd(7)} ${seconds.toFixed(1)} s`)
  return failed.length === 0 ? 0 : 1
}

async function runCheck(check: Check): Promise<Result> {
  const since = performance.now()
  const [program, ...args] = check.command
  const running = spawn(join(ROOT, 'node_modules', '.bin', program), args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(running, 'close')
  const [stdout, stderr] = await Promise.all([text(running.stdout), text(running.stderr)])
  const [code] = (await ended) as [number | null]
  return { check, passed: code === 0, output: stdout + stderr, seconds: (performance.now() - since) / 1000 }
}

process.exitCode = await main()
