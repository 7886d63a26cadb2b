import { drain } from './drain.ts'
import { figure, most } from './figure.ts'
import type { Measured } from './figure.ts'
import type { Scene } from './scene.ts'

const BATCH = 1000

/** The most memory a process had resident while it drained five times the events of the other drains. */
export async function memoryFigures(scene: Scene): Promise<readonly Measured[]> {
  const events = scene.events * 5
  const input = await scene.preloaded(events)
  const drained = await drain({ scene, input, task: { kind: 'pipeline', warm: 0, events, batch: BATCH } })
  const note = `at the most, while ${events.toLocaleString('en')} events were drained; one run`
  return [figure('resident memory', 'MB', [drained.residentMax / 2 ** 20], most(512), note)]
}
