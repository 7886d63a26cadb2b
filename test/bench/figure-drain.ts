import { cpuPerEvent, drain, rateOf } from './drain.ts'
import { figure, least } from './figure.ts'
import type { Measured } from './figure.ts'
import type { Drained, Task } from './meter.ts'
import type { Scene } from './scene.ts'

const BATCHES = [500, 1000, 2000] as const
/** The batch that a processor takes unless told otherwise; the others are reported beside it. */
const GOAL_BATCH = 1000
/** A tenth is drained unmeasured first. */
const warmOf = (events: number): number => Math.ceil(events / 10)

/** Drains of a backlog: the whole pipeline and the bare pass-through, in turns. */
export async function drainFigures(scene: Scene): Promise<readonly Measured[]> {
  const warm = warmOf(scene.events)
  const input = await scene.preloaded(warm + scene.events)
  const figures: Measured[] = []
  for (const batch of BATCHES) figures.push(...(await drainAt(scene, input, batch, warm)))
  return figures
}

async function drainAt(scene: Scene, input: string, batch: number, warm: number): Promise<readonly Measured[]> {
  const [pipeline, bare]: [Drained[], Drained[]] = [[], []]
  const task = (kind: Task['kind']): Task => ({ kind, warm, events: scene.events, batch })
  for (let run = 0; run < scene.runs; run++) {
    bare.push(await drain({ scene, input, task: task('pass-through') }))
    pipeline.push(await drain({ scene, input, task: task('pipeline') }))
    scene.log(`  drain ${batch}: ${pairText(pipeline.at(-1), bare.at(-1))}`)
  }
  const ratios = pipeline.map((it, run) => rateOf(it) / (bare.map(rateOf)[run] ?? Number.NaN))
  const isGoal = batch === GOAL_BATCH
  const name = `drain, ${batch} a transaction`
  return [
    figure(`${name}: pipeline to pass-through`, '', ratios, isGoal ? least(0.5) : null),
    figure(`${name}: pipeline`, 'events/s', pipeline.map(rateOf), isGoal ? least(20_000) : null),
    figure(`${name}: pass-through`, 'events/s', bare.map(rateOf)),
    figure(`${name}: pipeline`, 'µs CPU/event', pipeline.map(cpuPerEvent)),
    figure(`${name}: pass-through`, 'µs CPU/event', bare.map(cpuPerEvent)),
  ]
}

const pairText = (pipeline: Drained | undefined, bare: Drained | undefined): string =>
  [pipeline, bare]
    .map((it) => (it === undefined ? '' : `${Math.round(rateOf(it))} events/s ${cpuPerEvent(it).toFixed(1)} µs`))
    .join(', pass-through ')
