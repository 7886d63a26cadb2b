import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import { endInOrder, endProcesses, runCli } from './support/cli.ts'
import { deploy, event, many, policyText } from './support/deployment.ts'
import type { Deployment } from './support/deployment.ts'
import { startTraffic } from './support/traffic.ts'
import { until } from './support/until.ts'

/** State is lost under real processes, and they find their way back by themselves. */

const stack = inject('stack')
let it: Deployment
let redis: Redis

/** Nothing leaves its window while the test runs, so only a rebuild ends the loss. */
const POLICY = policyText({ window: '1d' })
  .replaceAll('window: 1s', 'window: 1d')
  .replaceAll('max: 1000,', 'max: 1000000,')

beforeAll(async () => {
  it = await deploy(stack, { policy: POLICY, partitions: 4 })
  redis = new Redis(stack.redis)
})
afterEach(endProcesses)
afterAll(async () => {
  redis.disconnect()
  await it.close()
})

/** As FLUSHALL, but for this deployment alone, which shares its server with others. */
async function flush(): Promise<void> {
  const script = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end"
  await redis.eval(script, 0, `{${it.name}}:*`)
}

test(
  'flushed in mid-traffic: to review, then rebuilt and back to execute by itself, every count and repeat as before',
  { timeout: 240_000 },
  async () => {
    const [one, two] = [it.start({ SLUICE_SLOT: 'one' }), it.start({ SLUICE_SLOT: 'two' })]
    await Promise.all([one.untilReady(90_000), two.untilReady(90_000)])
    // The largest event that is taken has a verdict that is larger still.
    const early = [event({ payload: Buffer.alloc(262_144 - 300) }), ...many(399)]
    await it.answers.all(await it.send(early))
    const traffic = startTraffic(it, [{}], 5)
    await traffic.sees('execute confidence.sufficient')
    await flush()
    const lostAt = Date.now()
    await traffic.sees('review state.lost')
    await until('state is whole again', async () => (await redis.hget(`{${it.name}}:state`, 'lostAt')) === null, 30_000)
    console.log(`whole again ${Date.now() - lostAt} ms after the loss`)
    const repeats = await it.send(early.slice(0, 50))
    const fresh = await it.send(many(50))
    const positions = [...(await traffic.stop()), ...repeats, ...fresh]
    await it.answers.all(positions)
    expect(new Set((await verdicts(repeats)).map(({ code }) => code))).toEqual(new Set(['event.duplicate']))
    expect(new Set((await verdicts(fresh)).map(({ route, mode }) => `${route} ${mode}`))).toEqual(
      new Set(['execute normal']),
    )
    await expectCounted()
    expect(await it.answers.audit()).toMatchObject({ lost: [], doubled: [] })
    const audited = await runCli(['audit', '--json'], it.env())
    expect(JSON.parse(audited.stdout)).toMatchObject({ ok: true, unrepeatable: 0, uncompared: 0 })
    const said = [...one.log(), ...two.log()].map(({ message }) => message)
    expect(said).toContain('state was lost: decisions that need it go to review while it is rebuilt from the verdicts')
    expect(said).toContain('state is whole again: rebuilt from the verdicts')
    expect((await one.metric('state_rebuilds_total')) + (await two.metric('state_rebuilds_total'))).toBe(1)
    for (const each of [one, two]) {
      await until('nothing is missing', async () => (await each.health()).parts['state']?.state === 'ok')
      expect(await each.metric('state_incomplete')).toBe(0)
    }
    await endInOrder(one)
    await endInOrder(two)
  },
)

const verdicts = (positions: readonly string[]) => Promise.all(positions.map((each) => it.answers.verdict(each)))

/** The next event of each owner must find every one before it that was no repeat, whenever it was decided. */
async function expectCounted(): Promise<void> {
  const all = it.answers.list().flatMap((answer) => (answer.kind === 'verdict' ? [answer.verdict] : []))
  const counted = all.flatMap(({ facts }) => facts.counters).filter(({ before, after }) => after > before)
  const totals = Map.groupBy(counted, ({ key }) => key)
  const probes = Array.from({ length: 8 }, (_, n) => event({ subject: { type: 'item', id: 'p', owner: `owner-${n}` } }))
  for (const probe of await verdicts(await it.send(probes))) {
    const burst = probe.facts.counters.find(({ limit }) => limit === 'burst')
    expect(burst?.before, probe.event.subject.owner ?? '').toBe(totals.get(burst?.key ?? '')?.length ?? 0)
  }
}
