import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { STACK_KINDS } from './stack.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const VITEST = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')

/** The part of Vitest's JSON report that is counted. */
type Report = {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly status: 'passed' | 'failed'
    readonly assertionResults: readonly { readonly status: string }[]
  }[]
}

/** `npm test [-- --stack docker|local|given] [arguments of Vitest]`: all suites, and one line with the sum at the end. */
async function main(): Promise<number> {
  const read = readArguments(process.argv.slice(2))
  if (read === null) {
    console.error(`--stack must be one of ${STACK_KINDS.join(', ')}`)
    return 2
  }
  const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'))
  const report = join(folder, 'report.json')
  const code = await runVitest([...read.rest, `--outputFile.json=${report}`], read.stack)
  const counted = await readFile(report, 'utf8').then(
    (text) => count(JSON.parse(text) as Report),
    () => null,
  )
  await rm(folder, { recursive: true, force: true })
  if (counted === null) {
    console.log('Vitest ended without a report\n0 passed, 1 failed')
    return 1
  }
  // An error outside of any test, in a set-up for instance, is in the exit code only.
  const failed = counted.failed === 0 && code !== 0 ? 1 : counted.failed
  console.log(`${counted.passed} passed, ${failed} failed`)
  return failed === 0 && counted.passed > 0 ? 0 : 1
}

type Arguments = { readonly stack: string | null; readonly rest: readonly string[] }

/** `--stack KIND` or `--stack=KIND` is ours, all else is Vitest's; null when the kind is none of ours. */
function readArguments(given: readonly string[]): Arguments | null {
  const at = given.findIndex((it) => it === '--stack' || it.startsWith('--stack='))
  if (at === -1) return { stack: null, rest: given }
  const apart = given[at] === '--stack'
  const stack = apart ? given[at + 1] : given[at]?.slice('--stack='.length)
  if (STACK_KINDS.every((it) => it !== stack)) return null
  return { stack: stack ?? null, rest: given.toSpliced(at, apart ? 2 : 1) }
}

async function runVitest(args: readonly string[], stack: string | null): Promise<number> {
  const env = stack === null ? process.env : { ...process.env, SLUICE_STACK: stack }
  const all = [VITEST, 'run', '--reporter=default', '--reporter=json', ...args]
  const vitest = spawn(process.execPath, all, { cwd: ROOT, env, stdio: 'inherit' })
  process.once('SIGTERM', () => vitest.kill('SIGTERM'))
  const [code] = (await once(vitest, 'exit')) as [number | null]
  return code ?? 1
}

/** A suite that failed without a failed test (it could not be loaded, a hook threw) counts as one. */
function count(report: Report): { readonly passed: number; readonly failed: number } {
  const suites = report.testResults.filter(
    (it) => it.status === 'failed' && it.assertionResults.every(({ status }) => status !== 'failed'),
  )
  return { passed: report.numPassedTests, failed: report.numFailedTests + suites.length }
}

process.exitCode = await main()
