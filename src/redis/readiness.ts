/** Whether a Redis server can hold state. */
export type Suitability =
  | { readonly kind: 'suitable'; readonly version: string; readonly warnings: readonly string[] }
  | { readonly kind: 'unsuitable'; readonly problem: string }

/** Reads what INFO says of a server. */
export function suitability(info: string): Suitability {
  const fields = new Map(info.split(/\r?\n/).map((line) => [line.slice(0, line.indexOf(':')), valueOf(line)]))
  const version = fields.get('redis_version') ?? ''
  if (!(Number.parseInt(version, 10) >= 7)) return { kind: 'unsuitable', problem: tooOld(version) }
  if (fields.get('cluster_enabled') === '1') return { kind: 'unsuitable', problem: CLUSTER }
  return { kind: 'suitable', version, warnings: [...warnings(fields)] }
}

const valueOf = (line: string): string => line.slice(line.indexOf(':') + 1)

const tooOld = (version: string): string =>
  `Redis ${version === '' ? 'of an unknown version' : version} has no functions; use Redis 7.0 or newer, or Valkey.`

const CLUSTER = 'Redis Cluster is not supported yet; use a single primary with replicas.'

function* warnings(fields: ReadonlyMap<string, string>): Generator<string> {
  const policy = fields.get('maxmemory_policy') ?? 'noeviction'
  if (policy !== 'noeviction') {
    yield (
      `Redis evicts keys when memory is full (maxmemory-policy ${policy}), so limits may silently count too little; ` +
      'set `maxmemory-policy noeviction`.'
    )
  }
  if (fields.get('role') === 'slave') {
    yield 'This Redis is a replica and refuses writes; every decision that needs state goes to review. Use the primary.'
  }
  if (fields.get('aof_enabled') === '0') {
    yield (
      'Redis keeps no append-only file, so a restart loses state, and decisions go to review until it is rebuilt ' +
      'from the verdicts; set `appendonly yes`.'
    )
  }
}
