import { expect, test } from 'vitest'
import { Health } from '../src/health.ts'
import type { RebuildStatus } from '../src/processor/rebuild.ts'

const part = (status: RebuildStatus) => {
  const health = new Health()
  health.rebuildStatus(status)
  return health.parts(null, 0).find(({ name }) => name === 'state')
}

test.each<{ status: RebuildStatus; state: string; detail: string }>([
  { status: { kind: 'whole' }, state: 'ok', detail: 'nothing is missing' },
  { status: { kind: 'rebuilt', verdicts: 5, ms: 9 }, state: 'ok', detail: 'nothing is missing' },
  {
    status: { kind: 'rebuilding', progress: 0.638, here: true },
    state: 'degraded',
    detail: 'rebuilt from the verdicts, 63 % done',
  },
  {
    status: { kind: 'unproven', why: 'the owner of partition 1 is away' },
    state: 'degraded',
    detail: 'review: the owner',
  },
  { status: { kind: 'waiting', why: 'Kafka is away' }, state: 'degraded', detail: 'its rebuild waits: Kafka is away' },
])('readiness tells of lost state: $detail', ({ status, state, detail }) => {
  expect(part(status)).toMatchObject({ state, detail: expect.stringContaining(detail) })
})
