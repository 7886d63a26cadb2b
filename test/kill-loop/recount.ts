import { inquire } from '../../src/decision/inquire.ts'
import type { Policy } from '../../src/decision/policy.ts'
import type { Verdict } from '../../src/decision/verdict.ts'
import { until } from '../scenarios/support/until.ts'
import type { RedisPair } from './redis-pair.ts'
import { add } from './tally.ts'

/** Of one verdict, what the recount needs; a whole one is some kilobytes. */
export type Mark = {
  readonly partition: number
  readonly offset: number
  readonly actionKey: string
  readonly digest: string
  readonly state: Verdict['facts']['state']
  /** When it was observed, milliseconds since 1970. */
  readonly now: number
  /** The decision id of the first event that the facts name. */
  readonly first: string | null
  readonly firstDigest: string | null
  /** Keys of the counters in Redis that this event concerns, when it is proposed and when it is executed. */
  readonly proposed: readonly string[]
  readonly executed: readonly string[]
  /** Those of `executed` in which the facts say that a place was taken. */
  readonly granted: readonly string[]
  /** Per counter what was found before this event, where it counted itself. */
  readonly found: readonly { readonly key: string; readonly before: number }[]
}

export function markOf(verdict: Verdict, policy: Policy): Mark {
  const { event, source, facts, actionKey } = verdict
  const { counters } = inquire({ event, source }, policy)
  const keysOf = (kind: string) => counters.filter((it) => it.count === kind).map((it) => `${kind[0]}${it.key}`)
  const kindOf = new Map(counters.map((it) => [it.limit, it.count[0] ?? '']))
  const keyOf = (it: { limit: string; key: string }): string => `${kindOf.get(it.limit)}${it.key}`
  return {
    partition: source.partition,
    offset: source.offset,
    actionKey,
    digest: source.digest,
    state: facts.state,
    now: facts.now,
    first: facts.first?.decisionId ?? null,
    firstDigest: facts.first?.digest ?? null,
    proposed: keysOf('proposals'),
    executed: keysOf('executions'),
    granted: facts.counters.filter(({ granted }) => granted === true).map(keyOf),
    found: facts.counters
      .filter(({ before, after }) => after === before + 1)
      .map((it) => ({ key: keyOf(it), before: it.before })),
  }
}

export type Recount = {
  /** Counters in Redis that were held against the recount. */
  readonly counters: number
  /** Counters that Redis has too low or too high without a reason, and by how much. */
  readonly wrong: readonly string[]
  readonly drift: number
  /**
   * What Redis counts beyond the recount where it may, which is the safe side: a place in an execution limit that was
   * taken for an answer that never came, an event that processes died of after it was counted, or a repeat whose first event
   * was not known while state was lost. For each there must be a verdict on that counter which says so.
   */
  readonly explained: number
  /** Facts whose first event is another than the order of the log says. */
  readonly wrongFirst: readonly string[]
}

/**
 * Counts anew from the events alone, in the order of the log and without a look at what the facts counted: a proposal
 * unless it repeats the first event of its action key, an execution where its verdict says it was granted. Events decided
 * while Redis was away count too, since it is told of them when it is back. `marks` by partition and offset.
 * `unread`: places of events that have no verdict and may be counted, since processes died of them after they were
 * observed. What comes after one may repeat it, until a rebuild forgets it.
 */
export function recount(
  marks: readonly Mark[],
  stored: ReadonlyMap<string, number>,
  topic: string,
  unread: ReadonlySet<string> = new Set(),
): Recount {
  const expected = new Map<string, number>()
  const allowed = new Map<string, number>()
  const firsts = new Map<string, First>()
  const wrongFirst: string[] = []
  for (const mark of marks) {
    const position = `${topic}:${mark.partition}:${mark.offset}`
    const first = unreadFirst(mark, unread) ?? firsts.get(mark.actionKey)
    if (first === undefined) firsts.set(mark.actionKey, { position, digest: mark.digest })
    if (mark.state === 'ok' && mark.first !== (first?.position ?? null)) wrongFirst.push(`${position}: ${mark.first}`)
    const isRepeat = first?.digest === mark.digest
    if (!isRepeat) for (const key of mark.proposed) add(expected, key)
    for (const key of mark.granted) add(expected, key)
    if (mark.state !== 'ok') for (const key of mark.executed) add(allowed, key)
    if (mark.state === 'lost') for (const key of mark.proposed) add(allowed, key)
  }
  return { ...compare(expected, stored, allowed, unread.size), wrongFirst }
}

