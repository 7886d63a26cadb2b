import { fork } from 'node:child_process'
import type { StdioOptions } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Deployment, Scene } from './scene.ts'
import type { Drained, Task } from './meter.ts'

const WORKER = join(import.meta.dirname, 'worker.ts')
/** What a process of ours prints goes to our stderr, since stdout is the report's. */
export const STDIO: StdioOptions = ['ignore', 2, 2, 'ipc']

/** A process of its own drains the deployment's input and tells what it took. */
export async function drainWith({ env }: Deployment, task: Task, execArgv: readonly string[]): Promise<Drained> {
  const child = fork(WORKER, {
    env: { ...env, SLUICE_BATCH_RECORDS: String(task.batch), BENCH_TASK: JSON.stringify(task) },
    execArgv: [...execArgv],
    stdio: STDIO,
  })
  let drained: Drained | null = null
  child.on('message', (message) => (drained = message as Drained))
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0 || drained === null) throw new Error(`the worker ended with ${code}`)
  return drained
}

export type DrainOptions = {
  readonly scene: Scene
  readonly input: string
  readonly task: Task
  readonly settings?: NodeJS.ProcessEnv
}

/** The same on a deployment of its own, removed afterwards. */
export async function drain({ scene, input, task, settings = {} }: DrainOptions): Promise<Drained> {
  const deployment = await scene.deployment(input, settings)
  const drained = await drainWith(deployment, task, scene.profile === null ? [] : profiling(scene.profile, task))
  await deployment.remove()
  if (drained.discarded + drained.refused > 0)
    scene.log(`  ${drained.discarded} transactions were discarded, Redis refused ${drained.refused} calls`)
  return drained
}

const profiling = (folder: string, task: Task): readonly string[] =>
  task.kind === 'pipeline' ? ['--cpu-prof', `--cpu-prof-dir=${folder}`] : []

export const rateOf = ({ events, seconds }: Drained): number => events / seconds
export const cpuPerEvent = ({ events, cpuUs }: Drained): number => cpuUs / events
