import { randomUUID } from 'node:crypto'
import type { Outcome } from '../avro/record-types.ts'
import type { Verdict } from '../decision/verdict.ts'
import { DECISION } from '../telemetry/names.ts'
import type { Access } from './access.ts'
import { RecordWriter } from './record-writer.ts'
import type { Receipt } from './record-writer.ts'

export type OutcomeOptions = Access & {
  /** `decisions.outcomes` if not given. */
  readonly topic?: string
  /** Who reports, as a CloudEvents source (a URI reference), e.g. /executors/listings. */
  readonly source: string
  readonly deadlineMs?: number
}

/** What happened: `executed` and `failed` are an executor's receipts, `label` says whether the action was right. */
export type OutcomeInput = {
  readonly kind: Outcome['kind']
  /** Of a label: whether the action was, or would have been, right. */
  readonly right?: boolean
  /** Now if not given; milliseconds since 1970. */
  readonly time?: number
  readonly detail?: string
}

/** What an outcome needs to know of its verdict. */
export type Judged = Pick<Verdict, 'decisionId' | 'actionKey' | 'audit'>

export type OutcomeReporter = {
  /** Resolves when all in-sync replicas have it. Rejects as sending a model output does. */
  readonly report: (verdict: Judged, outcome: OutcomeInput) => Promise<Receipt>
  readonly close: () => Promise<void>
}

/**
 * Tells calibration what became of verdicts, with the chance of audit that each verdict carries; records are keyed by the
 * action key. The first label of an action counts, so a label may be sent again.
 */
export function reportOutcomes(options: OutcomeOptions): OutcomeReporter {
  const { topic = 'decisions.outcomes', source, deadlineMs } = options
  const writer = new RecordWriter('Outcome', topic, options, deadlineMs)
  return {
    report: (verdict, input) => {
      const outcome = outcomeOf(verdict, input, source)
      const event = { id: randomUUID(), source, type: `sluice.outcome.${outcome.kind}`, time: outcome.time }
      const attributes = { [DECISION.id]: outcome.decisionId }
      return writer.send({ key: outcome.actionKey, value: outcome, event, attributes })
    },
    close: () => writer.close(),
  }
}

/** One outcome and no more: opens what it needs and closes it. Whoever reports often keeps a reporter. */
export async function reportOutcome(options: OutcomeOptions, verdict: Judged, outcome: OutcomeInput): Promise<Receipt> {
  const reporter = reportOutcomes(options)
  try {
    return await reporter.report(verdict, outcome)
  } finally {
    await reporter.close()
  }
}

const outcomeOf = ({ decisionId, actionKey, audit }: Judged, input: OutcomeInput, source: string): Outcome => ({
  decisionId,
  actionKey,
  kind: input.kind,
  right: input.right ?? null,
  time: input.time ?? Date.now(),
  source,
  propensity: audit.selected ? audit.propensity : null,
  detail: input.detail ?? null,
})
