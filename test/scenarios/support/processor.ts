import { startCli } from './cli.ts'
import type { CliProcess } from './cli.ts'
import { until } from './until.ts'

export type Health = {
  readonly status: number
  readonly ready: boolean
  readonly parts: Readonly<Record<string, { readonly state: string; readonly detail: string }>>
}

type LogLine = Readonly<Record<string, unknown>> & { readonly level: string; readonly message: string }

/** `sluice run` as a process, with its pages and its log. */
export type ProcessorProcess = CliProcess & {
  readonly get: (path: string) => Promise<{ readonly status: number; readonly text: string }>
  readonly health: () => Promise<Health>
  /** Resolves with the milliseconds it took from now. */
  readonly untilReady: (withinMs?: number) => Promise<number>
  readonly log: () => readonly LogLine[]
  /** The sum of a metric's samples with these labels; 0 when there is none. */
  readonly metric: (name: string, labels?: Readonly<Record<string, string>>) => Promise<number>
}

/** `command`: what runs, and has the same pages; the processor if not given. */
export function startProcessor(env: Readonly<Record<string, string>>, command = 'run'): ProcessorProcess {
  const started = startCli([command], env)
  const get: ProcessorProcess['get'] = async (path) => {
    const answer = await fetch(`${await started.http()}${path}`, { signal: AbortSignal.timeout(5000) })
    return { status: answer.status, text: await answer.text() }
  }
  const health = async (): Promise<Health> => {
    const { status, text } = await get('/readyz')
    return { status, ...(JSON.parse(text) as Omit<Health, 'status'>) }
  }
  return {
    ...started,
    get,
    health,
    untilReady: async (withinMs = 30_000) => {
      const from = performance.now()
      await until('/readyz answers 200', async () => (await health()).ready, withinMs)
      return performance.now() - from
    },
    log: () => linesOf(started.stdout()),
    metric: async (name, labels = {}) => sumOf((await get('/metrics')).text, name, labels),
  }
}

const linesOf = (text: string): readonly LogLine[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LogLine)

function sumOf(page: string, name: string, labels: Readonly<Record<string, string>>): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return page
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((it) => line.includes(it)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
