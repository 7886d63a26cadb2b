import type { ModelOutput } from '../decision/event.ts'
import { DECISION } from '../telemetry/names.ts'
import type { Access } from './access.ts'
import { completeModelOutput } from './model-output.ts'
import type { ModelOutputInput } from './model-output.ts'
import { RecordWriter } from './record-writer.ts'
import type { Receipt } from './record-writer.ts'

export type ProduceOptions = Access & {
  /** `model.outputs` if not given. */
  readonly topic?: string
  /**
   * What belongs together and is decided in order: the record's key. If not given the actor, or the subject's id where
   * there is no actor. null is decided too, but no such event is executed.
   */
  readonly key?: (event: ModelOutput) => string | null
  /** How long one event may take to be acknowledged, over all attempts, milliseconds; 30 seconds if not given. */
  readonly deadlineMs?: number
}

/** The event as it was sent, with its defaults, and where it lies. */
export type Sent = Receipt & { readonly event: ModelOutput }

export type ModelOutputProducer = {
  /**
   * Resolves when all in-sync replicas have all events, in the order given. Nothing is sent when one of them is
   * InvalidModelOutput. Rejects with ModelOutputsNotSent when some were not acknowledged.
   */
  readonly send: (events: ModelOutputInput | readonly ModelOutputInput[]) => Promise<readonly Sent[]>
  /** Waits for what is under way, at most until its deadline. */
  readonly close: () => Promise<void>
}

/**
 * Some events were not acknowledged. They may have arrived all the same: send them again as they are in `failures`, with
 * the same ids, and what had arrived counts once.
 */
export class ModelOutputsNotSent extends Error {
  override readonly name = 'ModelOutputsNotSent'
  readonly failures: readonly { readonly event: ModelOutput; readonly reason: unknown }[]
  readonly sent: readonly Sent[]

  constructor(failures: ModelOutputsNotSent['failures'], sent: readonly Sent[]) {
    const [first] = failures
    const reason = first?.reason instanceof Error ? first.reason.message : String(first?.reason)
    super(`${failures.length} of ${failures.length + sent.length} model outputs were not acknowledged: ${reason}`, {
      cause: first?.reason,
    })
    this.failures = failures
    this.sent = sent
  }
}

const defaultKey = (event: ModelOutput): string | null => event.actor ?? event.subject.id

/** Writes what a model proposes for Sluice to decide. An acknowledged event is never lost; a repeated one counts once. */
export function produceModelOutputs(options: ProduceOptions): ModelOutputProducer {
  const { topic = 'model.outputs', key = defaultKey, deadlineMs } = options
  const writer = new RecordWriter('ModelOutput', topic, options, deadlineMs)
  return {
    send: async (inputs) => {
      const events = (Array.isArray(inputs) ? inputs : [inputs]).map(completeModelOutput)
      return await settle(
        events,
        events.map((event) => writer.send(entryOf(event, key(event)))),
      )
    },
    close: () => writer.close(),
  }
}

const entryOf = (event: ModelOutput, key: string | null) => ({
  key,
  value: event,
  event: { id: event.id, source: event.source, type: 'sluice.model.output', time: event.time },
  attributes: {
    [DECISION.action]: event.action,
    [DECISION.modelName]: event.model.name,
    [DECISION.modelVersion]: event.model.version,
  },
})

async function settle(events: readonly ModelOutput[], sending: readonly Promise<Receipt>[]): Promise<readonly Sent[]> {
  const sent: Sent[] = []
  const failures: { event: ModelOutput; reason: unknown }[] = []
  const results = await Promise.allSettled(sending)
  for (const [index, event] of events.entries()) {
    const result = results[index]
    if (result?.status === 'fulfilled') sent.push({ ...result.value, event })
    else failures.push({ event, reason: result?.reason })
  }
  if (failures.length > 0) throw new ModelOutputsNotSent(failures, sent)
  return sent
}
