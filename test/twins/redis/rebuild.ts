import { apart } from './counters.ts'
import type { Buckets, Stored } from './counters.ts'
import { unpack } from './unpack.ts'

const BUCKETS = 16

/** What of a library the rebuild works on. */
export type Rebuilt = {
  epoch: string | null
  lostAt: number | null
  readonly isUnproven: () => boolean
  readonly lose: (now: number) => void
  readonly server: string
  readonly partitions: ReadonlyMap<string, RebuiltPartition>
  readonly counters: Map<string, Stored<Buckets>>
  readonly events: Map<string, Stored<string>>
}

export type RebuiltPartition = {
  token: number
  readonly watermark: number
  readonly committed: number
  readonly epoch: string
  readonly server: string
  /** What lies below it was not observed in this epoch. */
  readonly since: number
  decided: number
}

type Held = {
  readonly epoch: string
  readonly holder: string
  readonly until: number
  readonly progress: string | null
  readonly places: ReadonlyMap<string, string>
  readonly isSetBack: boolean
}

/** The part `rebuild` of sluice.lua. */
export class RebuildDesk {
  #held: Held | null = null
  /** By run of a place; its events that were decided without state. */
  readonly #blind = new Map<string, readonly unknown[]>()

  copyInto(copy: RebuildDesk): void {
    copy.#held = this.#held
    for (const [run, events] of this.#blind) copy.#blind.set(run, events)
  }

  clear(): void {
    this.#held = null
    this.#blind.clear()
  }

  /** `now`: the functions' clock; `keysMs`: the one keys expire by. */
  call(
    name: string,
    args: readonly (string | Buffer)[],
    state: Rebuilt,
    now: number,
    keysMs: number,
  ): readonly string[] {
    if (name === 'claim_rebuild') return this.#claim(args as readonly string[], state, now)
    return name === 'restore' ? this.#restore(args, state, now, keysMs) : this.#finish(args, state, now, keysMs)
  }

  #claim([holder = '', leaseMs = '', count = '']: readonly string[], state: Rebuilt, now: number): readonly string[] {
    const names = Array.from({ length: Number(count) }, (_, at) => String(at))
    const { epoch, partitions } = state
    if (state.lostAt === null) {
      const isMet = (it: string): boolean =>
        partitions.get(it)?.server === state.server && partitions.get(it)?.epoch === epoch
      const unmet = names.find((it) => !isMet(it))
      return state.isUnproven() && unmet !== undefined ? ['unproven', unmet] : ['whole']
    }
    for (const name of names) {
      const own = partitions.get(name)
      if (epoch === null || own?.epoch !== epoch) return ['waiting', name]
      if (own.server !== state.server) return ['unproven', name]
    }
    if (epoch === null) throw new Error('there is no partition to rebuild')
    const held = this.#held?.epoch === epoch ? this.#held : null
    if (held !== null && held.holder !== holder && now < held.until) return ['held', held.progress ?? '0']
    if (held === null) this.#blind.clear()
    const places = held?.places ?? new Map<string, string>()
    this.#held = {
      epoch,
      holder,
      until: now + Number(leaseMs),
      progress: held?.progress ?? null,
      places,
      isSetBack: held?.isSetBack ?? false,
    }
    const since = names.map((it) => String(partitions.get(it)?.since))
    return ['yours', epoch, String(now), String(state.lostAt), ...since, ...[...places].flat()]
  }

  #restore(args: readonly (string | Buffer)[], state: Rebuilt, now: number, keysMs: number): readonly string[] {
    const [holder, epoch, leaseMs, progress, place = '', after, next = '', bytes, blind, ...decided] = args
    const held = this.#heldBy(holder, epoch, state)
    if (held === null) return ['fenced']
    const reached = held.places.get(String(place)) ?? ''
    if (reached !== after) return ['behind', reached]
    const [counters = [], events = []] = unpack(bytes as Buffer) as unknown[][]
    for (let i = 0; i < counters.length; i += 2)
      addCounts(state, String(counters[i]), counters[i + 1] as number[], now, keysMs)
    for (let i = 0; i < events.length; i += 3)
      knowEvent(state, String(events[i]), String(events[i + 1]), (events[i + 2] as number) - now, keysMs)
    if (blind !== '') this.#blind.set(`${String(place)} ${String(next)}`, unpack(blind as Buffer) as unknown[])
    let isSetBack = held.isSetBack
    for (let i = 0; i < decided.length; i += 2)
      if (learnDecided(state, String(decided[i]), Number(decided[i + 1]))) isSetBack = true
    const places = new Map([...held.places, [String(place), String(next)]])
    this.#held = { ...held, places, isSetBack, until: now + Number(leaseMs), progress: String(progress) }
    return ['restored']
  }

  #finish(args: readonly (string | Buffer)[], state: Rebuilt, now: number, keysMs: number): readonly string[] {
    const [holder, epoch, leaseMs, ...reached] = args
    const held = this.#heldBy(holder, epoch, state)
    if (held === null) return ['fenced']
    for (let i = 0; i < reached.length; i += 2)
      if (held.places.get(String(reached[i])) !== reached[i + 1]) return ['fenced']
    const [run] = [...this.#blind.keys()].sort()
    if (run === undefined && held.isSetBack) {
      state.lose(now)
      this.clear()
      return ['fenced']
    }
    if (run === undefined) {
      state.lostAt = null
      this.clear()
      return ['done']
    }
    restoreBlind(state, this.#blind.get(run) ?? [], now, keysMs)
    this.#blind.delete(run)
    this.#held = { ...held, until: now + Number(leaseMs) }
    return ['more']
  }

  #heldBy(holder: unknown, epoch: unknown, state: Rebuilt): Held | null {
    const held = this.#held
    return held !== null && held.epoch === epoch && held.holder === holder && state.epoch === epoch ? held : null
  }
}

