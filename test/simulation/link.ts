import type { Owner } from './virtual-time.ts'
import type { World } from './world.ts'

/** What becomes of one request and its reply. Probabilities of each, 0 to 1. */
export type Odds = {
  /** The request or its reply is late, by up to seconds. */
  readonly delay: number
  /** The connection breaks, and the request is lost. */
  readonly loseRequest: number
  /** The connection breaks for the client, and the request arrives all the same, some time later. */
  readonly arriveLate: number
  /** The connection breaks after the request had its effect. */
  readonly loseReply: number
  /** The request arrives twice. */
  readonly duplicate: number
  /** From now on nothing comes through, and nobody is told. */
  readonly silence: number
}

export const CALM: Odds = { delay: 0, loseRequest: 0, arriveLate: 0, loseReply: 0, duplicate: 0, silence: 0 }

/** Milliseconds. */
const LATENCY = { min: 0.1, max: 1.5, lateMax: 6000 }

/**
 * One connection of a process to a server. Both directions keep their order; the server takes one request after the
 * other, and the next only when the last was answered, as Kafka's brokers do for one connection.
 */
export class Link {
  readonly #world: World
  readonly #owner: Owner
  readonly #name: string
  readonly #onCut: () => void
  readonly #odds: () => Odds
  readonly #waiting: (() => void)[] = []
  #busy = false
  #open = true
  #silent = false
  #toServerAt = 0
  #toClientAt = 0

  constructor(world: World, owner: Owner, name: string, odds: () => Odds, onCut: () => void) {
    this.#world = world
    this.#owner = owner
    this.#name = name
    this.#odds = odds
    this.#onCut = onCut
  }

  get open(): boolean {
    return this.#open
  }

  /**
   * Sends one request. `serve` is run at the server and calls its argument with what to run at the client, at most once;
   * it may never do so.
   */
  request(label: string, serve: (reply: (deliver: () => void) => void) => void): void {
    const odds = this.#odds()
    const random = this.#world.chance.network
    const hit = (odd: number): boolean => odd > 0 && random() < odd
    if (hit(odds.silence)) this.#silence()
    if (this.#silent) return
    if (hit(odds.loseRequest)) {
      this.#world.note(`  ${this.#name} ${label} lost`)
      return this.cut()
    }
    if (hit(odds.arriveLate)) {
      this.#world.happen(random() * LATENCY.lateMax, null, `${this.#name} ${label} arrives late`, () =>
        serve(() => undefined),
      )
      return this.cut()
    }
    const losesReply = hit(odds.loseReply)
    // Nobody sends a JoinGroup again on the same connection, and it would be another member who joins.
    const times = hit(odds.duplicate) && label !== 'JoinGroup' ? 2 : 1
    for (let copy = 0; copy < times; copy++) {
      const isFirst = copy === 0
      this.#arrive(`${label}${isFirst ? '' : ' again'}`, odds, (done) =>
        serve((deliver) => {
          done()
          if (!isFirst) return
          if (losesReply) {
            this.#world.note(`  ${this.#name} reply to ${label} lost`)
            this.cut()
          } else this.#answer(label, odds, deliver)
        }),
      )
    }
  }

  /** Breaks the connection; the client learns of it a little later. */
  cut(): void {
    if (!this.#open) return
    this.#open = false
    this.#world.happen(LATENCY.min, this.#owner, `${this.#name} cut`, this.#onCut)
  }

  /** The client has closed it; what is under way to the server may still arrive. */
  close(): void {
    this.#open = false
  }

  #silence(): void {
    if (this.#silent) return
    this.#silent = true
    this.#world.note(`  ${this.#name} falls silent`)
  }

  #latency(odds: Odds): number {
    const random = this.#world.chance.network
    const usual = LATENCY.min + random() * (LATENCY.max - LATENCY.min)
    return odds.delay > 0 && random() < odds.delay ? usual + random() ** 3 * LATENCY.lateMax : usual
  }

  #arrive(label: string, odds: Odds, serve: (done: () => void) => void): void {
    const now = this.#world.now()
    this.#toServerAt = Math.max(this.#toServerAt, now + this.#latency(odds))
    this.#world.happen(this.#toServerAt - now, null, `${this.#name} ${label}`, () => {
      const run = (): void => {
        this.#busy = true
        serve(() => this.#next())
      }
      if (this.#busy) this.#waiting.push(run)
      else run()
    })
  }

  /** Not at once, since the server is in the middle of answering. */
  #next(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#busy = false
    else this.#world.happen(0, null, `${this.#name} goes on`, next)
  }

  #answer(label: string, odds: Odds, deliver: () => void): void {
    if (!this.#open || this.#silent) return
    const now = this.#world.now()
    this.#toClientAt = Math.max(this.#toClientAt, now + this.#latency(odds))
    this.#world.happen(this.#toClientAt - now, this.#owner, `${label} answered`, () => {
      if (this.#open) deliver()
    })
  }
}
