import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Verdict } from '../../src/decision/verdict.ts'
import { tracesOf } from '../../src/decision/recount.ts'
import { loadPolicy } from '../../src/policy/load-policy.ts'
import { runRebuilder } from '../../src/processor/rebuild.ts'
import type {
  RebuildClaim,
  Rebuilder,
  RebuildStatus,
  RebuildStore,
  Restoration,
  VerdictHistory,
} from '../../src/processor/rebuild.ts'
import { runProcessor } from '../../src/processor/run.ts'
import { openRedis } from '../../src/redis/open.ts'
import { seededRandom } from '../../src/commands/demo/random.ts'
import { flow, TOPIC, verdictOf } from '../processor/flow.ts'
import { Caller, HOUR, velocity } from '../conformance/state-caller.ts'
import { clockedLibrary, realSubject, START } from '../redis/real-subject.ts'
import { startRedis } from '../redis/server.ts'
import type { RedisServer } from '../redis/server.ts'
import { event, policyText } from '../scenarios/support/deployment.ts'

/** State that is lost at any moment is rebuilt from the verdicts while decisions go on, and is then as if nothing had been. */

let server: RedisServer

beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())

const loaded = loadPolicy(
  policyText({ window: '6h' })
    .replaceAll('window: 1s', 'window: 4h')
    .replace('max: 100000,', 'max: 25,')
    .replace('max: 1000,', 'max: 60,'),
  'policy.yaml',
)
if (loaded.kind === 'problems') throw new Error('the policy has problems')
const { policy } = loaded
const PARTITIONS = 3
const SINCE_EVER = Number.MAX_SAFE_INTEGER

type Rig = Awaited<ReturnType<typeof openRig>>

async function openRig(seed: number) {
  const random = seededRandom(seed)
  const below = (n: number): number => Math.floor(random() * n)
  const real = await realSubject(server)
  const it = flow({ partitions: PARTITIONS, policy })
  it.clock.now = START
  const statuses: RebuildStatus[] = []
  const processor = { ...it.processor, state: real.store, pace: { ...it.processor.pace, maxRecords: 1 + below(9) } }
  const rebuilder: Rebuilder = {
    store: real.redis.rebuild,
    history: historyOf(it, below),
    policyOf: async () => policy,
    inputTopic: TOPIC,
    policy: () => policy,
    timer: processor.timer,
    onStatus: (status) => void statuses.push(status),
  }
  const stop = new AbortController()
  const running = [runProcessor(processor, stop.signal), runRebuilder(rebuilder, stop.signal)]
  const recent: ReturnType<typeof event>[] = []
  const next = () => {
    const dice = below(20)
    const earlier = recent[below(recent.length)]
    if (dice === 0 && earlier !== undefined) return earlier
    if (dice === 1 && earlier !== undefined) return { ...earlier, confidence: 0.99 }
    const fresh = event({ time: it.clock.now, confidence: random(), model: { name: `m${below(2)}`, version: '1' } })
    recent.push(fresh)
    return fresh
  }
  let total = 0
  return {
    ...it,
    real,
    below,
    statuses,
    append: (count: number) => {
      for (let n = 0; n < count; n++) it.log.append(below(PARTITIONS), Buffer.from(JSON.stringify(next())))
      total += count
    },
    decided: () =>
      until(() => [...it.log.committed.values()].reduce((sum, offset) => sum + offset, 0) === total, 'all is decided'),
    advance: async (ms: number) => {
      it.clock.now += ms
      await real.advance(ms)
    },
    close: async () => {
      stop.abort()
      await Promise.all(running)
      await real.close()
    },
  }
}

