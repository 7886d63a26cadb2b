import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { NO_CALIBRATION } from '../../src/decision/calibration.ts'
import { NO_CERTIFICATES } from '../../src/decision/certificate.ts'
import { recompute } from '../../src/decision/recompute.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { LogLookup } from '../../src/kafka/lookup.ts'
import { loadPolicy } from '../../src/policy/load-policy.ts'
import type { Deployment } from '../scenarios/support/deployment.ts'
import { readFileSync } from 'node:fs'

export type Verified = {
  readonly events: number
  /** Inputs below the log's end without verdict and dead letter. */
  readonly lost: number
  /** Outputs beyond one per input. */
  readonly doubled: number
  /** Verdicts that their own record does not give again. */
  readonly changed: number
  /** Decided while Redis was away or had lost its state. */
  readonly degraded: number
  /** Execute verdicts beyond one per action key, but for actions whose policy accepts a double while state is away. */
  readonly doubleExecutes: number
  /** How far counters are from a recount of the verdicts that counted. */
  readonly drift: number
  /** Topic to its visible records. */
  readonly outputs: Readonly<Record<string, number>>
}

const kcat = promisify(execFile)

/** What librdkafka shows of a topic under read_committed: partition, offset and headers of every record. */
async function visible(brokers: readonly string[], topic: string): Promise<readonly string[]> {
  const args = ['-C', '-b', brokers.join(','), '-t', topic, '-e', '-q', '-X', 'isolation.level=read_committed']
  const { stdout } = await kcat('kcat', [...args, '-f', '%p:%o %h\\n'], { maxBuffer: 2 ** 30 })
  return stdout.split('\n').filter((line) => line !== '')
}

const headerOf = (line: string, name: string): string => new RegExp(`(?:^|[ ,])${name}=([^,]*)`).exec(line)?.[1] ?? ''

const letterPosition = (line: string): string =>
  ['topic', 'partition', 'offset'].map((part) => headerOf(line, `__connect\\.errors\\.${part}`)).join(':')

export async function verify(deployment: Deployment, brokers: readonly string[]): Promise<Verified> {
  const { topics } = deployment
  const inputs = (await visible(brokers, topics.input)).map((line) => `${topics.input}:${line.split(' ')[0] ?? ''}`)
  const answered = new Map<string, number>()
  const outputs: Record<string, number> = {}
  for (const topic of [topics.execute, topics.review, topics.reject, topics.deadLetters]) {
    const lines = await visible(brokers, topic)
    outputs[topic] = lines.length
    for (const line of lines) {
      const position = topic === topics.deadLetters ? letterPosition(line) : headerOf(line, 'ce_id')
      answered.set(position, (answered.get(position) ?? 0) + 1)
    }
  }
  const verdicts = await readVerdicts(deployment)
  return {
    events: inputs.length,
    lost: inputs.filter((position) => !answered.has(position)).length,
    doubled: [...answered.values()].reduce((sum, times) => sum + times - 1, 0),
    changed: countChanged(verdicts, deployment),
    degraded: verdicts.filter(({ mode }) => mode === 'degraded').length,
    doubleExecutes: doubleExecutes(verdicts),
    drift: drift(verdicts),
    outputs,
  }
}

async function readVerdicts({ connection, topics, records }: Deployment): Promise<readonly Verdict[]> {
  const lookup = new LogLookup(connection)
  const verdicts: Verdict[] = []
  for (const topic of [topics.execute, topics.review, topics.reject]) {
    for (const record of await lookup.all(topic)) {
      const read = await records.decode('Verdict', topic, record.value)
      if (read.kind === 'fault') throw new Error(`a verdict cannot be read: ${read.fault.detail}`)
      verdicts.push(read.value)
    }
  }
  lookup.close()
  return verdicts
}

function countChanged(verdicts: readonly Verdict[], { policyFile }: Deployment): number {
  const loaded = loadPolicy(readFileSync(policyFile, 'utf8'), policyFile)
  if (loaded.kind === 'problems') throw new Error('the policy has problems')
  return verdicts.filter((it) => !recompute(it, loaded.policy, NO_CALIBRATION, NO_CERTIFICATES).equal).length
}

function doubleExecutes(verdicts: readonly Verdict[]): number {
  const vouched = verdicts.filter(({ route, mode }) => route === 'execute' && mode === 'normal')
  return vouched.length - new Set(vouched.map(({ actionKey }) => actionKey)).size
}

/**
 * Nothing leaves its window during a run, so what counted at a counter must have found 0, 1, 2, … before it. The same
 * number twice was not counted once; a number nobody found was counted without a verdict, as is right only for events
 * decided without state, which are counted when Redis is back. After a loss counters begin anew, so what was decided until
 * they are rebuilt found other numbers.
 */
function drift(verdicts: readonly Verdict[]): number {
  const found = new Map<string, number[]>()
  const vouched = verdicts.filter(({ facts }) => facts.state === 'ok')
  for (const { limit, key, before, after } of vouched.flatMap(({ facts }) => facts.counters)) {
    if (after !== before + 1) continue
    const list = found.get(`${limit} ${key}`)
    if (list === undefined) found.set(`${limit} ${key}`, [before])
    else list.push(before)
  }
  const lists = [...found.values()]
  const repeated = lists.reduce((sum, list) => sum + list.length - new Set(list).size, 0)
  const skipped = lists.reduce(
    (sum, list) => sum + list.reduce((a, b) => Math.max(a, b), -1) + 1 - new Set(list).size,
    0,
  )
  return repeated + Math.max(0, skipped - LIMITS * verdicts.filter(({ facts }) => facts.state !== 'ok').length)
}

/** An event of the policy in use is counted by so many limits at the most. */
const LIMITS = 2
