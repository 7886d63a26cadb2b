import * as fc from 'fast-check'
import { createCodec } from '../../src/avro/codec.ts'
import type { Writers } from '../../src/avro/registry.ts'
import { bundled } from '../../src/avro/schemas.ts'
import { createWriter } from '../../src/avro/writer.ts'
import { decide } from '../../src/decision/decide.ts'
import type { Attributes, ModelOutput, Received } from '../../src/decision/event.ts'
import type { Facts, StateHealth } from '../../src/decision/facts.ts'
import { inquire } from '../../src/decision/inquire.ts'
import { readRulebook } from '../../src/policy/watch.ts'
import type { Fault } from '../../src/processor/fault.ts'
import type { InputRecord, Rulebook } from '../../src/processor/ports.ts'
import { valueOf } from '../avro/arbitrary.ts'
import { count, mutate, reblock, seeded } from '../avro/mutate.ts'
import { modelOutput } from '../avro/samples.ts'

/** What became of a stream of hostile inputs. */
export type Fuzzed = {
  readonly inputs: number
  /** By route. */
  readonly verdicts: ReadonlyMap<string, number>
  /** By fault code. */
  readonly deadLetters: ReadonlyMap<string, number>
  /** An exception where there must be none, with the input in hex; the first few. */
  readonly crashes: readonly string[]
  readonly crashed: number
  /** CPU time of the slowest input, milliseconds, and the input. */
  readonly slowestMs: number
  readonly slowest: string
}

const SCHEMA_ID = 7
const MAX_BYTES = 1_048_576
const HEADER = Buffer.from([0, 0, 0, 0, SCHEMA_ID])
const SHOWN = 20

const writer = createWriter(
  'ModelOutput',
  SCHEMA_ID,
  { schema: bundled('ModelOutput').text, references: [] },
  MAX_BYTES,
)
const UNKNOWN: Fault = { code: 'schema.unknown', detail: 'the registry does not know it', retry: false }
const writers: Writers = {
  find: (id) => (id === SCHEMA_ID ? writer : UNKNOWN),
  resolve: (id) => Promise.resolve(id === SCHEMA_ID ? writer : UNKNOWN),
}
const codec = createCodec(writers, { execute: 21, review: 22, reject: 23 }, MAX_BYTES)

type Random = () => number

/** Sends `inputs` mutated records from bytes to an encoded verdict or a fault, with the example policy's rules. */
export async function fuzz(inputs: number, seed: number, onProgress: (done: number) => void): Promise<Fuzzed> {
  const random = seeded(seed)
  const rulebook = await marketplace()
  const source = sourceOf(random, seed)
  const [verdicts, deadLetters] = [new Map<string, number>(), new Map<string, number>()]
  const crashes: string[] = []
  let [slowestMs, slowest, crashed] = [0, '', 0]
  for (let n = 0; n < inputs; n++) {
    if (n % 100_000 === 0) onProgress(n)
    const value = source()
    const facts = factsSeed(random)
    try {
      const { result, ms } = timed(() => pass(recordOf(value, n), rulebook, facts))
      const into = result.kind === 'verdict' ? verdicts : deadLetters
      into.set(result.name, (into.get(result.name) ?? 0) + 1)
      if (ms > slowestMs) [slowestMs, slowest] = [ms, value?.toString('hex') ?? '']
    } catch (error) {
      crashed++
      if (crashes.length < SHOWN) crashes.push(`${String(error)}: ${value?.toString('hex')}`)
    }
  }
  return { inputs, verdicts, deadLetters, crashes, crashed, slowestMs, slowest }
}

async function marketplace(): Promise<Rulebook> {
  const folder = new URL('../../deploy/policies/', import.meta.url)
  const read = await readRulebook({
    policyFile: new URL('marketplace.yaml', folder).pathname,
    calibrationFile: new URL('marketplace.calibration.json', folder).pathname,
    certificatesFile: null,
  })
  if (read.kind === 'problems') throw new Error('the example policy has problems')
  return read.rulebook
}

type Passed = { readonly kind: 'verdict' | 'dead letter'; readonly name: string }

/** What a processor does to one record, but for what servers say. */
function pass(record: InputRecord, { policy, calibration, certificates }: Rulebook, facts: FactsSeed): Passed {
  const decoded = codec.decode(record)
  if (decoded instanceof Promise) throw new Error('a known schema was asked for')
  if (decoded.kind === 'fault') return { kind: 'dead letter', name: decoded.fault.code }
  const verdict = decide(decoded.received, factsFor(decoded.received, facts, policy), policy, calibration, certificates)
  const encoded = codec.encode(verdict, record)
  if (encoded.kind === 'fault') return { kind: 'dead letter', name: encoded.fault.code }
  return { kind: 'verdict', name: verdict.route }
}