async function until(holds: () => boolean | Promise<boolean>, what: string, ms = 20_000): Promise<void> {
  const end = performance.now() + ms
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const places = ['x', 'v', 'r'].flatMap((topic) => Array.from({ length: PARTITIONS }, (_, p) => [topic, p] as const))

/** The memory log's verdicts as the topics keep them, read in runs of any size, now this place and now that. */
function historyOf({ log }: ReturnType<typeof flow>, below: (n: number) => number): VerdictHistory {
  const at = (topic: string, partition: number): readonly Verdict[] =>
    log.visible.filter((one) => one.topic === topic && one.partition === partition).map(verdictOf)
  return {
    partitions: async () => PARTITIONS,
    read: async (_since, begun, accept, signal) => {
      const open = places.map(([topic, p]) => ({
        topic,
        p,
        from: begun.get(`${topic}-${p}`) ?? 0,
        end: at(topic, p).length,
      }))
      for (
        let left = open.filter(({ from, end }) => from < end);
        left.length > 0;
        left = left.filter((it) => it.from < it.end)
      ) {
        const it = left[below(left.length)]!
        const next = Math.min(it.end, it.from + 1 + below(12))
        const slice = {
          place: `${it.topic}-${it.p}`,
          from: it.from,
          next,
          verdicts: at(it.topic, it.p).slice(it.from, next),
        }
        if (signal.aborted || !(await accept(slice, 0.5))) return { kind: 'stopped' }
        it.from = next
        if (below(3) === 0) await new Promise((resolve) => setTimeout(resolve, below(4)))
      }
      return { kind: 'read' }
    },
  }
}

const verdictsOf = ({ log }: Pick<Rig, 'log'>): readonly Verdict[] =>
  log.visible.filter(({ topic }) => topic.length === 1).map(verdictOf)

/** By counter, how many counts lie in each of its buckets that still matters. */
type Recount = ReadonlyMap<string, ReadonlyMap<number, number>>

function recount(verdicts: readonly Verdict[], now: number): Recount {
  const counters = new Map<string, Map<number, number>>()
  for (const { counts } of verdicts.map((it) => tracesOf(it, policy, SINCE_EVER))) {
    for (const { count, key, windowMs, at } of counts) {
      const width = Math.ceil(windowMs / 16)
      const bucket = Math.floor(at / width)
      if (bucket < Math.floor((now - windowMs) / width)) continue
      const name = `${count === 'proposals' ? 'p' : 'e'}${key}`
      const buckets = counters.get(name) ?? new Map<number, number>()
      counters.set(name, buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1))
    }
  }
  return counters
}

/**
 * Without the repeats of what was decided blindly. When state counted a blind decision is not in its record, so that only
 * the number can be told, and that it is none too low.
 */
function distinct(verdicts: readonly Verdict[]): readonly Verdict[] {
  const seen = new Set<string>()
  const isNew = ({ actionKey, source }: Verdict): boolean => {
    const name = `${actionKey} ${source.digest}`
    return !seen.has(name) && seen.size < seen.add(name).size
  }
  return verdicts.filter(({ facts }) => facts.clock === 'redis').filter(isNew)
}

function expectNoLess(held: Recount, wanted: Recount): void {
  const sum = (buckets: ReadonlyMap<number, number> | undefined): number =>
    [...(buckets?.values() ?? [])].reduce((a, b) => a + b, 0)
  for (const [name, buckets] of wanted) expect(sum(held.get(name)), name).toBeGreaterThanOrEqual(sum(buckets))
}

/** What Redis holds, in the same form. */
async function held(now: number): Promise<Recount> {
  const { admin } = server
  const epoch = await admin.hget('{conformance}:state', 'epoch')
  const counters = new Map<string, ReadonlyMap<number, number>>()
  for (const key of await admin.keys(`{conformance}:c:${epoch}:*`)) {
    const json = await admin.eval("return cjson.encode(cmsgpack.unpack(redis.call('GET', KEYS[1])))", 1, key)
    const [width = 1, ...flat] = JSON.parse(String(json)) as number[]
    const buckets = new Map<number, number>()
    for (let i = 0; i < flat.length; i += 2) {
      if (flat[i]! >= Math.floor((now - policy.limits[0]!.windowMs) / width)) buckets.set(flat[i]!, flat[i + 1]!)
    }
    if (buckets.size > 0) counters.set(key.slice(key.lastIndexOf(':') + 1), buckets)
  }
  return counters
}

/** Of every action key that is still known, the time of the event that it is known by must be the earliest there is. */
async function expectFirstsKnown(verdicts: readonly Verdict[], now: number): Promise<void> {
  const alive = verdicts.filter(({ facts }) => facts.now + policy.duplicatesMs > now)
  for (const [actionKey, same] of Map.groupBy(alive, (it) => it.actionKey)) {
    const place = (await server.admin.get(`{conformance}:e:${actionKey}`))?.split(':', 2).join(':')
    const known = verdicts.find(({ source }) => `${source.partition}:${source.offset}` === place)
    if (same.every(({ facts }) => facts.first !== null)) continue
    if (same.some(({ facts }) => facts.clock === 'processor')) continue
    const earliest = Math.min(...same.filter(({ facts }) => facts.first === null).map(({ facts }) => facts.now))
    expect([known?.actionKey, known?.facts.now]).toEqual([actionKey, earliest])
  }
}

