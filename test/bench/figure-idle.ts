import { setTimeout as sleep } from 'node:timers/promises'
import { figure, most } from './figure.ts'
import type { Measured } from './figure.ts'
import { startProcessor } from './processor.ts'
import type { Scene } from './scene.ts'

const SETTLING_MS = 5000
const LOOK_MS = 5000

/** What a processor with nothing to do costs. */
export async function idleFigures(scene: Scene): Promise<readonly Measured[]> {
  await using open = new AsyncDisposableStack()
  const deployment = await scene.deployment(`idle.${Date.now().toString(36)}`)
  open.defer(() => deployment.remove())
  const processor = await startProcessor(deployment)
  open.defer(() => processor.stop())
  await sleep(SETTLING_MS)
  const shares: number[] = []
  for (let run = 0; run < scene.runs; run++) {
    const [cpu, at] = [await processor.cpuUs(), performance.now()]
    await sleep(LOOK_MS)
    shares.push(((await processor.cpuUs()) - cpu) / 10 / (performance.now() - at))
  }
  return [figure('idle processor', '% of a core', shares, most(2), `${LOOK_MS / 1000} s each`)]
}
