import type { AttemptStore, Suspicion } from '../../../src/processor/ports.ts'

/** What is known of the attempts at one partition; `run` is '' once they have ended in order. */
type Attempt = {
  readonly run: string
  readonly start: number
  readonly deaths: number
  readonly until: number
  readonly reading: number | null
}

const NONE: Attempt = { run: '', start: -1, deaths: 0, until: 0, reading: null }

/** The functions on attempts of src/redis/sluice.lua, in memory. */
export class AttemptLedger {
  readonly byPartition = new Map<string, Attempt>()

  call(name: string, [run = '', ...args]: readonly string[]): unknown {
    if (name === 'begin_attempts')
      return cut(args, 2).flatMap(([partition = '', start]) => {
        const { deaths, until } = this.#begin(run, partition, Number(start))
        return [String(deaths), String(until)]
      })
    if (name === 'begin_reading')
      return cut(args, 3).filter(([partition = '', from, next]) =>
        this.#change(run, partition, ({ until }) => ({
          reading: Number(from),
          until: Math.max(until, Number(next)),
        })),
      ).length
    return args.filter((partition) => this.#change(run, partition, () => ({ run: '' }))).length
  }

  /** As one process sees it. */
  store(run: string): AttemptStore {
    return {
      begin: async (starts) => {
        const suspicions = new Map<number, Suspicion>()
        for (const [partition, start] of starts) {
          const { deaths, until } = this.#begin(run, String(partition), start)
          if (deaths > 0) suspicions.set(partition, { start, deaths, until })
        }
        return suspicions
      },
      reading: async (runs) => {
        const figures = runs.flatMap(({ partition, from, next }) => [partition, from, next])
        this.call('begin_reading', [run, ...figures.map(String)])
      },
      end: async (partitions) => void this.call('end_attempts', [run, ...partitions.map(String)]),
    }
  }

  #begin(run: string, partition: string, start: number): Attempt {
    const known = this.byPartition.get(partition) ?? NONE
    const counted = { ...asOf(known, start), run, start, reading: null }
    if (known.run !== '' && known.run !== run && countsAsDeath(counted, known.reading)) counted.deaths++
    this.byPartition.set(partition, counted)
    return counted
  }

  #change(run: string, partition: string, change: (known: Attempt) => Partial<Attempt>): boolean {
    const known = this.byPartition.get(partition)
    if (known?.run !== run) return false
    this.byPartition.set(partition, { ...known, ...change(known) })
    return true
  }
}

/** What is still suspected where the next attempt begins. */
function asOf({ start: before, deaths, until }: Attempt, start: number): { deaths: number; until: number } {
  if (start === before) return { deaths, until }
  return deaths >= 2 && before < start && start < until ? { deaths: 2, until } : { deaths: 0, until: 0 }
}

function countsAsDeath({ deaths, start }: Attempt, reading: number | null): boolean {
  if (deaths === 0) return true
  return deaths === 1 ? reading !== null : deaths === 2 && reading === start
}

const cut = (args: readonly string[], size: number): readonly (readonly string[])[] =>
  Array.from({ length: args.length / size }, (_, at) => args.slice(size * at, size * at + size))