/** Everything is gone, or what was written since a copy was made, or one thing of many. */
async function damage(rig: Rig, copy: Copy): Promise<string> {
  const { admin } = server
  const partition = rig.below(PARTITIONS)
  switch (rig.below(5)) {
    case 0:
    case 1:
      await rig.real.flush()
      return 'flushed'
    case 2:
      await rig.real.away()
      await putBack(copy)
      await rig.real.back()
      return 'failed over to an older copy'
    case 3:
      return await forget(partition)
    default:
      await admin.hdel('{conformance}:state', 'epoch')
      return 'epoch forgotten'
  }
}

/**
 * One key alone is lost to a hand or to eviction, of which readiness warns. While state is rebuilt no new epoch
 * begins for it: what the partition had counted and not committed is counted a second time then, so never too little.
 */
async function forget(partition: number): Promise<string> {
  const script = `redis.call('DEL', KEYS[2])
    return redis.call('HEXISTS', KEYS[1], 'lostAt')`
  const wasLost = await server.admin.eval(script, 2, '{conformance}:state', `{conformance}:p:${partition}`)
  return wasLost === 1 ? `partition ${partition} ${FORGOTTEN_MEANWHILE}` : `partition ${partition} forgotten`
}

const FORGOTTEN_MEANWHILE = 'forgotten while state was rebuilt'

type Copy = readonly (readonly [key: string, value: Buffer, ttl: number])[]

/** At one moment, as a replica has it. */
async function copyState(): Promise<Copy> {
  const script = `local copy = {}
    for _, key in ipairs(redis.call('KEYS', '{*')) do
      copy[#copy + 1] = { key, redis.call('DUMP', key), math.max(0, redis.call('PTTL', key)) }
    end
    return copy`
  const copy = (await server.admin.callBuffer('EVAL', script, 0)) as [Buffer, Buffer, number][]
  return copy.map(([key, value, ttl]) => [String(key), value, ttl])
}

async function putBack(copy: Copy): Promise<void> {
  const { admin } = server
  const keys = await admin.keys('{*')
  if (keys.length > 0) await admin.del(...keys)
  for (const [key, value, ttl] of copy) await admin.restore(key, ttl, value)
}

const whole = (rig: Rig): Promise<void> =>
  until(
    async () =>
      !rig.real.redis.rebuild.isIncomplete() && (await server.admin.hget('{conformance}:state', 'lostAt')) === null,
    'state is whole',
  )

test.each(Array.from({ length: 12 }, (_, n) => ({ seed: n + 1 })))(
  'state lost at any moment is rebuilt exactly while decisions go on, seed $seed',
  async ({ seed }) => {
    const rig = await openRig(seed)
    const deeds: string[] = []
    for (let phase = 0; phase < 6; phase++) {
      rig.append(20 + rig.below(40))
      const copy = await copyState()
      if (rig.below(2) === 0)
        rig.log.failNext(...([null, 'refused', 'reply lost'][rig.below(3)] === null ? [] : ['refused' as const]))
      await new Promise((resolve) => setTimeout(resolve, rig.below(30)))
      if (phase > 0 && rig.below(2) === 0) deeds.push(await damage(rig, copy))
      rig.append(10 + rig.below(20))
      await rig.decided()
      if (rig.below(2) === 0) await whole(rig)
      await rig.advance(rig.below(40) * 60_000)
    }
    rig.append(30)
    await rig.decided()
    await whole(rig)
    const verdicts = verdictsOf(rig)
    const { now } = rig.clock
    const blind = verdicts.filter(({ facts }) => facts.clock === 'processor')
    const isExact = blind.length === 0 && !deeds.some((it) => it.includes(FORGOTTEN_MEANWHILE))
    if (isExact) expect(await held(now), deeds.join()).toEqual(recount(verdicts, now))
    else expectNoLess(await held(now), recount(distinct(verdicts), now))
    await expectFirstsKnown(verdicts, now)
    rig.append(5)
    await rig.decided()
    expect(verdictsOf(rig).at(-1)?.mode).toBe('normal')
    await rig.close()
  },
)

