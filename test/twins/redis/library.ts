import { AttemptLedger } from './attempts.ts'
import { CounterBook } from './counters.ts'
import type { Buckets, Counter, Stored } from './counters.ts'
import { RebuildDesk } from './rebuild.ts'
import { unpack } from './unpack.ts'

/** What is recorded of one partition under one field: the lines of a run of offsets, forgotten together. */
type Recorded = { readonly next: number; readonly lines: ReadonlyMap<string, string> }

type Run = { readonly from: number; readonly next: number }

type Partition = {
  token: number
  watermark: number
  committed: number
  /** The furthest that was ever committed. */
  decided: number
  epoch: string
  reserved: number
  /** The one that its owner has met. */
  server: string
  /** What lies below it was not observed in this epoch. */
  since: number
  observations: Recorded[]
  grants: Recorded[]
  /** Runs in which some offset asked for nothing when it was observed. */
  unasked: Run[]
}

/** One partition that is taken over. */
type Claim = {
  readonly partition: string
  readonly committed: number | null
  readonly start: number
  readonly needed: number
  readonly reserved: number
  /** Somebody has set the offset. */
  readonly isSet: boolean
}

type Range = {
  readonly partition: string
  readonly own: Partition
  readonly from: number
  readonly next: number
  readonly committed: number
  readonly quiet: boolean
  readonly counters: readonly unknown[]
  readonly contexts: readonly string[]
  readonly events: readonly unknown[]
  watermark: number
  recorded: ReadonlyMap<string, string> | null
  unasked: readonly Run[]
}

/** What one `observe` works with; `head` begins every observation. */
type Scope = {
  readonly now: number
  readonly duplicatesMs: number
  readonly head: string
  readonly book: CounterBook
}

type Event = {
  readonly offset: string
  readonly actionKey: string
  readonly digest: string
  readonly counters: readonly number[]
  readonly contexts: readonly number[]
}

/**
 * What src/redis/sluice.lua does, in memory: the same arguments give the same reply, byte for byte, which
 * test/brokers/redis-twin.test.ts holds it to on a real server. Time is the caller's. One deployment.
 */
export class RedisLibrary {
  epoch: string | null = null
  /** While it is there, counters lack what was counted before the epoch. */
  lostAt: number | null = null
  /** Which server this is. */
  server = 'a'
  /** Whether some partition's owner has not met it. */
  unproven = false
  /** The server that was last met. */
  #met: string | null = null
  #owner: string | null = null
  readonly partitions = new Map<string, Partition>()
  readonly counters = new Map<string, Stored<Buckets>>()
  readonly events = new Map<string, Stored<string>>()
  readonly #contexts = new Map<string, string>()
  readonly #attempts = new AttemptLedger()
  readonly #rebuild = new RebuildDesk()
  /** For a planted bug: whether an offset that has its facts is counted again. */
  protected readonly countsAgain: boolean = false
  /** For a planted bug: whether facts are forgotten where a replayed run ends elsewhere than before. */
  protected readonly forgetsCuts: boolean = false
  #keysMs = 0

  /**
   * One function call at `micros`, microseconds since 1970. `keysMs`: the clock that keys expire by, which is the same but
   * where a test has put another clock under the functions.
   */
  call(name: string, args: readonly (string | Buffer)[], micros: number, keysMs = Math.floor(micros / 1000)): unknown {
    this.#keysMs = keysMs
    switch (name) {
      case 'probe':
        return 1
      case 'acquire':
        return this.#acquire(args as readonly string[], micros)
      case 'remind':
        return this.#remind(args as readonly string[], micros)
      case 'observe':
        return this.#observe(args, Math.floor(micros / 1000))
      case 'reserve':
        return this.#reserve(args, Math.floor(micros / 1000))
      case 'begin_attempts':
      case 'begin_reading':
      case 'end_attempts':
        return this.#attempts.call(name, args as readonly string[])
      case 'claim_rebuild':
      case 'restore':
      case 'finish_rebuild':
        return this.#rebuild.call(name, args, this, Math.floor(micros / 1000), keysMs)
      default:
        throw new Error(`the twin has no function ${name}`)
    }
  }

