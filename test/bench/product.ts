/** The processor as `sluice run` runs it, in a process that tells its parent how much CPU it has used when asked. */
import { readConfig } from '../../src/config.ts'
import { runSluice } from '../../src/main.ts'

const stop = new AbortController()
process.on('disconnect', () => stop.abort())
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuUs: user + system })
})
await runSluice(readConfig(undefined), stop.signal, (http) => process.send?.({ http }))
process.exit(0)
