import type { RedisLibrary } from '../twins/redis/library.ts'
import { EPOCH_MS } from './virtual-time.ts'
import type { World } from './world.ts'

type Call = { readonly name: string; readonly args: readonly (string | Buffer)[]; readonly micros: number }

/** What clients meet: a server that serves, refuses with an error, or does not answer. */
export type Mood = 'serving' | 'read-only' | 'away'

/**
 * A Redis server with a replica that lags by some calls, and the ways it can lose what it knew: the replica takes over
 * without the last writes, the server starts again without them, or somebody flushes it.
 */
export class RedisServer {
  mood: Mood = 'serving'
  /** How far the server's clock is from the simulated time, milliseconds. */
  clockOffsetMs = 0
  /** Which server it is: what is under way to one does not reach the one that takes over. */
  run = 0
  /** How often it has lost something. */
  losses = 0
  readonly #world: World
  readonly #lagMax: number
  readonly #cuts = new Set<() => void>()
  readonly #contexts: ReadonlyMap<string, string>
  /** Told of every call and its reply, and of what was dropped. */
  readonly #onCall: (call: Call, reply: unknown) => void
  readonly #create: () => RedisLibrary
  #main: RedisLibrary
  #replica: RedisLibrary
  #behind: Call[] = []
  #hasFunctions = false
  /** After how many calls the replica takes over; null: not by itself. */
  #callsLeft: number | null = null

  constructor(
    world: World,
    lagMax: number,
    contexts: ReadonlyMap<string, string>,
    create: () => RedisLibrary,
    onCall: (call: Call, reply: unknown) => void,
  ) {
    this.#world = world
    this.#lagMax = lagMax
    this.#contexts = contexts
    this.#onCall = onCall
    this.#create = create
    this.#main = create()
    this.#replica = create()
    this.#fill()
  }

  get library(): RedisLibrary {
    return this.#main
  }

  nowMicros(): number {
    return Math.floor((EPOCH_MS + this.#world.now() + this.clockOffsetMs) * 1000)
  }

  /** A connection was made; `cut` ends it. Returns what forgets it. */
  connected(cut: () => void): () => void {
    this.#cuts.add(cut)
    return () => this.#cuts.delete(cut)
  }

  load(): void {
    this.#hasFunctions = true
  }

  /** @throws Error that Redis would answer with. */
  call(name: string, args: readonly (string | Buffer)[]): unknown {
    if (this.mood === 'read-only') throw new Error("READONLY You can't write against a read only replica.")
    if (!this.#hasFunctions) throw new Error('ERR Function not found')
    const call = { name, args, micros: this.nowMicros() }
    const reply = this.#main.call(name, args, call.micros)
    if (name === 'probe') return reply
    this.#onCall(call, reply)
    this.#behind.push(call)
    const behind = Math.floor(this.#world.chance.servers() * (this.#lagMax + 1))
    while (this.#behind.length > behind) this.#replicate(this.#behind.shift())
    this.#countDown()
    return reply
  }

  /** The replica takes over right after the n-th call from now on, before its answer arrives. */
  failOverAfter(calls: number): void {
    this.#callsLeft = calls
  }

  #countDown(): void {
    if (this.#callsLeft === null || --this.#callsLeft > 0) return
    this.#callsLeft = null
    this.#world.happen(0, null, '*** redis fails over in the middle of a call', () => this.failOver(true))
  }

  /** The replica takes over with what it has; `loses` false: with all there is. */
  failOver(loses: boolean): void {
    if (!loses) for (const call of this.#behind) this.#replicate(call)
    else if (this.#behind.length > 0) this.losses++
    this.#behind = []
    this.run++
    this.#main = this.#replica
    this.#main.server = `run ${this.run}`
    this.#replica = this.#main.copy()
    this.cutAll()
  }

  /** FLUSHALL: connections stay. */
  flush(): void {
    this.losses++
    this.#main = this.#create()
    this.#replica = this.#create()
    this.#behind = []
    this.#fill()
  }

  dropFunctions(): void {
    this.#hasFunctions = false
  }

  cutAll(): void {
    for (const cut of this.#cuts) cut()
    this.#cuts.clear()
  }

  #replicate(call: Call | undefined): void {
    if (call !== undefined) this.#replica.call(call.name, call.args, call.micros)
  }

  /** The context updater's work, which is not simulated. */
  #fill(): void {
    for (const library of [this.#main, this.#replica])
      for (const [hash, json] of this.#contexts) library.putContext(hash, json)
  }
}
