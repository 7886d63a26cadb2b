import type { OutputRecord } from './ports.ts'

/**
 * How large a verdict each topic is thought to take, in bytes: what the settings say, until the topic itself has refused
 * one. A lower limit holds as long as the process does.
 */
export class VerdictSizes {
  readonly #maxBytes: number
  readonly #learned = new Map<string, number>()

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  maxBytes(topic: string): number {
    return this.#learned.get(topic) ?? this.#maxBytes
  }

  /**
   * Some record of this partition was refused, so its largest would be. Whatever was the cause, the next attempt sends
   * less, so that a partition is never held up for good.
   */
  refused(
    { topic, partition }: { readonly topic: string; readonly partition: number },
    sent: readonly OutputRecord[],
  ): void {
    const sizes = sent.map((it) => (it.topic === topic && it.partition === partition ? (it.value?.length ?? 0) : 0))
    const largest = sizes.reduce((a, b) => Math.max(a, b), 0)
    if (largest > 0) this.#learned.set(topic, Math.min(this.maxBytes(topic), largest - 1))
  }
}