test('offsets that are set back while state is lost execute nothing again, before it is rebuilt or after', async () => {
  const rig = await openRig(1)
  rig.append(300)
  await rig.decided()
  await rig.real.flush()
  rig.log.setOffsets(new Map([0, 1, 2].map((partition) => [partition, 0])))
  // State is rebuilt meanwhile.
  rig.log.failNext(...Array.from({ length: 300 }, () => 'refused' as const))
  rig.log.endAssignment()
  await whole(rig)
  await rig.decided()
  const again = [...Map.groupBy(verdictsOf(rig), ({ decisionId }) => decisionId).values()]
  expect(again.filter((same) => same.length > 1).length).toBeGreaterThan(250)
  const executed = again.map((same) => same.filter(({ route }) => route === 'execute').length)
  expect(Math.max(...executed)).toBe(1)
  const { now } = rig.clock
  const decidedFirst = again.map(([first]) => first!)
  expectNoLess(await held(now), recount(decidedFirst, now))
  await expectFirstsKnown(decidedFirst, now)
  await rig.close()
})

test('who took a partition before it was known how far it was decided takes it again, and all is restored', async () => {
  const one = await realSubject(server)
  const caller = new Caller(one.store)
  const setBack = new Map([[0, { start: 3, committed: 3 }]])
  await caller.ownAll(setBack)
  const { rebuild } = one.redis
  expect(await rebuild.claim(1)).toEqual({ kind: 'unproven', partition: 0 })
  await caller.ask([])
  const claimed = await claimOf(rebuild)
  const decided = new Map([[0, 9]])
  expect((await rebuild.restore(claimed, { ...runOf(0, 2), decided }, 0.5)).kind).toBe('restored')
  expect((await caller.ask([caller.range(3, [{}])])).kind).toBe('fenced')
  expect(await one.store.acquire(setBack, 1, 2)).toMatchObject({ kind: 'owned', decided })
  // What lies between was neither observed nor restored, so it begins anew from where it is known to.
  expect((await rebuild.finish(claimed, new Map([['decisions.execute-0', 2]]))).kind).toBe('fenced')
  await caller.ownAll(setBack)
  await caller.ask([])
  expect((await claimOf(rebuild)).since).toEqual([9])
  await one.close()
})

test.each([
  ['after it', [0, 1]],
  ['before it', [1, 0]],
])('a repeat that was decided without state is not counted, where it is read %s', async (_, order) => {
  const one = await realSubject(server)
  const caller = new Caller(one.store)
  await caller.own(0, 3, 3)
  await caller.ask([])
  const claimed = await claimOf(one.redis.rebuild)
  const { counts, firsts } = runOf(0, 2)
  const repeat = (offset: number) => ({
    first: { ...firsts[0]!, offset, forgottenAt: START + HOUR + offset },
    counts: counts.slice(0, 1),
  })
  const nothing = { ...runOf(0, 2), counts: [], firsts: [] }
  const runs = [
    { ...runOf(0, 2), place: 'x-0' },
    { ...nothing, place: 'r-0', blind: [repeat(1), repeat(2)] },
  ]
  const alone = {
    ...nothing,
    place: 'r-1',
    blind: [{ ...repeat(1), first: { ...repeat(1).first, actionKey: 'alone' } }],
  }
  const all = [...order.map((at) => runs[at]!), alone]
  for (const run of all) expect((await one.redis.rebuild.restore(claimed, run, 0.5)).kind).toBe('restored')
  const reached = new Map(all.map(({ place, next }) => [place, next]))
  expect((await one.redis.rebuild.finish(claimed, reached)).kind).toBe('done')
  const seen = await caller.observe(3, [{ actionKey: 'old-0' }, { actionKey: 'alone' }])
  expect(seen.map((it) => [it.counters.get('velocity'), it.first?.decisionId])).toEqual([
    [3, `${TOPIC}:0:0`],
    [3, `${TOPIC}:0:1`],
  ])
  expect(await server.admin.exists('{conformance}:blind')).toBe(0)
  await one.close()
})

