/** What a record's headers are read from: the fetched bytes, from their count on. */
export type HeaderSource = {
  /** The value of the last header of that name, which is ASCII. */
  readonly headerAt: (at: number, name: string) => Uint8Array | undefined
  readonly headersAt: (at: number) => ReadonlyMap<string, Uint8Array>
}

/**
 * A record's headers as they lie in the fetched bytes. Looking for one costs neither a Map nor texts, and most records
 * are never asked for more; whatever else is asked reads them all.
 */
export class RecordHeaders implements ReadonlyMap<string, Uint8Array> {
  readonly #source: HeaderSource
  readonly #at: number
  #all: ReadonlyMap<string, Uint8Array> | null = null

  constructor(source: HeaderSource, at: number) {
    this.#source = source
    this.#at = at
  }

  get(name: string): Uint8Array | undefined {
    if (this.#all === null && isAscii(name)) return this.#source.headerAt(this.#at, name)
    return this.#read().get(name)
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  get size(): number {
    return this.#read().size
  }

  forEach(tell: (value: Uint8Array, name: string, all: ReadonlyMap<string, Uint8Array>) => void): void {
    this.#read().forEach((value, name) => tell(value, name, this))
  }

  entries(): MapIterator<[string, Uint8Array]> {
    return this.#read().entries()
  }

  keys(): MapIterator<string> {
    return this.#read().keys()
  }

  values(): MapIterator<Uint8Array> {
    return this.#read().values()
  }

  [Symbol.iterator](): MapIterator<[string, Uint8Array]> {
    return this.entries()
  }

  #read(): ReadonlyMap<string, Uint8Array> {
    this.#all ??= this.#source.headersAt(this.#at)
    return this.#all
  }
}

/** Every record is asked for the same few names. */
let lastAscii = ''

function isAscii(text: string): boolean {
  if (text === lastAscii) return true
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false
  lastAscii = text
  return true
}
