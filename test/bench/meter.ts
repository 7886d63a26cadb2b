import type { DecisionLogStats } from '../../src/kafka/decision-log.ts'

/** What a worker is to do: drain `warm` events unmeasured, then `events` measured, `batch` a transaction at the most. */
export type Task = {
  readonly kind: 'pipeline' | 'pass-through'
  readonly warm: number
  readonly events: number
  readonly batch: number
}

/** What a drain took, from the commit that ended the warm-up to the last one. */
export type Drained = {
  readonly events: number
  readonly seconds: number
  /** Of the whole process, all its threads, microseconds. */
  readonly cpuUs: number
  readonly transactions: number
  readonly discarded: number
  readonly refused: number
  /** To Redis, but for those that took partitions over. */
  readonly roundTrips: number
  readonly markerWaits: number
  /** Kafka requests by name. */
  readonly requests: Readonly<Record<string, number>>
  /** The most memory resident since the process began, bytes. */
  readonly residentMax: number
}

type Counts = Pick<DecisionLogStats, 'committed' | 'markerWaits' | 'requests'> & { readonly roundTrips: number }
type Mark = Counts & { readonly at: number; readonly cpu: NodeJS.CpuUsage; readonly events: number }

/** Counts what becomes visible and calls `finish` once, when all of it is. */
export class Meter {
  readonly #task: Task
  readonly #read: () => Counts
  readonly #finish: () => void
  #events = 0
  #discarded = 0
  #refused = 0
  #start: Mark | null = null
  #end: Mark | null = null

  constructor(task: Task, read: () => Counts, finish: () => void) {
    this.#task = task
    this.#read = read
    this.#finish = finish
    if (task.warm === 0) this.#start = this.#mark()
  }

  committed(events: number): void {
    this.#events += events
    if (this.#start === null && this.#events >= this.#task.warm) this.#start = this.#mark()
    if (this.#end !== null || this.#events < this.#task.warm + this.#task.events) return
    this.#end = this.#mark()
    this.#finish()
  }

  discarded(): void {
    this.#discarded++
  }

  refused(): void {
    this.#refused++
  }

  result(): Drained {
    const [start, end] = [this.#start, this.#end]
    if (start === null || end === null) throw new Error(`ended after ${this.#events} events`)
    const names = [...end.requests.keys()]
    return {
      events: end.events - start.events,
      seconds: (end.at - start.at) / 1000,
      cpuUs: end.cpu.user + end.cpu.system - start.cpu.user - start.cpu.system,
      transactions: end.committed - start.committed,
      discarded: this.#discarded,
      refused: this.#refused,
      roundTrips: end.roundTrips - start.roundTrips,
      markerWaits: end.markerWaits - start.markerWaits,
      requests: Object.fromEntries(
        names.map((name) => [name, (end.requests.get(name) ?? 0) - (start.requests.get(name) ?? 0)]),
      ),
      residentMax: process.resourceUsage().maxRSS * 1024,
    }
  }

  #mark(): Mark {
    const { committed, markerWaits, requests, roundTrips } = this.#read()
    return {
      at: performance.now(),
      cpu: process.cpuUsage(),
      events: this.#events,
      committed,
      markerWaits,
      requests: new Map(requests),
      roundTrips,
    }
  }
}