test('a rebuild whose process died is taken over where it stood, and the dead one changes nothing any more', async () => {
  const one = await realSubject(server)
  const two = await openRedis({
    url: server.url,
    deployment: 'conformance',
    topic: TOPIC,
    group: 'g',
    deadlineMs: 5000,
    library: clockedLibrary,
  })
  await expect.poll(() => two.trouble()).toBeNull()
  const caller = new Caller(one.store)
  await caller.own(0, 3, 3)
  expect((await caller.observe(3, [{}]))[0]).toMatchObject({ lost: true, counters: new Map([['velocity', 0]]) })
  const [dead, living] = [one.redis.rebuild, two.rebuild]
  const claimed = await claimOf(dead)
  expect([claimed.since, claimed.places.size]).toEqual([[3], 0])
  expect((await dead.restore(claimed, runOf(0, 2), 0.5)).kind).toBe('restored')
  expect((await dead.restore(claimed, runOf(0, 2), 0.5)).kind).toBe('restored')
  expect(await living.claim(1)).toEqual({ kind: 'held', progress: 0.5 })
  expect(await living.claim(2)).toEqual({ kind: 'waiting', partition: 1 })
  await one.advance(6000)
  const taken = await claimOf(living)
  expect([...taken.places]).toEqual([['decisions.execute-0', 2]])
  expect((await dead.restore(claimed, runOf(2, 3), 0.9)).kind).toBe('fenced')
  expect((await dead.finish(claimed, new Map([['decisions.execute-0', 2]]))).kind).toBe('fenced')
  expect((await living.restore(taken, runOf(2, 3), 1)).kind).toBe('restored')
  expect((await living.finish(taken, new Map([['decisions.execute-0', 3]]))).kind).toBe('done')
  expect(await dead.claim(1)).toEqual({ kind: 'whole' })
  const seen = await caller.observe(4, [{}, { actionKey: 'old-1' }])
  expect(seen.map((it) => [it.lost, it.counters.get('velocity'), it.first?.decisionId])).toEqual([
    [false, 4, undefined],
    [false, 5, `${TOPIC}:0:1`],
  ])
  two.close()
  await one.close()
})

test.each([
  ['in its first run of a place', []],
  ['in between', [runOf(0, 2)]],
])('state that is set back %s while it is rebuilt is rebuilt from there', async (_, kept) => {
  const one = await realSubject(server)
  const caller = new Caller(one.store)
  await caller.own(0, 5, 5)
  await caller.ask([])
  const { rebuild } = one.redis
  const claimed = await claimOf(rebuild)
  const restore = async (run: Restoration): Promise<string> => (await rebuild.restore(claimed, run, 0.5)).kind
  for (const run of kept) expect(await restore(run)).toBe('restored')
  const copy = await copyState()
  const lost = kept.length === 0 ? [runOf(0, 2), runOf(2, 4)] : [runOf(2, 4)]
  for (const run of lost) expect(await restore(run)).toBe('restored')
  await putBack(copy)
  expect(await restore(runOf(4, 5))).toBe('fenced')
  expect((await rebuild.finish(claimed, new Map([['decisions.execute-0', 4]]))).kind).toBe('fenced')
  const again = await claimOf(rebuild)
  expect([...again.places]).toEqual(kept.map(({ place, next }) => [place, next]))
  for (const run of [...lost, runOf(4, 5)]) expect(await restore(run)).toBe('restored')
  expect((await rebuild.finish(again, new Map([['decisions.execute-0', 5]]))).kind).toBe('done')
  const [seen] = await caller.observe(5, [{}])
  expect(seen?.counters.get('velocity')).toBe(5)
  await one.close()
})

async function claimOf(store: RebuildStore): Promise<RebuildClaim> {
  const claim = await store.claim(1)
  if (claim.kind !== 'yours') throw new Error(`the claim was ${claim.kind}`)
  return claim
}

/** What the verdicts on the offsets of a run counted; the first run of its place where it begins with 0. */
function runOf(from: number, next: number): Restoration {
  const offsets = Array.from({ length: next - from }, (_, n) => from + n)
  return {
    place: 'decisions.execute-0',
    after: from === 0 ? null : from,
    next,
    blind: [],
    decided: new Map([[0, next]]),
    counts: offsets.map(() => ({ count: 'proposals', key: velocity().key, windowMs: HOUR, at: START - 1000 })),
    firsts: offsets.map((offset) => ({
      actionKey: `old-${offset}`,
      partition: 0,
      offset,
      digest: 'd1',
      forgottenAt: START + HOUR,
    })),
  }
}
