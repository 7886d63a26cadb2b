import { add } from './tally.ts'
import type { Recount } from './recount.ts'
import type { RoundResult } from './round.ts'

/** What broke the promise, with the positions or names concerned; all empty when it was kept. */
export type Violations = {
  readonly lost: readonly string[]
  readonly doubled: readonly string[]
  readonly changed: readonly string[]
  readonly executedTwice: readonly string[]
  readonly wrongCounters: readonly string[]
  readonly wrongFirst: readonly string[]
  readonly countedTwice: readonly string[]
  readonly ledgerDoubled: readonly string[]
  readonly ledgerMissing: readonly string[]
  readonly processes: readonly string[]
}

export function violationsOf({ seen, recounts, countedTwice, executor, tally }: RoundResult): Violations {
  const made = recounts.filter((it) => 'counters' in it)
  return {
    lost: seen.lost,
    doubled: seen.doubled,
    changed: seen.changed,
    executedTwice: seen.executedTwice,
    wrongCounters: made.flatMap(({ wrong }) => wrong),
    wrongFirst: made.flatMap(({ wrongFirst }) => wrongFirst),
    countedTwice,
    ledgerDoubled: executor.doubled,
    ledgerMissing: executor.missing,
    processes: [...tally.gaveUp].filter(([end]) => !MAY_HAPPEN.has(end)).map(([end, times]) => `${times} × ${end}`),
  }
}

/** Ways in which a process may end by itself: none so far. */
const MAY_HAPPEN: ReadonlySet<string> = new Set()

export const broken = (violations: Violations): boolean => Object.values(violations).some((it) => it.length > 0)

type Counts = Readonly<Record<string, number>>

/** What a run showed, over all its rounds; what `--json` prints. */
export type Summary = {
  readonly seed: number
  readonly brokers: number
  readonly workers: number
  readonly seconds: number
  readonly rounds: number
  readonly kills: {
    readonly processes: number
    readonly byKind: Counts
    readonly byFailPoint: Counts
    readonly brokers: number
  }
  readonly deeds: Counts
  readonly endedByThemselves: Counts
  readonly events: number
  readonly outputs: Counts
  /** Verdicts by the state of Redis they were decided with. */
  readonly states: Counts
  readonly lost: number
  readonly duplicated: number
  readonly changed: number
  readonly actionsExecutedTwice: number
  readonly countedTwice: number
  readonly wrongFirst: number
  readonly counters: {
    readonly compared: number
    readonly drift: number
    /** Counted too high where it may be: see Recount. */
    readonly explained: number
    /** How often state was lost, once a round by plan, and rebuilt. */
    readonly losses: number
    /** Comparisons that could not be made, and why. */
    readonly notCompared: readonly string[]
  }
  readonly ledger: { readonly executed: number; readonly doubled: number; readonly missing: number }
  readonly longestGap: { readonly ms: number; readonly during: string }
  /** The first of each kind, by round. */
  readonly violations: readonly {
    readonly round: number
    readonly found: Readonly<Record<string, readonly string[]>>
  }[]
}

const SHOWN = 20

export function summarize(
  run: Pick<Summary, 'seed' | 'brokers' | 'workers' | 'seconds'>,
  results: readonly RoundResult[],
): Summary {
  const sum = (of: (it: RoundResult) => number): number => results.reduce((total, it) => total + of(it), 0)
  const counted = (of: (it: Recount) => number): number =>
    sum(({ recounts }) => recounts.reduce((total, it) => total + ('counters' in it ? of(it) : 0), 0))
  const longest = results.map(({ gap }) => gap).reduce((a, b) => (b.ms > a.ms ? b : a), { ms: 0, during: '' })
  return {
    ...run,
    rounds: results.length,
    kills: {
      processes: sum(({ tally }) => tally.killed),
      byKind: merged(results.map(({ tally }) => tally.kills)),
      byFailPoint: merged(results.map(({ tally }) => tally.points)),
      brokers: sum(({ tally }) => tally.brokers),
    },
    deeds: merged(results.map(({ tally }) => tally.deeds)),
    endedByThemselves: merged(results.map(({ tally }) => tally.gaveUp)),
    events: sum(({ seen }) => seen.events),
    outputs: merged(results.map(({ seen }) => seen.outputs)),
    states: merged(results.map(({ seen }) => seen.states)),
    lost: sum(({ seen }) => seen.lost.length),
    duplicated: sum(({ seen }) => seen.doubled.length),
    changed: sum(({ seen }) => seen.changed.length),
    actionsExecutedTwice: sum(({ seen }) => seen.executedTwice.length),
    countedTwice: sum(({ countedTwice }) => countedTwice.length),
    wrongFirst: counted((it) => it.wrongFirst.length),
    counters: {
      compared: counted((it) => it.counters),
      drift: counted((it) => it.drift),
      explained: counted((it) => it.explained),
      losses: sum(({ losses }) => losses),
      notCompared: results.flatMap(({ recounts }, at) =>
        recounts.flatMap((it) => ('notCompared' in it ? [`round ${at + 1}, ${it.notCompared}`] : [])),
      ),
    },
    ledger: {
      executed: sum(({ executor }) => executor.executed),
      doubled: sum(({ executor }) => executor.doubled.length),
      missing: sum(({ executor }) => executor.missing.length),
    },
    longestGap: { ms: longest.ms, during: longest.during },
    violations: results.flatMap((it, at) => {
      const violations = violationsOf(it)
      if (!broken(violations)) return []
      const found = Object.entries(violations).filter(([, list]) => list.length > 0)
      return [{ round: at + 1, found: Object.fromEntries(found.map(([name, list]) => [name, list.slice(0, SHOWN)])) }]
    }),
  }
}

function merged(all: readonly ReadonlyMap<string, number>[]): Counts {
  const total = new Map<string, number>()
  for (const one of all) for (const [key, count] of one) add(total, key, count)
  return Object.fromEntries([...total].sort(([a], [b]) => a.localeCompare(b)))
}

/** The summary in a dozen lines. */
export function inWords(it: Summary): string {
  const list = (counts: Counts): string =>
    Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')
  const n = (count: number): string => count.toLocaleString('en')
  return [
    `${n(it.kills.processes)} kills of processes: ${list(it.kills.byKind)}`,
    `  at ${list(it.kills.byFailPoint)}`,
    `${it.kills.brokers} kills of brokers (of ${it.brokers}); ${list(it.deeds)}`,
    `${n(it.events)} events: ${list(it.outputs)}`,
    `  decided with state ${list(it.states)}`,
    `  ${it.lost} lost, ${it.duplicated} duplicated, ${it.changed} changed, ${it.actionsExecutedTwice} actions executed twice`,
    `counters: ${n(it.counters.compared)} in Redis compared with a recount, drift ${it.counters.drift}; ` +
      `${it.countedTwice} events not counted, ${it.wrongFirst} repeats misjudged`,
    `  ${it.counters.explained} counted more than decided, on the safe side, while state was away or lost (lost and rebuilt ${it.counters.losses} times)`,
    ...it.counters.notCompared.map((why) => `  not compared: ${why}`),
    `executor: ${n(it.ledger.executed)} actions done, ${it.ledger.doubled} doubled, ${it.ledger.missing} missing`,
    `longest gap in service ${(it.longestGap.ms / 1000).toFixed(1)} s (${it.longestGap.during})`,
    `ended by themselves: ${list(it.endedByThemselves) || 'none'}`,
    ...it.violations.flatMap(({ round, found }) =>
      Object.entries(found).map(([name, those]) => `ROUND ${round}, ${name}: ${those.join('; ')}`),
    ),
  ].join('\n')
}