const recordOf = (value: Buffer | null, offset: number): InputRecord => ({
  topic: 'model.outputs',
  partition: offset % 6,
  offset,
  timestamp: modelOutput.time,
  key: offset % 10 === 0 ? null : KEY,
  value,
  headers: new Map(),
})

const KEY = Buffer.from('s-93')

// ---- Facts ------------------------------------------------------------------------------------------------------

type FactsSeed = { readonly state: StateHealth; readonly before: number; readonly context: number }

const STATES = ['ok', 'ok', 'ok', 'lost', 'unavailable'] as const satisfies readonly StateHealth[]

const factsSeed = (random: Random): FactsSeed => ({
  state: STATES[Math.floor(random() * STATES.length)] ?? 'ok',
  before: Math.floor(random() * 40),
  context: Math.floor(random() * CONTEXTS.length),
})

/** As a policy expects them, and as it does not. */
const CONTEXTS: readonly (Attributes | null)[] = [
  null,
  {},
  { trusted: false, rating: 4.5, listings: 12, refundsThisYear: 0, vip: true },
  { trusted: true, rating: 4.5, listings: 3, refundsThisYear: 1, vip: false },
  { trusted: 'yes', rating: Number.NaN, listings: null, refundsThisYear: Infinity, vip: 1 },
  { constructor: 1, toString: 'x', hasOwnProperty: null },
]

function factsFor(received: Received, { state, before, context }: FactsSeed, policy: Rulebook['policy']): Facts {
  const inquiry = inquire(received, policy)
  const attributes = CONTEXTS[context] ?? null
  const value = attributes === null ? null : { source: 'fuzz', version: 1, time: modelOutput.time - 1000, attributes }
  return {
    now: modelOutput.time + 1000,
    clock: state === 'unavailable' ? 'processor' : 'redis',
    state,
    first: null,
    context: inquiry.context.map(({ name, key }) => ({ name, key, value: key === null ? null : value })),
    counters: inquiry.counters.map(({ limit, key, count }) => {
      const granted = count === 'executions' ? before < 30 : null
      return { limit, key, before, after: before + 1, granted }
    }),
    control: [],
  }
}

// ---- Inputs -----------------------------------------------------------------------------------------------------

/** Structure-aware mutations of valid events of every shape, hostile counts, noise, and broken frames. */
function sourceOf(random: Random, seed: number): () => Buffer | null {
  const { type } = bundled('ModelOutput')
  const odd = fc.sample(valueOf(type) as fc.Arbitrary<ModelOutput>, { numRuns: 200, seed })
  const plain = ACTIONS.flatMap((action) =>
    MODELS.map((model): ModelOutput => ({ ...modelOutput, action, model, confidence: 0.985 })),
  )
  const bodiesOf = (events: readonly ModelOutput[]) => events.map((event) => reblock(type, event, random))
  const [odds, plains] = [bodiesOf(odd), bodiesOf(plain)]
  const one = (of: readonly Buffer[]): Buffer => of[Math.floor(random() * of.length)] ?? Buffer.alloc(0)
  const any = (): Buffer => one(random() < 0.5 ? odds : plains)
  return () => {
    const dice = random()
    if (dice < 0.75) return Buffer.concat([HEADER, mutate(any(), random)])
    if (dice < 0.85) return Buffer.concat([HEADER, any()])
    if (dice < 0.93) return Buffer.concat([HEADER, hostileCounts(random)])
    if (dice < 0.97) return noise(random)
    return dice < 0.99 ? mutate(Buffer.concat([HEADER, any()]), random) : null
  }
}

const ACTIONS = ['listing.flag', 'listing.remove', 'refund.issue', 'constructor', '']

/** Those that the example's calibration knows, so that some are executed. */
const MODELS = [
  { name: 'moderation', version: '3' },
  { name: 'support', version: '12' },
]

const SIZES = [-1, 0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 40, 2 ** 53, -(2 ** 31), -(2 ** 53)]

/** Lengths and counts one after the other, each beyond what follows. */
function hostileCounts(random: Random): Buffer {
  const length = 1 + Math.floor(random() * 30)
  return Buffer.concat(
    Array.from({ length }, () => Buffer.from(count(SIZES[Math.floor(random() * SIZES.length)] ?? 0))),
  )
}

const noise = (random: Random): Buffer =>
  Buffer.from(Array.from({ length: Math.floor(random() * 300) }, () => Math.floor(random() * 256)))

// ---- Time -------------------------------------------------------------------------------------------------------

const SLOW_MS = 5

/** An input is as slow as the fastest of several passes by CPU time: a busy machine is not slow every time. */
function timed<T>(run: () => T): { readonly result: T; readonly ms: number } {
  const began = performance.now()
  const result = run()
  let best = performance.now() - began
  for (let again = 0; best > SLOW_MS && again < 10; again++) {
    const before = cpuMs()
    run()
    best = Math.min(best, cpuMs() - before)
  }
  return { result, ms: best }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
