import type { AbortedTransaction } from './wire/messages/fetch.ts'
import type { RecordBatch } from './wire/record-reader.ts'

/**
 * What a read_committed reader of one partition may show. The broker sends everything up to the last stable offset and
 * names the aborted transactions; leaving their records out is the reader's part (KIP-98, "Consumer" and
 * org.apache.kafka.clients.consumer.internals.CompletedFetch).
 *
 * The rule: in order of their first offsets, every aborted transaction that has begun by a batch's last offset makes its
 * producer's records hidden, from there to that producer's next control record. Transactions overlap and abort in any
 * order, one producer may abort twice in one response, and a transaction may be longer than a response; hence the order,
 * the loop, and the state kept from response to response.
 */
export class CommittedView {
  readonly #hidden = new Set<number>()

  /** Of batches fetched one after the other, those whose records are committed or not transactional. */
  visible(batches: readonly RecordBatch[], aborted: readonly AbortedTransaction[]): RecordBatch[] {
    const shown: RecordBatch[] = []
    const ahead = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
    let begun = 0
    for (const batch of batches) {
      for (let next = ahead[begun]; next !== undefined && next.firstOffset <= batch.lastOffset; next = ahead[begun]) {
        this.#hidden.add(next.producerId)
        begun++
      }
      if (batch.control) this.#hidden.delete(batch.producerId)
      else if (!(batch.transactional && this.#hidden.has(batch.producerId))) shown.push(batch)
    }
    return shown
  }
}