type First = { readonly position: string; readonly digest: string }

const unreadFirst = ({ state, first, firstDigest }: Mark, unread: ReadonlySet<string>): First | null =>
  state === 'ok' && first !== null && firstDigest !== null && unread.has(first)
    ? { position: first, digest: firstDigest }
    : null

function compare(
  expected: ReadonlyMap<string, number>,
  stored: ReadonlyMap<string, number>,
  allowed: ReadonlyMap<string, number>,
  unread: number,
): Omit<Recount, 'wrongFirst'> {
  const wrong: string[] = []
  let drift = 0
  let explained = 0
  const keys = new Set([...expected.keys(), ...stored.keys()])
  for (const key of keys) {
    const [want, have] = [expected.get(key) ?? 0, stored.get(key) ?? 0]
    const over = have - want
    if (over === 0) continue
    if (over > 0 && over <= (allowed.get(key) ?? 0) + unread) {
      explained += over
      continue
    }
    drift += Math.abs(over)
    wrong.push(`${key}: Redis ${have}, recount ${want}`)
  }
  return { counters: keys.size, wrong, drift, explained }
}

/**
 * Same counter, same number found: one of the two was not counted. Within one epoch of state only: a rebuild leaves out
 * the places that were taken for answers that never came, so numbers may come again. `epochsFrom`: when each later epoch
 * had begun, milliseconds since 1970; nothing is observed with whole state before it is rebuilt.
 */
export function countedTwice(marks: readonly Mark[], epochsFrom: readonly number[]): readonly string[] {
  const seen = new Map<string, string>()
  const twice: string[] = []
  for (const { partition, offset, found, state, now } of marks) {
    if (state !== 'ok') continue
    const epoch = epochsFrom.filter((from) => from <= now).length
    for (const { key, before } of found) {
      const name = `${key} ${before} of epoch ${epoch}`
      const other = seen.get(name)
      if (other === undefined) seen.set(name, `${partition}:${offset}`)
      else twice.push(`${partition}:${offset} and ${other} both found ${name}`)
    }
  }
  return twice
}

/**
 * Every counter of the deployment's epoch as the Redis master has it, summed over its buckets by Redis itself; null where
 * state is lost and not rebuilt within `withinMs`.
 */
export async function storedCounters(
  redis: RedisPair,
  deployment: string,
  withinMs: number,
): Promise<ReadonlyMap<string, number> | null> {
  const client = redis.connect()
  await client.connect()
  try {
    const isWhole = async () => (await client.hexists(`{${deployment}}:state`, 'lostAt')) === 0
    const whole = await until('state is rebuilt', isWhole, withinMs).catch(() => false)
    if (!whole) return null
    const sums = (await client.eval(SUMS, 0, `{${deployment}}:`)) as readonly (string | number)[]
    const counters = new Map<string, number>()
    for (let at = 0; at < sums.length; at += 2) counters.set(String(sums[at]), Number(sums[at + 1]))
    return counters
  } finally {
    client.disconnect()
  }
}

/** A counter is [width of a bucket, bucket, count, bucket, count, ...]: see sluice.lua. */
const SUMS = `
  local prefix = ARGV[1] .. 'c:' .. (redis.call('HGET', ARGV[1] .. 'state', 'epoch') or '') .. ':'
  local sums = {}
  for _, key in ipairs(redis.call('KEYS', prefix .. '*')) do
    local buckets = cmsgpack.unpack(redis.call('GET', key))
    local sum = 0
    for i = 3, #buckets, 2 do sum = sum + buckets[i] end
    sums[#sums + 1] = key:sub(#prefix + 1)
    sums[#sums + 1] = sum
  end
  return sums`
