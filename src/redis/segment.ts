import type { CounterInquiry, Inquiry } from '../decision/inquiry.ts'
import type { ObserveRange, ReserveRange } from '../processor/ports.ts'
import { MessagePack } from './message-pack.ts'

type ContextInquiry = Inquiry['context'][number]

/** A run of one partition as the function library takes it; complete in itself, so it can be kept and sent later. */
export type Segment = {
  readonly partition: number
  readonly from: number
  readonly next: number
  readonly events: number
  readonly bytes: Buffer
}

const packer = new MessagePack()

const isSameCounter = (a: CounterInquiry, b: CounterInquiry): boolean =>
  a === b ||
  (a.key === b.key && a.limit === b.limit && a.count === b.count && a.max === b.max && a.windowMs === b.windowMs)
const isSameContext = (a: ContextInquiry, b: ContextInquiry): boolean =>
  a === b || (a.hash === b.hash && a.name === b.name)

/** Layout: header of `observe` in sluice.lua. Each counter and context is named once and then meant by its index. */
export function observeSegment(range: ObserveRange): Segment {
  const counters = new Names<CounterInquiry>(isSameCounter)
  const contexts = new Names<ContextInquiry>(isSameContext)
  const bytes = packParts(
    (): number => range.inquiries.reduce((sum, it) => sum + packEvent(it, counters, contexts), 0),
    () => packCounters(counters, (it) => packer.number(it.count === 'proposals' ? 1 : 0)),
    () => packContexts(contexts),
  )
  const { partition, from, next, inquiries } = range
  return { partition, from, next, events: inquiries.length, bytes }
}

/** Layout: header of `reserve` in sluice.lua. */
export function reserveSegment(range: ReserveRange): Buffer {
  const counters = new Names<CounterInquiry>(isSameCounter)
  return packParts(
    (): number => range.claims.reduce((sum, it) => sum + packClaim(it.offset, it.inquiry, counters), 0),
    () => packCounters(counters, (it) => packer.number(it.max)),
  )
}

/** The events are written first, since that is when the names are found, and put last, since they refer to them. */
function packParts(events: () => number, ...names: readonly (() => number)[]): Buffer {
  const body = packArray(events)
  const heads = names.map(packArray)
  const start = packer.beginArray()
  packer.endArray(start, names.length + 1)
  return Buffer.concat([packer.take(), ...heads, body])
}

function packArray(values: () => number): Buffer {
  const start = packer.beginArray()
  packer.endArray(start, values())
  return packer.take()
}

function packEvent(inquiry: Inquiry, counters: Names<CounterInquiry>, contexts: Names<ContextInquiry>): number {
  packer.text(String(inquiry.offset))
  packer.text(inquiry.actionKey)
  packer.text(inquiry.digest)
  packer.number(inquiry.counters.length)
  for (const counter of inquiry.counters) packer.number(counters.index(counter.key, counter))
  let known = 0
  for (const { hash } of inquiry.context) if (hash !== null) known++
  packer.number(known)
  for (const it of inquiry.context) if (it.hash !== null) packer.number(contexts.index(it.hash, it))
  return 5 + inquiry.counters.length + known
}

function packClaim(offset: number, inquiry: Inquiry, counters: Names<CounterInquiry>): number {
  const executions = inquiry.counters.filter((it) => it.count === 'executions')
  packer.text(String(offset))
  packer.number(executions.length)
  // An exemption changes an event's max, so the same counter may come with several.
  for (const it of executions) packer.number(counters.index(`${it.key}\n${it.max}`, it))
  return 2 + executions.length
}

function packCounters(counters: Names<CounterInquiry>, packLast: (counter: CounterInquiry) => void): number {
  for (const counter of counters.all) {
    packer.text(counterKey(counter))
    packer.number(Math.max(1, Math.ceil(counter.windowMs)))
    packer.text(labelText(counter.limit, counter.key))
    packLast(counter)
  }
  return counters.all.length * 4
}

function packContexts(contexts: Names<ContextInquiry>): number {
  for (const { name, hash } of contexts.all) {
    packer.text(hash ?? '')
    packer.text(labelText(name, hash ?? ''))
  }
  return contexts.all.length * 2
}

/**
 * Whether a recorded count or context is called so: the name in the policy, and as much of the hash as tells entities
 * apart. A replay under another policy may ask for the same name and mean another entity, and must not be given this one's.
 */
export function isLabelOf(label: unknown, name: string, hash: string): boolean {
  if (typeof label !== 'string') return false
  const from = name.length + 1
  const chars = Math.min(hash.length, HASH_CHARS)
  if (label.length !== from + chars || !label.startsWith(name) || label[name.length] !== ' ') return false
  for (let i = 0; i < chars; i++) if (label.charCodeAt(from + i) !== hash.charCodeAt(i)) return false
  return true
}

const HASH_CHARS = 8

/** Names of limits and contexts as JSON without the last quote; policies have few of them, and change seldom. */
const nameTexts = new Map<string, string>()
const NAMES_MAX = 1000

/** The label as Redis pastes it. */
const labelText = (name: string, hash: string): string => `${nameText(name)} ${hash.slice(0, HASH_CHARS)}",`

function nameText(name: string): string {
  const known = nameTexts.get(name)
  if (known !== undefined) return known
  if (nameTexts.size >= NAMES_MAX) nameTexts.clear()
  const text = JSON.stringify(name).slice(0, -1)
  nameTexts.set(name, text)
  return text
}

/** The key is a hash of the limit's id and what is counted per, so kind and key name a counter. */
export const counterKey = ({ count, key }: Pick<CounterInquiry, 'count' | 'key'>): string =>
  `${count === 'proposals' ? 'p' : 'e'}${key}`

/** Values by name, each with an index from 1 in the order of its first use. Different values may share a name. */
class Names<T> {
  readonly all: T[] = []
  readonly #indices = new Map<string, number>()
  readonly #areSame: (a: T, b: T) => boolean

  constructor(areSame: (a: T, b: T) => boolean) {
    this.#areSame = areSame
  }

  index(name: string, value: T): number {
    const known = this.#indices.get(name)
    if (known === undefined) return this.#add(name, value)
    const first = this.all[known - 1]
    return first !== undefined && this.#areSame(first, value) ? known : this.#indexOfOther(name, value)
  }

  #indexOfOther(name: string, value: T): number {
    const at = this.all.findIndex((it) => this.#areSame(it, value))
    return at === -1 ? this.#add(name, value) : at + 1
  }

  #add(name: string, value: T): number {
    const index = this.all.push(value)
    this.#indices.set(name, index)
    return index
  }
}
