/**
 * The places in a batch's way where a process can be made to die or to sleep: every request that its exactness rests on,
 * before it is sent, when it was sent and has no answer yet, and when it was answered.
 */
export const REQUESTS = [
  'acquire',
  'observe',
  'reserve',
  'AddPartitionsToTxn',
  'Produce',
  'AddOffsetsToTxn',
  'TxnOffsetCommit',
  'EndTxn',
] as const

/** Those that a process sends once, when it takes its partitions over. */
export const START_REQUESTS = ['JoinGroup', 'SyncGroup', 'InitProducerId', 'OffsetFetch', 'acquire'] as const

export const MOMENTS = ['before', 'sent', 'answered'] as const

/** Such as `EndTxn sent`. */
export type Point = string

/** What the harness tells a process: to do this to itself when it comes to that point the next time. */
export type Order = { readonly at: Point; readonly deed: 'SIGKILL' | 'SIGSTOP' }

/** What a process tells the harness: `serving` with its first commit. */
export type Report = { readonly serving: true }

/** The environment variable that orders a death at a point of the start, when no message could be in time. */
export const START_ORDER = 'KILL_LOOP_START_ORDER'
