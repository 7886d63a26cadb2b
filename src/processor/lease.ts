import type { Assignment } from './ports.ts'

/** What this process may decide right now: the partitions the log assigned and the tokens state gave for them. */
export type Lease = {
  readonly assignment: Assignment
  /** Partition to ownership token. */
  readonly tokens: ReadonlyMap<number, number>
  /** Partition to the next offset known to be committed; moves on with each commit. */
  readonly committed: Map<number, number>
}
