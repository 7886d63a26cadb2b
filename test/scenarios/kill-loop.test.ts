import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import type { Summary } from '../kill-loop/report.ts'
import { ROOT } from './support/cli.ts'

/** Kills stop after so long, and what was done is verified. */
const MINUTES = 6
const KILLS = 60

test(
  `${KILLS} kills of processes, and of brokers and Redis with them: nothing lost, doubled, changed or miscounted`,
  { timeout: (MINUTES + 2) * 60_000 },
  async () => {
    const { code, summary, stderr } = await killLoop(['--kills', String(KILLS), '--for', String(MINUTES)])
    console.log(
      `${summary.kills.processes} processes and ${summary.kills.brokers} brokers killed in ${summary.seconds} s, ` +
        `${summary.events} events`,
    )
    expect(summary.violations, stderr).toEqual([])
    expect(summary).toMatchObject({ lost: 0, duplicated: 0, changed: 0, counters: { drift: 0 } })
    expect(summary.kills.processes).toBeGreaterThanOrEqual(KILLS)
    expect(summary.events).toBeGreaterThan(1000)
    expect(code).toBe(0)
  },
)

async function killLoop(
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly summary: Summary; readonly stderr: string }> {
  const main = join(ROOT, 'test', 'kill-loop', 'main.ts')
  const child = spawn(process.execPath, [main, ...args, '--json'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = (await ended) as [number | null]
  if (!stdout.startsWith('{')) throw new Error(`the kill loop ended with ${code}:\n${stderr}${stdout}`)
  return { code, summary: JSON.parse(stdout) as Summary, stderr }
}