  putContext(hash: string, json: string | null): void {
    if (json === null) this.#contexts.delete(hash)
    else this.#contexts.set(hash, json)
  }

  /** What a flush does. */
  clear(): void {
    this.epoch = null
    this.lostAt = null
    this.unproven = false
    this.#met = null
    this.#owner = null
    for (const map of [this.partitions, this.counters, this.events, this.#contexts, this.#attempts.byPartition])
      map.clear()
    this.#rebuild.clear()
  }

  /** A second server with the same content. */
  copy(): RedisLibrary {
    return this.copyInto(new RedisLibrary())
  }

  protected copyInto(copy: RedisLibrary): RedisLibrary {
    copy.epoch = this.epoch
    copy.lostAt = this.lostAt
    copy.server = this.server
    copy.unproven = this.unproven
    copy.#met = this.#met
    copy.#owner = this.#owner
    // Recorded runs, buckets and stored values are never changed, only replaced.
    for (const [name, own] of this.partitions)
      copy.partitions.set(name, {
        ...own,
        observations: [...own.observations],
        grants: [...own.grants],
        unasked: [...own.unasked],
      })
    for (const [name, it] of this.counters) copy.counters.set(name, it)
    for (const [name, it] of this.events) copy.events.set(name, it)
    for (const [name, it] of this.#contexts) copy.#contexts.set(name, it)
    for (const [name, it] of this.#attempts.byPartition) copy.#attempts.byPartition.set(name, it)
    this.#rebuild.copyInto(copy.#rebuild)
    return copy
  }

  // ---- acquire ------------------------------------------------------------------------------------------------------

  #acquire([random = '', owner = '', ...args]: readonly string[], micros: number): readonly string[] {
    if (this.#owner !== null && this.#owner !== owner) return ['foreign', this.#owner]
    const wasUnproven = this.isUnproven()
    if (args.length === 0) return ['owned', this.lostAt === null ? '0' : '1', wasUnproven ? '1' : '0']
    const claims = groupsOf(args, 6).map(claimOf)
    const isMending = this.epoch !== null && this.lostAt !== null
    const isUnowned = this.epoch !== null && this.#owner === null
    const isLost = isUnowned || claims.map((claim) => this.#isLost(claim, isMending, wasUnproven)).includes(true)
    const unproven = wasUnproven || (this.epoch === null && this.lostAt === null && !isLost)
    if (isLost || this.epoch === null) {
      this.epoch = random
      // Counters are named after the epoch, so those before are out of reach.
      this.counters.clear()
    }
    if (isLost) this.lostAt = Math.floor(micros / 1000)
    this.#owner = owner
    this.#moveTo(unproven)
    const isNew = claims.some(({ partition }) => this.partitions.get(partition)?.epoch !== this.epoch)
    const given = claims.flatMap((claim) => this.#take(claim, this.epoch ?? '', micros))
    return ['owned', this.lostAt === null ? '0' : '1', unproven || isNew ? '1' : '0', ...given]
  }

  #isLost({ partition, committed, needed, reserved, isSet }: Claim, isMending: boolean, unproven: boolean): boolean {
    const own = this.partitions.get(partition)
    if (own !== undefined && this.epoch !== null && own.epoch === this.epoch) {
      const isMet = !unproven || own.server === this.server
      const least = Math.min(committed ?? 0, needed)
      const decided = Math.max(own.decided, own.committed, committed ?? 0)
      const isUntold = isSet && committed !== null && (own.watermark > decided || !isMet)
      return (
        own.watermark < least || (!isMet && own.committed < (committed ?? 0)) || own.reserved < reserved || isUntold
      )
    }
    return !isMending && (own !== undefined || committed !== null)
  }

  /** The token, and the offset below which all was committed before. */
  #take({ partition, start, needed, reserved }: Claim, epoch: string, micros: number): readonly string[] {
    const own = this.partitions.get(partition) ?? fresh()
    this.partitions.set(partition, own)
    own.token = Math.max(micros, own.token + 1)
    const decided = Math.max(own.decided, own.committed)
    own.decided = Math.max(decided, start)
    own.committed = start
    if (own.epoch === epoch) {
      own.watermark = Math.max(own.watermark, needed)
      trim(own, Math.min(start, needed))
    } else {
      own.watermark = needed
      own.since = Math.max(needed, decided)
      own.server = ''
      own.epoch = epoch
      own.reserved = reserved
      own.observations = []
      own.grants = []
      own.unasked = []
    }
    return [String(own.token), String(own.decided)]
  }

  isUnproven(): boolean {
    const isUsed = this.#met !== null || this.epoch !== null || this.lostAt !== null
    return this.unproven || (this.#met !== this.server && isUsed)
  }

  #moveTo(unproven: boolean): void {
    this.#met = this.server
    this.unproven = unproven
  }

  lose(now: number): void {
    this.lostAt = now
    this.epoch = null
  }

  // ---- remind -------------------------------------------------------------------------------------------------------

  #remind([partitions = '', ...args]: readonly string[], micros: number): readonly string[] {
    let behind: string | null = null
    const reminded: Partition[] = []
    for (const [partition = '', token = '', watermark = '', reserved = ''] of groupsOf(args, 4)) {
      const own = this.#owned(partition, token)
      if (own === null) return ['fenced', partition]
      if (own.watermark < Number(watermark) || own.reserved < Number(reserved)) behind ??= partition
      reminded.push(own)
    }
    this.#moveTo(this.isUnproven())
    if (behind !== null) {
      this.lose(Math.floor(micros / 1000))
      return ['fenced', behind]
    }
    for (const own of reminded) own.server = this.server
    const all = Array.from({ length: Number(partitions) }, (_, at) => this.partitions.get(String(at)))
    if (all.every((own) => own?.server === this.server && own.epoch === this.epoch)) this.unproven = false
    return ['ok']
  }

  // ---- observe ------------------------------------------------------------------------------------------------------

  #observe(args: readonly (string | Buffer)[], now: number): readonly string[] {
    const ranges: Range[] = []
    for (const group of groupsOf(args.slice(2), 7)) {
      const own = this.#owned(String(group[0]), String(group[1]))
      if (own === null) return ['fenced', String(group[0])]
      ranges.push(rangeOf(group, own))
    }
    chain(ranges)
    const gap = ranges.filter((range) => this.#showsLoss(range))[0]
    if (gap !== undefined) {
      this.lose(now)
      return ['fenced', gap.partition]
    }
    const isLost = this.unproven || (this.lostAt !== null && now < this.lostAt + Number(args[1]))
    const segments = ranges.map((it) => it.counters)
    const scope: Scope = {
      now,
      duplicatesMs: Number(args[0]),
      head: `,${now}${isLost ? ',1,' : ',0,'}`,
      book: new CounterBook(this.counters, segments, now, this.#keysMs),
    }
    const texts = ranges.map((range) => this.#apply(range, scope))
    scope.book.store(this.counters)
    return ['ok', ...texts]
  }

  #showsLoss(range: Range): boolean {
    if (range.from > range.watermark) return true
    if (range.from >= range.watermark) return false
    const { observations, unasked } = range.own
    const recorded = linesOf(this.forgetsCuts ? observations.filter(({ next }) => next === range.next) : observations)
    range.recorded = recorded
    range.unasked = unasked.filter(({ next }) => next > range.from)
    if (this.forgetsCuts || range.quiet) return false
    return [...eventsOf(range.events)].some(({ offset }) => {
      const at = Number(offset)
      const isMissing = !recorded.has(offset) && at < range.watermark && at >= range.committed
      return isMissing && endOfUnasked(range, at) === null
    })
  }

  #apply(range: Range, scope: Scope): string {
    const { own, committed, next, quiet } = range
    if (committed > own.committed) trim(own, committed)
    const isNew = range.from >= range.watermark && !quiet
    const counters = scope.book.of(range.counters)
    const lines: string[] = []
    const added = new Map<string, string>()
    const firstNew = Math.max(range.from, range.watermark)
    let [asked, addedNext] = [0, next]
    for (const event of eventsOf(range.events)) {
      const offset = Number(event.offset)
      let line = isNew ? undefined : range.recorded?.get(event.offset)
      const isOld = offset < range.watermark
      const unaskedNext = line === undefined && isOld ? endOfUnasked(range, offset) : null
      const isPassed = (isOld && (quiet ? unaskedNext === null : offset < committed)) || offset >= next
      if (isNew || (offset >= firstNew && offset < next)) asked++
      if (!isNew && line === undefined && isPassed) line = 'null'
      if (line === undefined) {
        line = this.#observeEvent(event, range, counters, scope)
        if (isNew || offset >= committed || unaskedNext !== null) added.set(event.offset, line)
        addedNext = Math.max(addedNext, unaskedNext ?? 0)
      } else if (this.countsAgain) this.#observeEvent(event, range, counters, scope)
      lines.push(line)
    }
    if (added.size > 0) own.observations.push({ next: addedNext, lines: added })
    if (asked < next - firstNew && next > committed) own.unasked.push({ from: firstNew, next })
    own.watermark = Math.max(range.watermark, next)
    own.committed = committed
    return quiet ? '' : lines.join(',\n')
  }

  #observeEvent(event: Event, range: Range, counters: readonly Counter[], scope: Scope): string {
    const first = this.#predecessor(event, `${range.partition}:${event.offset}:`, scope)
    const isRepeat = first !== null && first.slice(first.indexOf(':', first.indexOf(':') + 1) + 1) === event.digest
    const counts = event.counters.map((index) => {
      const counter = counters[index - 1]
      if (counter === undefined) throw new Error('an event names a counter that is not there')
      const field = 4 * (index - 1)
      const text = `${String(range.counters[field + 2])}${counter.sum}`
      if (range.counters[field + 3] === 1 && !isRepeat) scope.book.add(counter)
      return text
    })
    const contexts = event.contexts.map((index) => {
      const hash = range.contexts[2 * (index - 1)] ?? ''
      return `${range.contexts[2 * index - 1]}${this.#contexts.get(hash) ?? 'null'}`
    })
    const before = first === null ? 'null' : `"${first}"`
    return `[${event.offset}${scope.head}${before},[${counts.join(',')}],[${contexts.join(',')}]]`
  }

  #predecessor({ actionKey, digest }: Event, position: string, { duplicatesMs }: Scope): string | null {
    if (duplicatesMs === 0) return null
    const known = this.events.get(actionKey)
    if (known === undefined || known.until < this.#keysMs) {
      this.events.set(actionKey, { value: position + digest, until: this.#keysMs + duplicatesMs })
      return null
    }
    return known.value.startsWith(position) ? null : known.value
  }

  // ---- reserve ------------------------------------------------------------------------------------------------------

  #reserve(args: readonly (string | Buffer)[], now: number): readonly string[] {
    const ranges: { own: Partition; counters: readonly unknown[]; events: readonly unknown[] }[] = []
    for (const [partition, token, bytes] of groupsOf(args, 3)) {
      const own = this.#owned(String(partition), String(token))
      if (own === null) return ['fenced', String(partition)]
      const [counters = [], events = []] = unpack(bytes as Buffer) as unknown[][]
      ranges.push({ own, counters, events })
    }
    if (this.unproven) return ['unproven']
    const segments = ranges.map((it) => it.counters)
    const book = new CounterBook(this.counters, segments, now, this.#keysMs)
    // All that is recorded is read before anything is.
    const recorded = ranges.map(({ own }) => linesOf(own.grants))
    const texts = ranges.map(({ own, counters, events }, at) =>
      reserveRange(own, counters, events, recorded[at] ?? new Map<string, string>(), book),
    )
    book.store(this.counters)
    return ['ok', ...texts]
  }

  #owned(partition: string, token: string): Partition | null {
    const own = this.partitions.get(partition)
    if (own === undefined || this.epoch === null) return null
    return String(own.token) === token && own.epoch === this.epoch ? own : null
  }
}

const fresh = (): Partition => ({
  token: 0,
  watermark: 0,
  committed: 0,
  decided: 0,
  epoch: '',
  reserved: 0,
  server: '',
  since: 0,
  observations: [],
  grants: [],
  unasked: [],
})

const claimOf = ([partition = '', committed = '', ...rest]: readonly string[]): Claim => {
  const [start = 0, needed = 0, reserved = 0, isSet = 0] = rest.map(Number)
  const position = { partition, committed: committed === '' ? null : Number(committed), start }
  return { ...position, needed, reserved, isSet: isSet === 1 }
}

function trim(own: Partition, committed: number): void {
  own.observations = own.observations.filter(({ next }) => next > committed)
  own.grants = own.grants.filter(({ next }) => next > committed)
  own.unasked = own.unasked.filter(({ next }) => next > committed)
}

/** Where a run ends of which a call had this offset, which asked for nothing then; or null. */
const endOfUnasked = ({ unasked }: Range, offset: number): number | null =>
  unasked.find(({ from, next }) => from <= offset && offset < next)?.next ?? null

function groupsOf<T>(args: readonly T[], size: number): readonly (readonly T[])[] {
  const groups: T[][] = []
  for (let at = 0; at < args.length; at += size) groups.push(args.slice(at, at + size))
  return groups
}

function linesOf(recorded: readonly Recorded[]): Map<string, string> {
  const lines = new Map<string, string>()
  for (const run of recorded) for (const [offset, line] of run.lines) lines.set(offset, line)
  return lines
}

function rangeOf(group: readonly (string | Buffer)[], own: Partition): Range {
  const [partition, , from, next, committed, mode, bytes] = group
  const [counters = [], contexts = [], events = []] = unpack(bytes as Buffer) as unknown[][]
  return {
    partition: String(partition),
    own,
    from: Number(from),
    next: Number(next),
    committed: Math.max(own.committed, Number(committed)),
    quiet: mode === 'quiet',
    counters,
    contexts: contexts as string[],
    events,
    watermark: own.watermark,
    recorded: null,
    unasked: [],
  }
}

/** Ranges of one partition in one call follow each other. */
function chain(ranges: readonly Range[]): void {
  const watermarks = new Map<string, number>()
  for (const range of ranges) {
    range.watermark = Math.max(watermarks.get(range.partition) ?? 0, range.watermark)
    watermarks.set(range.partition, Math.max(range.watermark, range.next))
  }
}

function* eventsOf(flat: readonly unknown[]): Generator<Event> {
  for (let at = 0; at < flat.length;) {
    const counters = flat.slice(at + 4, at + 4 + (flat[at + 3] as number)) as number[]
    const next = at + 4 + counters.length
    const contexts = flat.slice(next + 1, next + 1 + (flat[next] as number)) as number[]
    yield {
      offset: flat[at] as string,
      actionKey: flat[at + 1] as string,
      digest: flat[at + 2] as string,
      counters,
      contexts,
    }
    at = next + 1 + contexts.length
  }
}

function reserveRange(
  own: Partition,
  named: readonly unknown[],
  events: readonly unknown[],
  recorded: ReadonlyMap<string, string>,
  book: CounterBook,
): string {
  const counters = book.of(named)
  const lines: string[] = []
  const added = new Map<string, string>()
  let last = 0
  for (let at = 0; at < events.length; at += 2 + (events[at + 1] as number)) {
    const offset = events[at] as string
    let line = recorded.get(offset) ?? (Number(offset) < own.committed ? 'null' : undefined)
    if (line === undefined) {
      const indices = events.slice(at + 2, at + 2 + (events[at + 1] as number)) as number[]
      line = claim(offset, indices, named, counters, book)
      added.set(offset, line)
      last = Number(offset)
    }
    lines.push(line)
  }
  if (added.size > 0) {
    own.grants.push({ next: last + 1, lines: added })
    if (last >= own.reserved) own.reserved = last + 1
  }
  return lines.join(',\n')
}

function claim(
  offset: string,
  indices: readonly number[],
  named: readonly unknown[],
  counters: readonly Counter[],
  book: CounterBook,
): string {
  const claimed = indices.map((index) => ({ counter: counters[index - 1], field: 4 * (index - 1) }))
  const counts: string[] = []
  let isGranted = true
  for (const { counter, field } of claimed) {
    isGranted = isGranted && (counter?.sum ?? 0) + 1 <= (named[field + 3] as number)
    counts.push(`${String(named[field + 2])}${counter?.sum ?? 0}`)
  }
  if (isGranted) for (const { counter } of claimed) if (counter !== undefined) book.add(counter)
  return `[${offset}${isGranted ? ',1,[' : ',0,['}${counts.join(',')}]]`
}
