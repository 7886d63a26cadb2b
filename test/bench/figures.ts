import type { Measured } from './figure.ts'
import { certificateFigures } from './figure-certificate.ts'
import { countFigures } from './figure-counts.ts'
import { decideFigures } from './figure-decide.ts'
import { drainFigures } from './figure-drain.ts'
import { idleFigures } from './figure-idle.ts'
import { latencyFigures } from './figure-latency.ts'
import { memoryFigures } from './figure-memory.ts'
import { rebuildFigures } from './figure-rebuild.ts'
import { tracingFigures } from './figure-tracing.ts'
import type { Scene } from './scene.ts'

/** What can be measured, by the name that `--only` takes; in the order it is done. */
export const FIGURES: ReadonlyMap<string, (scene: Scene) => Promise<readonly Measured[]>> = new Map([
  ['decide', decideFigures],
  ['certificate', certificateFigures],
  ['counts', countFigures],
  ['drain', drainFigures],
  ['tracing', tracingFigures],
  ['latency', latencyFigures],
  ['idle', idleFigures],
  ['memory', memoryFigures],
  ['rebuild', rebuildFigures],
])
