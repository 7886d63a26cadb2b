import { existsSync, readFileSync } from 'node:fs'
import { ConfigError, readConfig } from '../config.ts'
import type { Config } from '../config.ts'
import type { SettingName } from '../settings.ts'

/** Where `npm start` says what it runs; see deploy/local. */
const STACK_FILE = new URL('../../.sluice/stack.json', import.meta.url)

/** Stands for an address where none is given. */
export const NO_REDIS = 'redis://none'

/** What tools that only look at topics have no use for. */
const UNUSED: readonly (readonly [SettingName, string])[] = [
  ['SLUICE_POLICY', 'none'],
  ['REDIS_URL', NO_REDIS],
]

/**
 * The configuration of a tool: as the processor's, but that a stack running in this checkout need not be spelled out,
 * and policy and Redis need not be set. Throws ConfigError.
 */
export const readToolConfig = (file: string | undefined): Config =>
  readConfig(file, undefined, new Map([...UNUSED, ...runningStack()]))

function runningStack(): readonly (readonly [SettingName, string])[] {
  if (!existsSync(STACK_FILE)) return []
  try {
    const stack = JSON.parse(readFileSync(STACK_FILE, 'utf8')) as { brokers: string[]; registry: string; redis: string }
    return [
      ['KAFKA_BROKERS', stack.brokers.join(',')],
      ['SCHEMA_REGISTRY_URL', stack.registry],
      ['REDIS_URL', stack.redis],
    ]
  } catch (error) {
    throw new ConfigError([`.sluice/stack.json cannot be read, remove it: ${String(error)}`])
  }
}
