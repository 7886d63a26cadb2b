import { appendFileSync } from 'node:fs'
import type { Point } from './points.ts'

/** Deaths of processes, in the ways that count as a kill. */
export const KILLS = ['at a random moment', 'at a fail point', 'while starting', 'restarted later'] as const
export type Kill = (typeof KILLS)[number]

/** What else is done to them and to their servers. */
export type Deed =
  | 'frozen'
  | 'frozen at a fail point'
  | 'frozen and replaced, then woken'
  | 'stopped in order'
  | 'rolling restart'
  | 'executor killed'
  | 'Redis killed'
  | 'Redis failed over'
  | 'Redis failed over with its last writes lost'

/** What was done, counted, and written down with its time for whoever must find a cause. */
export class Tally {
  readonly kills = new Map<Kill, number>()
  readonly points = new Map<Point, number>()
  readonly deeds = new Map<Deed, number>()
  /** A process that ended by itself with this code, where nobody had asked for it. */
  readonly gaveUp = new Map<string, number>()
  brokers = 0
  readonly #times: { readonly at: number; readonly what: string }[] = []
  readonly #file: string
  readonly #say: (line: string) => void

  constructor(file: string, say: (line: string) => void) {
    this.#file = file
    this.#say = say
  }

  get killed(): number {
    return [...this.kills.values()].reduce((sum, it) => sum + it, 0)
  }

  kill(slot: string, kind: Kill, point: Point | null): void {
    add(this.kills, kind)
    if (point !== null) add(this.points, point)
    this.#note({ what: 'killed', slot, kind, point })
    this.#say(`${String(this.killed).padStart(5)}  ${slot} killed ${kind}${point === null ? '' : `: ${point}`}`)
  }

  broker(node: number): void {
    this.brokers++
    this.#note({ what: 'broker killed', node })
    this.#say(`       broker ${node} killed (${this.brokers})`)
  }

  deed(what: Deed, detail = ''): void {
    add(this.deeds, what)
    this.#note({ what, detail })
    this.#say(`       ${what}${detail === '' ? '' : ` (${detail})`}`)
  }

  gave(slot: string, end: string): void {
    add(this.gaveUp, end)
    this.#note({ what: 'gave up', slot, end })
    this.#say(`       ${slot} ended by itself: ${end}`)
  }

  /** What was done between two moments, in a few words; milliseconds since 1970. */
  during(from: number, to: number): string {
    const done = this.#times.filter(({ at }) => at >= from && at <= to).map(({ what }) => what)
    return [...new Set(done)].join(', ')
  }

  /** For the timeline alone. */
  note(what: string, detail: Readonly<Record<string, unknown>> = {}): void {
    this.#note({ what, ...detail })
  }

  #note(entry: Readonly<Record<string, unknown>>): void {
    const { what, slot, detail } = entry
    this.#times.push({
      at: Date.now(),
      what: [slot, what, detail].filter((it) => it !== undefined && it !== '').join(' '),
    })
    appendFileSync(this.#file, `${JSON.stringify({ at: new Date().toISOString(), ...entry })}\n`)
  }
}

export function add<K>(counts: Map<K, number>, key: K, more = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + more)
}
