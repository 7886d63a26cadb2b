import { performance } from 'node:perf_hooks'
import type { Log } from './log.ts'

/** Starts one part, leaves its end to `open`, and reports it in one line with the seconds it took. */
export async function step<T>(
  name: string,
  open: AsyncDisposableStack,
  log: Log,
  start: () => Promise<T>,
  end: (part: T) => Promise<void>,
): Promise<T> {
  const since = performance.now()
  const part = await start()
  open.defer(() => end(part))
  log(`  ${name}: ready in ${((performance.now() - since) / 1000).toFixed(1)} s`)
  return part
}
