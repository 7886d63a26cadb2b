import { seededRandom } from '../../src/calibration/random.ts'
import type { AuditedExecution, CountingRules, Report } from '../../src/watch/execution.ts'
import { NOTHING_WATCHED, Watch, type WatchState } from '../../src/watch/watch.ts'

export const RULES: CountingRules = { maturityMs: 60_000, missing: 'assume-wrong' }
export const CERTIFICATE = 'c'.repeat(32)
const START = Date.UTC(2026, 10, 24)

export const execution = (change: Partial<AuditedExecution> = {}): AuditedExecution => ({
  place: { partition: 0, offset: 0 },
  actionKey: 'a-1',
  decidedAt: START,
  propensity: 1,
  score: 0.9,
  certificate: CERTIFICATE,
  segment: null,
  risk: 0.05,
  assurance: 0.95,
  ...change,
})

export const report = (change: Partial<Report> = {}): Report => ({
  place: { partition: 0, offset: 0 },
  actionKey: 'a-1',
  at: START + 1_000,
  says: 'right',
  ...change,
})

/** Both topics of a stream, each a list of records by partition. */
export type Stream = {
  readonly executions: readonly (readonly AuditedExecution[])[]
  readonly reports: readonly (readonly Report[])[]
}

/** An event every 10 ms over some partitions; errors at `risk(n)`, labels late, missing, repeated or contradicting at times. */
export function streamOf(
  seed: number,
  {
    events = 200,
    partitions = 3,
    risk = (n: number): number => (n < 0 ? 1 : 0.05),
    shares = [1, 0.5, 0.1] as readonly number[],
  } = {},
): Stream {
  const random = seededRandom(seed)
  const executions = Array.from({ length: partitions }, (): AuditedExecution[] => [])
  const reports = Array.from({ length: 2 }, (): Report[] => [])
  for (let n = 0; n < events; n++) {
    const partition = Math.floor(random() * partitions)
    const actionKey = `a-${n}`
    const decidedAt = START + 10 * n
    const propensity = shares[n % shares.length] ?? 1
    const certificate = n % 7 === 0 ? 'b'.repeat(32) : CERTIFICATE
    const place = { partition, offset: executions[partition]!.length }
    executions[partition]!.push(execution({ place, actionKey, decidedAt, propensity, certificate, score: random() }))
    const says = random() < risk(n) ? 'wrong' : 'right'
    const put = (at: number, it: Report['says']): void => {
      const topic = reports[n % 2]!
      topic.push(report({ place: { partition: n % 2, offset: topic.length }, actionKey, at, says: it }))
    }
    const fate = random()
    if (fate < 0.02) put(decidedAt + 5, 'failed')
    else if (fate < 0.05) put(decidedAt + 61_000, says)
    else if (fate >= 0.07) put(decidedAt + 5 + 50_000 * random(), says)
    if (fate > 0.95) put(decidedAt + 55_000, fate > 0.97 ? says : 'wrong')
  }
  // Logs are in the order of their times.
  return { executions, reports: reports.map((it) => renumbered(it.toSorted((a, b) => a.at - b.at))) }
}

const renumbered = (reports: readonly Report[]): readonly Report[] =>
  reports.map((it, offset) => ({ ...it, place: { ...it.place, offset } }))

/** All of it given at once, and counted up to the end. */
export function readAtOnce({ executions, reports }: Stream, rules = RULES): Watch {
  const watch = new Watch(NOTHING_WATCHED(rules))
  for (const it of executions.flat()) watch.execute(it)
  for (const it of reports.flat()) watch.report(it)
  watch.advance(endOf({ executions, reports }))
  return watch
}

export const endOf = ({ executions, reports }: Stream): number =>
  Math.max(...executions.flat().map((it) => it.decidedAt), ...reports.flat().map((it) => it.at)) + 120_000

/** Read as a monitor reads: in pieces, partitions at different speeds, with restarts from what was kept. */
export function readInPieces(
  stream: Stream,
  seed: number,
  restarts: number,
  keep: (it: WatchState) => WatchState,
): Watch {
  const random = seededRandom(seed)
  const logs = [...stream.executions.map((it) => [...it]), ...stream.reports.map((it) => [...it])]
  const next = logs.map(() => 0)
  let watch = new Watch(NOTHING_WATCHED(RULES))
  const give = (log: number, until: number): void => {
    for (const limit = logs[log]!.length; (next[log] ?? 0) < limit; next[log]! += 1) {
      const record = logs[log]![next[log]!]!
      if (timeOf(record) > until) return
      if ('says' in record) watch.report(record)
      else watch.execute(record)
    }
  }
  const end = endOf(stream)
  let boundary = START
  for (let piece = 0; boundary < end; piece++) {
    boundary += 20_000 * random()
    // Each log is read at least up to the boundary, and some are ahead of it.
    const order = logs.map((_, log) => log).sort(() => random() - 0.5)
    for (const log of order) give(log, boundary + 30_000 * random())
    watch.advance(Math.min(boundary, end))
    if (piece % 3 !== 0 || restarts <= 0) continue
    restarts -= 1
    const { executions, reports } = watch.needed
    for (const [log] of logs.entries()) {
      const isReports = log >= stream.executions.length
      const from = (isReports ? reports : executions).get(isReports ? log - stream.executions.length : log)
      next[log] = Math.min(next[log]!, from ?? next[log]!)
    }
    watch = new Watch(keep(watch.state))
  }
  return watch
}

const timeOf = (record: AuditedExecution | Report): number => ('says' in record ? record.at : record.decidedAt)
