import type { Segment } from './segment.ts'

/**
 * What could not be told to state in time, per partition and in order, so that a short outage does not count as lost
 * state. When it grows beyond `maxEvents` it is forgotten, which leaves a gap that the function library takes as loss.
 */
export class Backlog {
  readonly #maxEvents: number
  readonly #segments = new Map<number, Segment[]>()
  #weight = 0

  constructor(maxEvents: number) {
    this.#maxEvents = maxEvents
  }

  /** Events held, over all partitions; a segment counts as one more, so that empty ones are bounded too. */
  get events(): number {
    return this.#weight
  }

  /** What was held from the segment's beginning on was read anew with it, and is replaced. */
  add(segment: Segment): void {
    const held = this.#segments.get(segment.partition) ?? []
    this.#cut(held, segment.from)
    held.push(segment)
    this.#weight += weightOf(segment)
    this.#segments.set(segment.partition, held)
    if (this.#weight > this.#maxEvents) this.clear()
  }

  /** The partition's first segments before `offset`, about `events` of them; one that crosses `offset` ends there. */
  first(partition: number, offset: number, events: number): readonly Segment[] {
    const taken: Segment[] = []
    let weight = 0
    for (const segment of this.#segments.get(partition) ?? []) {
      if (segment.from >= offset || weight >= events) break
      taken.push(segment.next > offset ? { ...segment, next: offset } : segment)
      weight += weightOf(segment)
    }
    return taken
  }

  /**
   * Forgets what state knows by now: everything before `offset`. The segment that crosses it keeps its events; those
   * before the watermark are passed over.
   */
  settle(partition: number, offset: number): void {
    const held = this.#segments.get(partition)
    if (held === undefined) return
    const kept = held.findIndex((it) => it.next > offset)
    for (const segment of held.splice(0, kept === -1 ? held.length : kept)) this.#weight -= weightOf(segment)
    const [first] = held
    if (first === undefined) this.#segments.delete(partition)
    else if (first.from < offset) held[0] = { ...first, from: offset }
  }

  /** The first offset held, if what is held reaches without a gap to `offset` or beyond; else null. */
  startOf(partition: number, offset: number): number | null {
    const held = this.#segments.get(partition)
    const first = held?.[0]
    if (held === undefined || first === undefined || first.from >= offset) return null
    const reached = held.reduce((at, it) => (it.from <= at ? Math.max(at, it.next) : at), first.from)
    return reached >= offset ? first.from : null
  }

  partitions(): readonly number[] {
    return [...this.#segments.keys()]
  }

  forget(partition: number): void {
    this.settle(partition, Infinity)
  }

  clear(): void {
    this.#segments.clear()
    this.#weight = 0
  }

  /** Takes off everything from `offset` on. */
  #cut(held: Segment[], offset: number): void {
    let last = held.at(-1)
    while (last !== undefined && last.from >= offset) {
      held.pop()
      this.#weight -= weightOf(last)
      last = held.at(-1)
    }
    if (last !== undefined && last.next > offset) held[held.length - 1] = { ...last, next: offset }
  }
}

const weightOf = (segment: Segment): number => segment.events + 1
