import { randomUUID } from 'node:crypto'
import type { Count, FirstEvent } from '../decision/recount.ts'
import type { BlindEvent, RebuildClaim, RebuildStore, Restoration } from '../processor/rebuild.ts'
import type { Connection } from './connection.ts'
import { MessagePack } from './message-pack.ts'
import { counterKey } from './segment.ts'
import type { RedisStateStore } from './state-store.ts'

/** How long the right to rebuild lasts without a sign of life, milliseconds. */
const LEASE_MS = 5000
/** As in sluice.lua. */
const BUCKETS = 16

/** RebuildStore over the function library: see `rebuild` in sluice.lua. */
export class RedisRebuildStore implements RebuildStore {
  readonly #connection: Connection
  readonly #state: RedisStateStore
  readonly #deadlineMs: number
  readonly #holder = randomUUID()

  constructor(connection: Connection, state: RedisStateStore, deadlineMs: number) {
    this.#connection = connection
    this.#state = state
    this.#deadlineMs = deadlineMs
  }

  isIncomplete(): boolean {
    return this.#state.isIncomplete
  }

  async claim(partitions: number): ReturnType<RebuildStore['claim']> {
    const args = [this.#holder, String(LEASE_MS), String(partitions)]
    const answer = await this.#connection.call('claim_rebuild', args, this.#deadlineMs)
    if (answer.kind === 'unavailable') return answer
    const [kind, ...rest] = answer.reply as readonly string[]
    if (kind === 'whole') this.#state.completed()
    if (kind === 'whole') return { kind }
    if (kind === 'unproven' || kind === 'waiting') return { kind, partition: Number(rest[0]) }
    if (kind === 'held') return { kind, progress: Number(rest[0]) }
    return claimOf(rest, partitions)
  }

  async restore(claim: RebuildClaim, run: Restoration, progress: number): ReturnType<RebuildStore['restore']> {
    const { place, after, next, counts, firsts, blind, decided } = run
    const reachedBefore = after === null ? '' : String(after)
    const head = [this.#holder, claim.epoch, String(LEASE_MS), progress.toFixed(4), place, reachedBefore, String(next)]
    const events = blind.length === 0 ? '' : packedBlind(blind)
    const args = [...head, packed(counts, firsts), events, ...[...decided].flat().map(String)]
    const answer = await this.#connection.call('restore', args, this.#deadlineMs)
    if (answer.kind === 'unavailable') return answer
    const [kind, reached] = answer.reply as readonly string[]
    // An answer that was lost had its effect.
    const isDone = kind === 'restored' || (kind === 'behind' && reached === String(next))
    return { kind: isDone ? 'restored' : 'fenced' }
  }

  async finish(claim: RebuildClaim, reached: ReadonlyMap<string, number>): ReturnType<RebuildStore['finish']> {
    const args = [this.#holder, claim.epoch, String(LEASE_MS), ...[...reached].flat().map(String)]
    let kind: string | undefined = 'more'
    while (kind === 'more') {
      const answer = await this.#connection.call('finish_rebuild', args, this.#deadlineMs)
      if (answer.kind === 'unavailable') return answer
      kind = (answer.reply as readonly string[])[0]
    }
    if (kind !== 'done') return { kind: 'fenced' }
    this.#state.completed()
    return { kind }
  }
}

function claimOf([epoch = '', now, lostAt, ...rest]: readonly string[], partitions: number): RebuildClaim {
  const places = new Map<string, number>()
  for (let i = partitions; i + 1 < rest.length; i += 2) places.set(rest[i] ?? '', Number(rest[i + 1]))
  return {
    kind: 'yours',
    epoch,
    now: Number(now),
    lostAt: Number(lostAt),
    since: rest.slice(0, partitions).map(Number),
    places,
  }
}

const packer = new MessagePack()

/** Layout: header of `restore` in sluice.lua. */
function packed(counts: readonly Count[], firsts: readonly FirstEvent[]): Buffer {
  const counters = [...inBuckets(counts)]
  const whole = packer.beginArray()
  packer.endArray(whole, 2)
  const all = packer.beginArray()
  packer.endArray(all, counters.length * 2)
  for (const [key, { width, buckets }] of counters) {
    packer.text(key)
    const one = packer.beginArray()
    packer.endArray(one, 1 + buckets.size * 2)
    packer.number(width)
    for (const [bucket, count] of buckets) {
      packer.number(bucket)
      packer.number(count)
    }
  }
  const events = packer.beginArray()
  packer.endArray(events, firsts.length * 3)
  for (const first of firsts) packFirst(first)
  return packer.take()
}

function packFirst({ actionKey, partition, offset, digest, forgottenAt }: FirstEvent): void {
  packer.text(actionKey)
  packer.text(`${partition}:${offset}:${digest}`)
  packer.number(forgottenAt)
}

/** Layout: header of `restore` in sluice.lua. */
function packedBlind(blind: readonly BlindEvent[]): Buffer {
  const events = packer.beginArray()
  packer.endArray(
    events,
    blind.reduce((fields, { counts }) => fields + 4 + 3 * counts.length, 0),
  )
  for (const { first, counts } of blind) {
    packFirst(first)
    packer.number(counts.length)
    for (const it of counts) {
      const width = widthOf(it)
      packer.text(counterKey(it))
      packer.number(width)
      packer.number(Math.floor(it.at / width))
    }
  }
  return packer.take()
}

/** Of the buckets of a counter, milliseconds. */
const widthOf = ({ windowMs }: Count): number => Math.ceil(Math.ceil(windowMs) / BUCKETS)

type Buckets = { readonly width: number; readonly buckets: Map<number, number> }

/** By counter. One whose window differs from policy to policy counts by the longest, which keeps what both need. */
function inBuckets(counts: readonly Count[]): ReadonlyMap<string, Buckets> {
  const widths = new Map<string, number>()
  for (const it of counts) {
    const key = counterKey(it)
    widths.set(key, Math.max(widths.get(key) ?? 1, widthOf(it)))
  }
  const counters = new Map([...widths].map(([key, width]): [string, Buckets] => [key, { width, buckets: new Map() }]))
  for (const it of counts) {
    const counter = counters.get(counterKey(it))
    const bucket = Math.floor(it.at / (counter?.width ?? 1))
    counter?.buckets.set(bucket, (counter.buckets.get(bucket) ?? 0) + 1)
  }
  return counters
}
