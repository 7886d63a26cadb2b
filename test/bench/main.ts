/** `npm run bench`: measures what the project promises about its speed. See README.md in this folder. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { openStack, STACK_KINDS } from '../../deploy/local/stack.ts'
import type { Stack } from '../../deploy/local/stack.ts'
import { readOptions, refuse, wholeNumber } from '../arguments.ts'
import { isReached, loadNow, machineOf } from './figure.ts'
import type { Figure } from './figure.ts'
import { FIGURES } from './figures.ts'
import { tableOf } from './report.ts'
import type { Report } from './report.ts'
import { openScene } from './scene.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const FILE = join(ROOT, '.sluice', 'bench.json')

const USAGE = `npm run bench -- [options]
  --only NAME     one of ${[...FIGURES.keys()].join(', ')}; several separated by commas
  --events N      events in a drain, 200000 unless given
  --runs N        runs a figure is the median of, 5 unless given
  --stack KIND    ${STACK_KINDS.join(', ')}
  --json          print the report as JSON; it always goes to .sluice/bench.json too
  --profile DIR   write CPU profiles of the drains there`

const OPTIONS = {
  only: { type: 'string' },
  events: { type: 'string', default: '200000' },
  runs: { type: 'string', default: '5' },
  stack: { type: 'string' },
  json: { type: 'boolean', default: false },
  profile: { type: 'string' },
} as const

const values = readOptions(OPTIONS, USAGE)

const wanted = values.only?.split(',') ?? [...FIGURES.keys()]
const unknown = wanted.filter((it) => !FIGURES.has(it))
if (unknown.length > 0) refuse(`no such figure: ${unknown.join(', ')}\n${USAGE}`)
const report = await measure()
const lines = values.json ? [JSON.stringify(report, null, 2)] : ['', ...tableOf(report)]
for (const line of lines) console.log(line)
process.exit(report.figures.some((it) => isReached(it) === false) ? 1 : 0)

async function measure(): Promise<Report> {
  await using open = new AsyncDisposableStack()
  const log = (line: string): void => console.error(line)
  const kind = STACK_KINDS.find((it) => it === values.stack)
  const stack = await openStack({ log, ...(kind !== undefined && { kind }) })
  open.defer(() => stack.close())
  const options = {
    stack,
    log,
    runs: wholeNumber('runs', values.runs),
    events: wholeNumber('events', values.events),
    profile: values.profile ?? null,
  }
  const scene = await openScene(options, open)
  const figures: Figure[] = []
  for (const name of wanted) {
    const before = loadNow()
    log(`measuring ${name}`)
    const measured = (await FIGURES.get(name)?.(scene)) ?? []
    figures.push(...measured.map((it) => ({ ...it, load: [before, loadNow()] as const })))
  }
  const machine = machineOf(await kafkaVersion(stack), await redisVersion(stack))
  const report = { measuredAt: new Date().toISOString(), machine, events: options.events, figures }
  await mkdir(join(ROOT, '.sluice'), { recursive: true })
  await writeFile(FILE, `${JSON.stringify(report, null, 2)}\n`)
  return report
}

/** A broker does not tell its version; ours is the one in the pom. */
async function kafkaVersion({ kind }: Stack): Promise<string> {
  if (kind !== 'local') return `(${kind})`
  const pom = await readFile(join(ROOT, 'deploy', 'local', 'pom.xml'), 'utf8')
  return /<kafka\.version>(.+)<\/kafka\.version>/.exec(pom)?.[1] ?? 'unknown'
}

async function redisVersion({ redis: url }: Stack): Promise<string> {
  const redis = new Redis(url)
  const info = await redis.info('server')
  redis.disconnect()
  return /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown'
}
