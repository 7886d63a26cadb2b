import type { Agenda } from './agenda.ts'

/** `answer` is true when the fetch had its answer; with `last` it takes one whatever there is. */
type Waiting = {
  readonly name: string
  readonly places: readonly string[]
  readonly answer: (last: boolean) => boolean
}

/** Fetches that had nothing to give, until something changes at one of their partitions or their time is over. */
export class WaitingFetches {
  readonly #agenda: Agenda
  readonly #byPlace = new Map<string, Set<Waiting>>()
  #count = 0

  constructor(agenda: Agenda) {
    this.#agenda = agenda
  }

  add(places: readonly string[], until: number, answer: (last: boolean) => boolean): void {
    const waiting = { name: `fetch ${this.#count++}`, places, answer }
    for (const place of places) {
      const others = this.#byPlace.get(place)
      if (others === undefined) this.#byPlace.set(place, new Set([waiting]))
      else others.add(waiting)
    }
    this.#agenda.put(waiting.name, until, () => {
      this.#forget(waiting)
      answer(true)
    })
  }

  changed(place: string): void {
    const waiting = this.#byPlace.get(place)
    if (waiting === undefined) return
    for (const each of waiting) {
      if (!each.answer(false)) continue
      this.#agenda.drop(each.name)
      this.#forget(each)
    }
  }

  #forget(waiting: Waiting): void {
    for (const place of waiting.places) this.#byPlace.get(place)?.delete(waiting)
  }
}
