import type { Assignment, Suspicion } from './ports.ts'

/** What this process may decide right now: the partitions the log assigned and the tokens state gave for them. */
export type Lease = {
  readonly assignment: Assignment
  /** Partition to ownership token. */
  readonly tokens: ReadonlyMap<number, number>
  /** Partition to the offset below which everything was decided before, whatever the group's offset says now. */
  readonly decided: ReadonlyMap<number, number>
  /** Partition to the next offset known to be committed; moves on with each commit. */
  readonly committed: Map<number, number>
  /** Partition to the committed offset that state was last told of. */
  readonly told: Map<number, number>
  /** Partition to what is held against its next records; forgotten with the commit that clears them. */
  readonly suspicions: Map<number, Suspicion>
}
