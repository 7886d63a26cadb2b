import { Redis } from 'ioredis'

export type StoredTextConfig = {
  /** `redis://` or `rediss://` (TLS), with user, password and database where needed. */
  readonly url: string
  readonly deployment: string
  /** What the text is; with the deployment it is the key. */
  readonly name: string
  /** A later answer counts as none, milliseconds. */
  readonly deadlineMs: number
}

/** One text that outlives the process. Both reject where Redis does not answer in time or refuses. */
export type StoredText = {
  /** Null: nothing was written, or it is lost. */
  readonly read: () => Promise<string | null>
  readonly write: (text: string) => Promise<void>
  readonly close: () => void
}

const RECONNECT_MAX_MS = 500

/** Connects in the background, and again whenever the connection is lost. */
export function openStoredText({ url, deployment, name, deadlineMs }: StoredTextConfig): StoredText {
  const key = `{${deployment}}:${name}`
  const redis = new Redis(url, {
    lazyConnect: true,
    enableReadyCheck: false,
    // A call made before the connection stands waits for it, no longer than its own deadline.
    enableOfflineQueue: true,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: deadlineMs,
    connectTimeout: deadlineMs,
    disableClientInfo: true,
    connectionName: 'sluice',
    retryStrategy: (times) => Math.min(25 * 2 ** Math.min(times, 5), RECONNECT_MAX_MS),
  })
  // Every call tells of its own failure.
  redis.on('error', () => undefined)
  const address = new URL(url).host
  const told = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call()
    } catch (error) {
      throw new StateUnavailable(`Redis at ${address}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return {
    read: () => told(() => redis.get(key)),
    write: (text) =>
      told(async () => {
        await redis.set(key, text)
      }),
    close: () => redis.disconnect(),
  }
}

/** Redis did not answer, or refused; the message says where. */
export class StateUnavailable extends Error {
  override readonly name = 'StateUnavailable'
}
