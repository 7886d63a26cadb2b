/** More than the entities a deployment is busy with at a time; some megabytes. */
const KEPT_MAX = 20_000
/** Longer keys are not kept, so that they cannot fill the memory. */
const KEY_CHARS_MAX = 200

/**
 * What was computed for the last keys, for pure functions that cost more than a look. Forgets everything when it is full,
 * which keeps it bounded whatever senders do, and costs no bookkeeping.
 */
export class Recent<V extends object> {
  readonly #values = new Map<string | null, V>()

  get(key: string | null): V | undefined {
    return this.#values.get(key)
  }

  /** Gives the value back. */
  keep(key: string | null, value: V): V {
    if (key !== null && key.length > KEY_CHARS_MAX) return value
    if (this.#values.size >= KEPT_MAX) this.#values.clear()
    this.#values.set(key, value)
    return value
  }
}
