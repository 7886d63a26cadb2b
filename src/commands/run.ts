import { readConfig } from '../config.ts'
import { runSluice } from '../main.ts'
import { untilInterrupted } from './interrupt.ts'

/** `sluice run`: the processor, until SIGTERM or SIGINT. A parent process that listens is told where its pages are. */
export async function run(file: string | undefined): Promise<number> {
  using interrupt = untilInterrupted()
  const config = readConfig(file)
  try {
    await runSluice(config, interrupt.signal, (http) => process.send?.({ http }))
  } catch (error) {
    // What was waited for while starting rejects when it is not waited for any more.
    if (!interrupt.signal.aborted) throw error
  }
  return 0
}
