import { expect, test } from 'vitest'
import { suitability } from '../../src/redis/readiness.ts'

const info = (fields: Readonly<Record<string, string>>): string =>
  ['# Server', ...Object.entries(fields).map(([name, value]) => `${name}:${value}`)].join('\r\n')

const good = {
  redis_version: '7.0.15',
  maxmemory_policy: 'noeviction',
  role: 'master',
  aof_enabled: '1',
  cluster_enabled: '0',
}

test.each([
  { says: good, warns: [] },
  { says: { ...good, redis_version: '10.1.0' }, warns: [] },
  { says: { ...good, maxmemory_policy: 'volatile-ttl' }, warns: [/volatile-ttl.*noeviction/] },
  { says: { ...good, role: 'slave' }, warns: [/replica/] },
  { says: { ...good, aof_enabled: '0', maxmemory_policy: 'allkeys-lru' }, warns: [/allkeys-lru/, /appendonly yes/] },
])('$says.redis_version warns $warns', ({ says, warns }) => {
  const result = suitability(info(says))
  expect(result).toMatchObject({
    kind: 'suitable',
    version: says.redis_version,
    warnings: warns.map((it) => expect.stringMatching(it)),
  })
})

test.each([
  { says: { ...good, redis_version: '6.2.14' }, problem: /6\.2\.14 has no functions; use Redis 7/ },
  { says: {}, problem: /unknown version/ },
  { says: { ...good, cluster_enabled: '1' }, problem: /Cluster is not supported/ },
])('$problem', ({ says, problem }) => {
  expect(suitability(info(says))).toMatchObject({ kind: 'unsuitable', problem: expect.stringMatching(problem) })
})
