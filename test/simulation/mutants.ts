import type { Policy } from '../../src/decision/policy.ts'
import { CommittedView } from '../../src/kafka/committed.ts'
import type { AbortedTransaction } from '../../src/kafka/wire/messages/fetch.ts'
import { txnOffsetCommit } from '../../src/kafka/wire/messages/transaction.ts'
import type { Producer } from '../../src/kafka/wire/messages/transaction.ts'
import { Reader } from '../../src/kafka/wire/reader.ts'
import type { RecordBatch } from '../../src/kafka/wire/record-reader.ts'
import { Writer } from '../../src/kafka/wire/writer.ts'
import type { CommitResult, DecisionLog, OutputRecord } from '../../src/processor/ports.ts'
import type { Processor } from '../../src/processor/run.ts'
import { readInit, readTxnOffsetCommit, writeInit } from '../twins/kafka/transaction-requests.ts'
import { RedisLibrary } from '../twins/redis/library.ts'
import { NO_MUTANT } from './mutant.ts'
import type { Mutant } from './mutant.ts'
import { MUTANT_NAMES } from './mutant-names.ts'
import type { MutantName } from './mutant-names.ts'
import { GROUP } from './process.ts'
import type { Scene } from './scene.ts'
import type { Owner } from './virtual-time.ts'

/**
 * Twelve bugs that were made before, in this product's field if not in this product. Each must be found by the
 * simulation, or the simulation is of no use. Nothing outside this folder can switch them on.
 */

type Meddler = NonNullable<Mutant['meddler']>

/** Producers as the last InitProducerId that reached the coordinator gave them, by what the map is for. */
const producers = new WeakMap<Scene, Map<string, Producer>>()

/**
 * InitProducerId reaches the coordinator only the first time for what `keyOf` names; later ones are answered with the
 * producer as it was, and its epoch is not raised.
 */
const unbumped =
  (keyOf: (owner: Owner, id: string) => string): Meddler =>
  (owner, { apiName, body }, scene) => {
    if (apiName !== 'InitProducerId') return null
    const { id } = readInit(new Reader(body))
    const slot = owner.name.slice(0, owner.name.indexOf('#'))
    if (id !== `${GROUP}/${slot}`) return null
    const known = producers.get(scene)?.get(keyOf(owner, id))
    if (known !== undefined) return { answer: writeInit(0, known) }
    return null
  }

/** Learns what `unbumped` answers with, from the answers that come through. */
function learnProducer(scene: Scene, owner: Owner, apiName: string, body: Buffer, answer: Buffer): void {
  if (apiName !== 'InitProducerId') return
  const slot = owner.name.slice(0, owner.name.indexOf('#'))
  const { id } = readInit(new Reader(body))
  if (id !== `${GROUP}/${slot}`) return
  const r = new Reader(answer)
  r.int32()
  if (r.int16() !== 0) return
  const producer = { id: r.int64(), epoch: r.int16() }
  const known = producers.get(scene) ?? new Map<string, Producer>()
  producers.set(scene, known)
  for (const key of [owner.name, id]) if (!known.has(key)) known.set(key, producer)
}

/** OffsetFetch ends with whether only stable offsets will do, and a tag section. */
const unstable: Meddler = (_owner, { apiName, body }) => {
  if (apiName !== 'OffsetFetch') return null
  const changed = Buffer.from(body)
  changed[changed.length - 2] = 0
  return { body: changed }
}

/** The group's present generation instead of the one at which the records were read. */
const lateGeneration: Meddler = (_owner, { apiName, body }, scene) => {
  if (apiName !== 'TxnOffsetCommit') return null
  const { id, group, producer, seat, offsets } = readTxnOffsetCommit(new Reader(body))
  const present = scene.kafka.group(group)
  if (present === null) return null
  const member = present.members.find(({ instance }) => instance === seat.instance)?.id ?? seat.member
  const writer = new Writer()
  const topic = offsets[0]?.topic ?? ''
  const next = new Map(offsets.map(({ partition, offset }) => [partition, offset]))
  txnOffsetCommit(id, producer, { group, ...seat, member, generation: present.generation }, topic, next).write(writer)
  return { body: Buffer.from(writer.written()) }
}

/** What is changed of the port to Kafka. */
const withLog =
  (change: (log: DecisionLog) => Partial<DecisionLog>): Mutant['alter'] =>
  (parts) => ({ ...parts, log: { ...parts.log, ...change(parts.log) } })

