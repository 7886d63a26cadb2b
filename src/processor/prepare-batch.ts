import type { Verdict } from '../decision/verdict.ts'
import { decodeBatches, finalFault } from './decode.ts'
import type { DecodedRun, Patience } from './decode.ts'
import { deadLetterRecord, rulebookRecords, verdictRecord } from './emit.ts'
import type { Outlets } from './emit.ts'
import type { VerdictSizes } from './verdict-sizes.ts'
import type { Fault } from './fault.ts'
import { judge } from './judge.ts'
import type { Lease } from './lease.ts'
import { observe } from './observe.ts'
import type { Known, ObserveParts } from './observe.ts'
import type {
  BatchTimes,
  ByOffset,
  Codec,
  Decided,
  Decoded,
  Encoded,
  InputRecord,
  OutputRecord,
  PartitionBatch,
  Rulebook,
  StateRefusal,
  Tracer,
} from './ports.ts'

export type Steps = ObserveParts & {
  readonly codec: Codec
  readonly patience: Patience
  readonly tracer: Tracer
  readonly outlets: Outlets
}

/** The steps, and what this process has learned of its outlets. */
export type LearnedSteps = Steps & { readonly sizes: VerdictSizes }

/** All that one transaction will make visible, and what the observer is told once it is. */
export type PreparedBatch = {
  readonly outputs: readonly OutputRecord[]
  /** Partition to the next offset to read. */
  readonly offsets: ReadonlyMap<number, number>
  readonly decided: readonly Decided[]
  readonly times: Omit<BatchTimes, 'committing' | 'committed'>
  /** The digest of the policy whose text is among the outputs, if it is. */
  readonly publishes: string | null
}

/** A batch whose facts are recorded and which is not judged yet; what was in force when it was begun holds for all of it. */
export type ObservedBatch = {
  readonly runs: readonly DecodedRun[]
  readonly known: ByOffset<Known>
  readonly rulebook: Rulebook
  readonly refusal: StateRefusal | null
  readonly times: Pick<BatchTimes, 'polled' | 'decoded' | 'observed'>
}

type Fenced = { readonly kind: 'fenced'; readonly refusal: StateRefusal }

/**
 * The first half of a batch, from raw records to their facts: decode, observe. `putBack` is given what follows a record
 * that cannot be read yet, before anything else is polled.
 */
export async function observeBatch(
  polled: readonly PartitionBatch[],
  lease: Lease,
  rulebook: Rulebook,
  putBack: (held: PartitionBatch) => void,
  steps: Steps,
): Promise<{ readonly kind: 'observed'; readonly batch: ObservedBatch } | Fenced> {
  const times = { polled: steps.timer.now(), decoded: 0, observed: 0 }
  const { runs, held } = await decodeBatches(polled, steps.codec, steps.patience)
  for (const batch of held) putBack(batch)
  times.decoded = steps.timer.now()
  const observed = await observe(runs, lease, rulebook, steps)
  if (observed.kind === 'fenced') return observed
  times.observed = steps.timer.now()
  const batch = { runs, known: observed.byPartition, rulebook, refusal: observed.refusal, times }
  return { kind: 'observed', batch }
}

/** The second half, from facts to everything its transaction will hold: judge, emit. */
export async function prepareBatch(
  { runs, known, rulebook, refusal, times }: ObservedBatch,
  lease: Lease,
  isPublished: (digest: string) => boolean,
  steps: LearnedSteps,
): Promise<
  { readonly kind: 'prepared'; readonly batch: PreparedBatch; readonly refusal: StateRefusal | null } | Fenced
> {
  const judged = await judge(known, lease, rulebook, steps.state)
  if (judged.kind === 'fenced') return judged
  const decided = steps.timer.now()
  const emitted = emit(runs, judged.verdicts, steps)
  const encoded = steps.timer.now()
  const publishes = isPublished(digestOf(rulebook)) || emitted.outputs.length === 0 ? null : digestOf(rulebook)
  const texts = publishes === null ? [] : rulebookRecords(rulebook, Math.floor(encoded), steps.outlets)
  const offsets = new Map(runs.map((run) => [run.partition, run.next]))
  const outputs = [...texts, ...emitted.outputs]
  const batch = { ...emitted, outputs, offsets, times: { ...times, decided, encoded }, publishes }
  return { kind: 'prepared', batch, refusal: refusal ?? judged.refusal }
}

/** One name for a policy, its calibration and its certificates together. */
const digestOf = ({ policy, calibration, certificates }: Rulebook): string =>
  [policy.digest, calibration.digest, certificates.digest].join('/')

type Emitted = { readonly outputs: OutputRecord[]; readonly decided: Decided[] }

function emit(runs: readonly DecodedRun[], verdicts: ByOffset<Verdict>, steps: LearnedSteps): Emitted {
  const emitted: Emitted = { outputs: [], decided: [] }
  for (const run of runs) {
    const own = verdicts.get(run.partition)
    for (const it of run.records) emitOne(it, own?.get(it.record.offset), emitted, steps)
  }
  return emitted
}

function emitOne(it: Decoded, verdict: Verdict | undefined, into: Emitted, steps: LearnedSteps): void {
  if (it.kind === 'fault') return emitDeadLetter(it.fault, it.record, into, steps)
  // INVARIANT: every readable record has a verdict; a batch that lacks one must not be committed.
  if (verdict === undefined)
    throw new Error(`no verdict for ${it.record.topic}:${it.record.partition}:${it.record.offset}`)
  const maxBytes = steps.sizes.maxBytes(steps.outlets.verdicts[verdict.route])
  const encoded = sized(steps.codec.encode(verdict, it.record), maxBytes)
  if (encoded.kind === 'fault') return emitDeadLetter(encoded.fault, it.record, into, steps)
  const decided: Decided = { kind: 'verdict', verdict, record: it.record, link: steps.tracer.link(it.record, verdict) }
  into.outputs.push(verdictRecord(verdict, encoded.bytes, decided, steps.outlets))
  into.decided.push(decided)
}

/** A verdict that its topic would refuse would take the whole transaction with it, again and again. */
function sized(encoded: Encoded, maxBytes: number): Encoded {
  if (encoded.kind === 'fault' || encoded.bytes.length <= maxBytes) return encoded
  const detail = `the verdict has ${encoded.bytes.length} bytes, the output topic takes ${maxBytes}`
  return { kind: 'fault', fault: { code: 'verdict.oversized', detail, retry: false } }
}

function emitDeadLetter(fault: Fault, record: InputRecord, into: Emitted, steps: LearnedSteps): void {
  const link = steps.tracer.link(record, null)
  const final = finalFault(fault)
  into.outputs.push(deadLetterRecord(final, record, link, Math.floor(steps.timer.now()), steps.outlets))
  into.decided.push({ kind: 'deadLetter', fault: final, record, link })
}
