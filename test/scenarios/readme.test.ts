import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { SETTINGS } from '../../src/settings.ts'
import { copyCheckout, descendants, survivors } from './support/checkout.ts'
import { ROOT, runCli, surroundings } from './support/cli.ts'
import { blocksOf, commandsOf, patternOf } from './support/readme.ts'
import { until } from './support/until.ts'

/**
 * The README's commands, run as they stand there. `sh` blocks hold a command that is started here (`npm start`) or that
 * runs this very test (`npm test`); `console` blocks are run in order while it runs, and must print what they show.
 */

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
const stack = inject('stack')
let checkout: Awaited<ReturnType<typeof copyCheckout>>
let start: ChildProcess
let output = ''
/** However the test ends, the servers and processes that were started do too: each has a guard, or notices. */
const killAll = (): void => {
  if (start.exitCode === null && start.signalCode === null) process.kill(-start.pid!, 'SIGKILL')
}

beforeAll(async () => {
  checkout = await copyCheckout()
  const kind = stack.kind === 'docker' ? 'docker' : 'local'
  // A group of its own, as a shell in a terminal gives it, so that Ctrl-C reaches all of it.
  start = spawn('npm', ['start', '--', '--stack', kind], {
    cwd: checkout.root,
    env: { ...surroundings(), NO_COLOR: '1' },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [start.stdout!, start.stderr!])
    stream.setEncoding('utf8').on('data', (it: string) => (output += it))
  process.once('exit', killAll)
  await until('npm start is up', () => existsSync(join(checkout.root, '.sluice', 'stack.json')), 100_000)
})
afterAll(async () => {
  killAll()
  await checkout.remove()
})

type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

async function shell(command: string): Promise<Ran> {
  const child = spawn('sh', ['-c', command], { cwd: checkout.root, env: { ...surroundings(), NO_COLOR: '1' } })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (it: string) => (stdout += it))
  child.stderr.setEncoding('utf8').on('data', (it: string) => (stderr += it))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

test('each sh block is a command that this suite runs or is part of', () => {
  const commands = blocksOf(readme, 'sh').flatMap((it) => it.trim().split('\n'))
  expect(commands).toEqual(['npm start', 'npm test'])
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  expect(scripts['test']).toBe('node deploy/local/test.ts')
})

/** Without the time it was printed at, and without what makes columns. */
const plain = (line: string): string => line.replace(/^[\d:.]{12} +/, '').replaceAll(/ {2,}/g, ' ')
const verdictsShown = (blocksOf(readme, '')[0] ?? '').trimEnd().split('\n').map(plain)

test.each(verdictsShown)('the demo prints: %s', async (line) => {
  expect(line).toMatch(/^(execute|review|reject|dead letter) .*[a-z]+\.[a-z_]+: /)
  await until('it is printed', () => output.split('\n').some((printed) => plain(printed).startsWith(line)), 40_000)
})

// Early, since the demo's policy lets so many refunds a minute through and no more.
test('the TypeScript it shows is right, sends an event, and executes its verdict once', async () => {
  const [sample = ''] = blocksOf(readme, 'ts')
  const addresses = JSON.parse(await readFile(join(checkout.root, '.sluice', 'stack.json'), 'utf8')) as {
    brokers: readonly string[]
    registry: string
  }
  const program = `${sample
    .replaceAll('localhost:9092', addresses.brokers[0] ?? '')
    .replaceAll('http://localhost:8081', addresses.registry)}
async function refund(attributes: Readonly<Record<string, unknown>>, key: string): Promise<void> {
  if (attributes['amount'] !== 25) return
  console.log('refunded', attributes['customer'], key.length)
  stop.abort()
}
await producer.close()
`
  await writeFile(join(checkout.root, 'sample.ts'), program)
  const config = { extends: './tsconfig.json', include: ['sample.ts'], files: ['sample.ts'] }
  await writeFile(join(checkout.root, 'tsconfig.sample.json'), JSON.stringify(config))
  const checked = await shell('npx tsc --noEmit -p tsconfig.sample.json')
  expect(checked.stdout.split('\n').filter((line) => line.startsWith('sample.ts'))).toEqual([])
  const ran = await shell('npx node sample.ts')
  expect(ran).toMatchObject({ code: 0, stdout: 'refunded c-7 32\n' })
})

const shown = blocksOf(readme, 'console').flatMap(commandsOf)

test('there are commands to run', () => expect(shown.length).toBeGreaterThan(2))

test.each(shown)('$command', async ({ command, output: lines }) => {
  const decision = / ([\w.]+:\d+:\d+)$/.exec(command)?.[1]
  if (decision !== undefined) await until(`${decision} is decided`, () => output.includes(`${decision}\n`), 40_000)
  const { code, stdout, stderr } = await shell(command)
  expect(stdout, stderr).toMatch(patternOf(lines))
  expect(code, stderr).toBe(0)
})

const mentioned = [...new Set([...readme.matchAll(/`sluice ((?:[a-z]+ ?)+)/g)].map(([, words = '']) => words.trim()))]

test('the commands it mentions exist', async () => {
  expect(mentioned.length).toBeGreaterThan(2)
  const told = await Promise.all(mentioned.map((words) => runCli([...words.split(' '), '--help'])))
  expect(told.map(({ code }) => code)).toEqual(mentioned.map(() => 0))
  mentioned.forEach((words, at) => expect(told[at]?.stdout).toContain(`Usage: sluice ${words} `))
})

test('the files it links to are there', () => {
  const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(([, link = '']) => link)
  expect(links.length).toBeGreaterThan(3)
  for (const link of links) expect(existsSync(join(ROOT, link)), link).toBe(true)
})

test('the settings it names exist', () => {
  const names = [...new Set([...readme.matchAll(/`([A-Z]+_[A-Z_]+)`/g)].map(([, name = '']) => name))]
  expect(names.length).toBeGreaterThan(2)
  expect(names.filter((name) => !Object.hasOwn(SETTINGS, name))).toEqual([])
})

test('Ctrl-C ends it all', async () => {
  const parts = await descendants(start.pid!)
  expect(parts.size).toBeGreaterThan(4)
  const began = performance.now()
  const ended = once(start, 'exit')
  process.kill(-start.pid!, 'SIGINT')
  await ended
  await until('all have ended', () => survivors(parts).length === 0)
  expect(performance.now() - began).toBeLessThan(15_000)
  expect(output).toContain('0 without a verdict, 0 answered twice')
})
