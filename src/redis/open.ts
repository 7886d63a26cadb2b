import type { Fault } from '../processor/fault.ts'
import { RedisAttemptStore } from './attempt-store.ts'
import { Connection } from './connection.ts'
import type { CreateClient } from './connection.ts'
import { RedisContextStore } from './context-store.ts'
import { readLibrary } from './library.ts'
import type { Library } from './library.ts'
import { RedisRebuildStore } from './rebuild-store.ts'
import { suitability } from './readiness.ts'
import type { Suitability } from './readiness.ts'
import { RedisStateStore } from './state-store.ts'

export type RedisConfig = {
  /** `redis://` or `rediss://` (TLS), with user, password and database where needed. */
  readonly url: string
  /** Names this deployment's keys: letters, digits, `.`, `_`, `-`. */
  readonly deployment: string
  /** The input topic, of which decision ids are made. */
  readonly topic: string
  /** The consumer group that decides; no two may share a deployment's state. */
  readonly group: string
  /** Later answers count as none, milliseconds; 250 unless given. */
  readonly deadlineMs?: number
  /** How long calls are refused at once after one had no answer, milliseconds; 200 unless given. */
  readonly probeMs?: number
  /** Events remembered while Redis is away; 200,000 unless given (about 30 MB). */
  readonly backlogEvents?: number
  /** The function library; this release's unless given. */
  readonly library?: Library
  /** Makes the client; ioredis' unless given. */
  readonly createClient?: CreateClient
}

/** Redis, opened. It may be away: it is then reconnected to in the background, and everything is `unavailable` until. */
export type RedisState = {
  readonly store: RedisStateStore
  readonly attempts: RedisAttemptStore
  readonly context: RedisContextStore
  readonly rebuild: RedisRebuildStore
  /**
   * Whether the server is fit to hold state, and this deployment's is not another group's; `unavailable` when it does not
   * answer.
   */
  readonly check: () => Promise<
    | Suitability
    | { readonly kind: 'foreign'; readonly problem: string }
    | { readonly kind: 'unavailable'; readonly fault: Fault }
  >
  /** Null while Redis answers and its state may be used, else what is wrong; for readiness. */
  readonly trouble: () => Fault | null
  /** Function calls sent so far. */
  readonly roundTrips: () => number
  readonly close: () => void
}

/** Connects, waiting for Redis no longer than the deadline. Throws only for a deployment name that cannot be a key. */
export async function openRedis(config: RedisConfig): Promise<RedisState> {
  if (!/^[\w.-]+$/.test(config.deployment)) {
    throw new RangeError(
      `the deployment name \`${config.deployment}\` may have letters, digits, \`.\`, \`_\` and \`-\` only`,
    )
  }
  const { url, deployment, topic, group, deadlineMs = 250, probeMs = 200, backlogEvents = 200_000 } = config
  const library = config.library ?? readLibrary()
  const { createClient } = config
  const connection = new Connection({
    url,
    deployment,
    deadlineMs,
    probeMs,
    library,
    ...(createClient !== undefined && { createClient }),
  })
  const store = new RedisStateStore({ topic, group, deployment, deadlineMs, backlogEvents }, connection)
  await connection.open()
  return {
    store,
    attempts: new RedisAttemptStore(connection, deadlineMs),
    context: new RedisContextStore(connection, deadlineMs),
    rebuild: new RedisRebuildStore(connection, store, deadlineMs),
    check: async () => {
      const info = await connection.info()
      if (info === null) return { kind: 'unavailable', fault: connection.fault() }
      await store.acquire(new Map(), 0, 0)
      return store.trouble === null ? suitability(info) : { kind: 'foreign', problem: store.trouble.detail }
    },
    trouble: () => (connection.isServing ? store.trouble : connection.fault()),
    roundTrips: () => connection.roundTrips,
    close: () => connection.close(),
  }
}
