import { seededRandom } from '../../src/commands/demo/random.ts'
import type { Random } from '../../src/commands/demo/random.ts'
import { Scheduler } from './scheduler.ts'
import type { Due } from './scheduler.ts'
import { Trace } from './trace.ts'
import { real, resetChance, runAs, useTicker } from './virtual-time.ts'
import type { Owner, Ticker } from './virtual-time.ts'

/** Milliseconds of the world's time. */
type Agenda = { readonly nextDue: () => number | null; readonly advance: () => void }

/** Streams of chance that do not disturb each other, so that a smaller history stays like the larger one. */
type Streams = Readonly<Record<'network' | 'deeds' | 'traffic' | 'servers', Random>>

/**
 * Time and chance of one simulated world, and who in it is frozen or dead. One thing happens at a time: a timer of a
 * process, a message that arrives, or something that the world does.
 */
export class World implements Ticker {
  readonly trace = new Trace()
  readonly chance: Streams
  readonly #scheduler = new Scheduler()
  readonly #frozen = new Map<Owner, Due[]>()
  readonly #dead = new Set<Owner>()
  #agenda: Agenda | null = null
  #steps = 0
  #turns = 0

  constructor(seed: number) {
    const stream = (at: number): Random => seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(at, 0x85ebca6b))
    this.chance = { network: stream(1), deeds: stream(2), traffic: stream(3), servers: stream(4) }
    resetChance()
    useTicker(this)
  }

  /** How often `step` was called. */
  get turns(): number {
    return this.#turns
  }

  /** How often something happened to somebody who lives. */
  get steps(): number {
    return this.#steps
  }

  now = (): number => this.#scheduler.now

  /** A timer of a process, or of the world for null. */
  after(ms: number, owner: Owner | null, run: () => void): { cancelled: boolean } {
    return this.#scheduler.after(ms, owner, 'timer', run)
  }

  /** Something for the trace. */
  happen(ms: number, owner: Owner | null, label: string, run: () => void): Due {
    return this.#scheduler.after(ms, owner, label, run)
  }

  note(text: string): void {
    this.trace.add(this.now(), text)
  }

  freeze(owner: Owner): void {
    if (!this.#frozen.has(owner)) this.#frozen.set(owner, [])
  }

  /** What was held back comes at once: timers and messages in any order, but each connection's messages in theirs. */
  thaw(owner: Owner): void {
    const held = this.#frozen.get(owner)
    if (held === undefined) return
    this.#frozen.delete(owner)
    let messagesAt = 0
    for (const due of held) {
      const isTimer = due.label === 'timer'
      const wait = isTimer ? this.chance.servers() * 3 : (messagesAt += this.chance.servers() * 0.2)
      // A timer that was cleared while it was held stays cleared, so the entry that its owner knows is asked.
      this.#scheduler.after(wait, owner, due.label, () => due.cancelled || due.run())
    }
  }

  isFrozen(owner: Owner): boolean {
    return this.#frozen.has(owner)
  }

  /** Nothing of it ever runs again. */
  bury(owner: Owner): void {
    this.#dead.add(owner)
    this.#frozen.delete(owner)
  }

  isDead(owner: Owner): boolean {
    return this.#dead.has(owner)
  }

  /** Something that has its own agenda in this world's time. */
  attach(agenda: Agenda): void {
    this.#agenda = agenda
  }

  /** Lets the next thing happen, and all that follows from it at once; false when nothing is due any more. */
  async step(): Promise<boolean> {
    this.#turns++
    const agendaAt = this.#agenda?.nextDue() ?? Infinity
    if (agendaAt < Infinity && agendaAt <= this.#scheduler.nextAt) {
      this.#scheduler.advance(agendaAt)
      this.#agenda?.advance()
      return true
    }
    let due = this.#scheduler.next()
    if (due === null) {
      // What was done to a process from outside may not have had its consequences yet.
      await settled()
      due = this.#scheduler.next()
    }
    if (due === null) return false
    const { owner } = due
    if (owner !== null && this.#dead.has(owner)) return true
    const held = owner === null ? undefined : this.#frozen.get(owner)
    if (held !== undefined) {
      held.push(due)
      return true
    }
    this.#steps++
    this.trace.add(due.at, owner === null ? due.label : `${owner.name} ${due.label}`)
    if (owner === null) {
      due.run()
      return true
    }
    runAs(owner, due.run)
    await settled()
    return true
  }
}

/** Until every promise that can go on has gone on. */
export const settled = (): Promise<void> => new Promise((resolve) => real.setImmediate(resolve))
