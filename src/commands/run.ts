import { readConfig } from '../config.ts'
import { runSluice } from '../main.ts'
import { untilInterrupted } from './interrupt.ts'

/** `sluice run`: the processor, until SIGTERM or SIGINT. A parent process that listens is told where its pages are. */
export async function run(file: string | undefined): Promise<number> {
  using interrupt = untilInterrupted()
  await runSluice(readConfig(file), interrupt.signal, (http) => process.send?.({ http }))
  return 0
}