function addCounts({ counters }: Rebuilt, key: string, more: Buckets, now: number, keysMs: number): void {
  const stored = counters.get(key)
  const width = more[0] ?? 0
  const { buckets, memory } = apart(stored !== undefined && keysMs <= stored.until ? stored.value : [width])
  const value = merged(buckets, more, now)
  if (value.length === 1) return
  const held = buckets[0] ?? 0
  const remembered = memory !== null && width < held ? [memory + Math.max(0, width - (memory % held))] : []
  counters.set(key, { value: [...value, ...remembered], until: keysMs + (BUCKETS + 2) * (value[0] ?? 0) })
}

function merged(a: Buckets, b: Buckets, now: number): Buckets {
  const width = Math.max(a[0] ?? 0, b[0] ?? 0)
  const oldest = Math.floor(now / width) - BUCKETS
  const counts = new Map<number, number>()
  for (const list of [a, b]) {
    const own = list[0] ?? 0
    for (let i = 1; i < list.length; i += 2) {
      const old = list[i] ?? 0
      const bucket = own === width ? old : Math.floor(((old + 1) * own - 1) / width)
      if (bucket >= oldest) counts.set(bucket, (counts.get(bucket) ?? 0) + (list[i + 1] ?? 0))
    }
  }
  return [width, ...[...counts].toSorted(([x], [y]) => x - y).flat()]
}

/** The event that is known by the key already, or null. */
function knowEvent({ events }: Rebuilt, key: string, value: string, left: number, keysMs: number): string | null {
  if (left <= 0) return null
  const known = events.get(key)
  const isKnown = known !== undefined && known.until >= keysMs
  if (!isKnown || left < known.until - keysMs) events.set(key, { value, until: keysMs + left })
  return isKnown ? known.value : null
}

function restoreBlind(state: Rebuilt, events: readonly unknown[], now: number, keysMs: number): void {
  for (let at = 0; at < events.length;) {
    const value = String(events[at + 1])
    const last = at + 3 + 3 * (events[at + 3] as number)
    const known = knowEvent(state, String(events[at]), value, (events[at + 2] as number) - now, keysMs)
    if (known === null || !repeats(state, value, known))
      for (let i = at + 4; i <= last; i += 3)
        addCounts(state, String(events[i]), [events[i + 1] as number, events[i + 2] as number, 1], now, keysMs)
    at = last + 1
  }
}

function repeats({ partitions }: Rebuilt, value: string, known: string): boolean {
  const [, partition = '', offset, digest] = /^(\d+):(\d+):(.*)$/.exec(known) ?? []
  const since = partitions.get(partition)?.since ?? 0
  return known !== value && digest === /^\d+:\d+:(.*)$/.exec(value)?.[1] && Number(offset) < since
}

/** Whether its owner has not come as far, since somebody has set the group's offset back. */
function learnDecided({ partitions }: Rebuilt, partition: string, next: number): boolean {
  const own = partitions.get(partition)
  if (own === undefined) throw new Error('verdicts of a partition that nobody has taken')
  if (next <= Math.max(own.decided, own.committed)) return false
  own.decided = next
  if (own.watermark >= next) return false
  own.token++
  return true
}
