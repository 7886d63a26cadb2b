import type { Owner } from './virtual-time.ts'

/** Something that will happen in a world. `owner`: to whom; null for servers and the world itself. */
export type Due = {
  readonly at: number
  readonly order: number
  readonly owner: Owner | null
  /** For the trace; empty for what is not worth a line. */
  readonly label: string
  readonly run: () => void
  cancelled: boolean
}

/** What is due in a world, by its time and then in the order it was asked for: a binary heap. */
export class Scheduler {
  /** Milliseconds since the world began. */
  now = 0
  #orders = 0
  readonly #heap: Due[] = []

  /** When something is due next; Infinity when nothing is. */
  get nextAt(): number {
    for (let due = this.#heap[0]; due !== undefined; due = this.#heap[0]) {
      if (!due.cancelled) return due.at
      this.#pop()
    }
    return Infinity
  }

  advance(to: number): void {
    if (to > this.now) this.now = to
  }

  after(ms: number, owner: Owner | null, label: string, run: () => void): Due {
    const due = { at: this.now + ms, order: this.#orders++, owner, label, run, cancelled: false }
    this.#push(due)
    return due
  }

  /** Takes the next thing that was not cancelled, and moves the time to it. */
  next(): Due | null {
    for (let due = this.#pop(); due !== null; due = this.#pop()) {
      if (due.cancelled) continue
      if (due.at > this.now) this.now = due.at
      return due
    }
    return null
  }

  #push(due: Due): void {
    const heap = this.#heap
    let at = heap.push(due) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(due, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = due
  }

  #pop(): Due | null {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined) return null
    if (heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      const right = heap[child + 1]
      let below = heap[child]
      if (below === undefined) break
      if (right !== undefined && isBefore(right, below)) {
        below = right
        child++
      }
      if (!isBefore(below, last)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
    return first
  }
}

const isBefore = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