/** Answers that a batch is committed as soon as its commit has begun; the next one waits for it, and for nothing else. */
function acknowledgeEarly(log: DecisionLog): Partial<DecisionLog> {
  let last: Promise<unknown> = Promise.resolve()
  return {
    commit: async (...args): Promise<CommitResult> => {
      last = last.then(() => log.commit(...args)).catch(() => undefined)
      return { kind: 'committed' }
    },
  }
}

const withoutReason = (record: OutputRecord): OutputRecord => ({
  ...record,
  headers: record.headers.filter(([name]) => name !== '__connect.errors.exception.message'),
})

const dropReasons = (log: DecisionLog): Partial<DecisionLog> => ({
  commit: (outputs, offsets, assignment) => log.commit(outputs.map(withoutReason), offsets, assignment),
})

/** A rule that looks at the clock when it is evaluated, and not at the time that was recorded. */
function onTheClock(policy: Policy): Policy {
  const rules = policy.rules.map((rule) => ({
    ...rule,
    evaluate: () => ({ kind: 'value' as const, holds: Math.floor(Date.now() / 50) % 2 === 0 }),
  }))
  return { ...policy, rules }
}

const ticking = ({ rulebook, ...parts }: Processor): Processor => ({
  ...parts,
  rulebook: {
    current: () => {
      const { policy, ...proofs } = rulebook.current()
      return { ...proofs, policy: onTheClock(policy) }
    },
  },
})

/** Whoever reserves is taken for the partition's owner. */
class TokenBlindLibrary extends RedisLibrary {
  override call(name: string, args: readonly (string | Buffer)[], micros: number): unknown {
    if (name !== 'reserve') return super.call(name, args, micros)
    const owned = args.map((arg, at) =>
      at % 3 === 1 ? String(this.partitions.get(String(args[at - 1]))?.token ?? arg) : arg,
    )
    return super.call(name, owned, micros)
  }

  override copy(): RedisLibrary {
    return this.copyInto(new TokenBlindLibrary())
  }
}

/** Counts whenever it is asked, whether the offset has its facts already or not. */
class RecountingLibrary extends RedisLibrary {
  protected override readonly countsAgain = true

  override copy(): RedisLibrary {
    return this.copyInto(new RecountingLibrary())
  }
}

/** Keeps recorded facts only for those who ask with the same run of offsets as before. */
class ForgetfulLibrary extends RedisLibrary {
  protected override readonly forgetsCuts = true

  override copy(): RedisLibrary {
    return this.copyInto(new ForgetfulLibrary())
  }
}

/** kafkajs' filterAbortedMessages: in the order given, one step a record, and without memory from answer to answer. */
function kafkajsVisible(batches: readonly RecordBatch[], aborted: readonly AbortedTransaction[]): RecordBatch[] {
  const current = new Set<number>()
  const remaining = [...aborted]
  return batches.filter((batch) => {
    const [next] = remaining
    if (next !== undefined && batch.lastOffset >= next.firstOffset) {
      current.add(next.producerId)
      remaining.shift()
    }
    if (batch.control) {
      current.delete(batch.producerId)
      return false
    }
    return !(batch.transactional && current.has(batch.producerId))
  })
}

/** Replaces the product's filter until the returned function is called. */
export function plant(mutant: Mutant): () => void {
  if (mutant.name !== 'kafkajs’ own read_committed filter') return () => undefined
  const { visible } = CommittedView.prototype
  CommittedView.prototype.visible = kafkajsVisible
  return () => void (CommittedView.prototype.visible = visible)
}

const CHANGES: Readonly<Record<MutantName, Partial<Mutant>>> = {
  'skip the fence': { meddler: unbumped((_owner, id) => id), listener: learnProducer },
  'reuse epoch and sequence after an error': { meddler: unbumped((owner) => owner.name), listener: learnProducer },
  'read the offsets without require_stable': { meddler: unstable },
  'stamp the generation of delivery': { meddler: lateGeneration },
  'count outside the recorded facts': { library: () => new RecountingLibrary() },
  'clock in the evaluation': { alter: ticking },
  'resend on reconnect': { resends: true },
  'kafkajs’ own read_committed filter': {},
  'acknowledge before commit': { alter: withLog(acknowledgeEarly) },
  'drop a dead letter’s reason': { alter: withLog(dropReasons) },
  'reserve without token': { library: () => new TokenBlindLibrary() },
  'forget replayed facts at a changed batch boundary': { library: () => new ForgetfulLibrary() },
}

export const MUTANTS: readonly Mutant[] = MUTANT_NAMES.map((name) => ({ ...NO_MUTANT, name, ...CHANGES[name] }))
