import { randomUUID } from 'node:crypto'
import type { Attributes, ModelOutput } from '../decision/event.ts'

/** A moment: milliseconds since 1970, or a Date. */
export type Moment = number | Date

/**
 * What a model proposes to do, as schemas/model-output.avsc has it, where everything with a default may be left out.
 * `id` defaults to a random UUID and `time` to now: give both yourself wherever the same proposal may be sent twice. The
 * id makes the second one harmless if all else is the same, the time too; else it goes to review (`event.conflict`).
 */
export type ModelOutputInput = {
  readonly id?: string
  readonly source: string
  readonly tenant?: string
  readonly time?: Moment
  readonly expiresAt?: Moment | null
  readonly model: { readonly name: string; readonly version: string }
  readonly action: string
  readonly subject: { readonly type: string; readonly id: string; readonly owner?: string | null }
  readonly actor?: string | null
  /** The model's own score that the action is right, 0 to 1; anything else counts as no score and goes to review. */
  readonly confidence?: number | null
  readonly scoreKind?: string
  readonly attributes?: Attributes
  readonly payload?: Uint8Array | null
}

/** A proposal that names no action, subject, model or source, so that nobody could decide it; nothing was sent. */
export class InvalidModelOutput extends Error {
  override readonly name = 'InvalidModelOutput'
  readonly problems: readonly string[]

  constructor(id: string, problems: readonly string[]) {
    super(`model output ${id} was not sent: ${problems.join('; ')}`)
    this.problems = problems
  }
}

/** Fills in the defaults. Throws InvalidModelOutput naming every field that must not be empty. */
export function completeModelOutput(input: ModelOutputInput): ModelOutput {
  const event: ModelOutput = {
    id: input.id ?? randomUUID(),
    source: input.source,
    tenant: input.tenant ?? 'default',
    time: millisecondsOf(input.time ?? Date.now()),
    expiresAt: nullable(input.expiresAt, millisecondsOf),
    model: { name: input.model?.name, version: input.model?.version },
    action: input.action,
    subject: { type: input.subject?.type, id: input.subject?.id, owner: input.subject?.owner ?? null },
    actor: input.actor ?? null,
    confidence: input.confidence ?? null,
    scoreKind: input.scoreKind ?? 'probability',
    attributes: input.attributes ?? {},
    payload: input.payload ?? null,
  }
  const problems = problemsOf(event)
  if (problems.length > 0) throw new InvalidModelOutput(event.id, problems)
  return event
}

const millisecondsOf = (moment: Moment): number => Math.round(Number(moment))

const nullable = <T, U>(value: T | null | undefined, map: (value: T) => U): U | null =>
  value === null || value === undefined ? null : map(value)

function problemsOf(event: ModelOutput): readonly string[] {
  const texts: readonly (readonly [string, unknown])[] = [
    ['id', event.id],
    ['source', event.source],
    ['tenant', event.tenant],
    ['model.name', event.model.name],
    ['model.version', event.model.version],
    ['action', event.action],
    ['subject.type', event.subject.type],
    ['subject.id', event.subject.id],
  ]
  const empty = texts.filter(([, value]) => typeof value !== 'string' || value === '')
  const moments = [event.time, event.expiresAt ?? 0].filter((it) => !Number.isSafeInteger(it))
  return [
    ...empty.map(([name]) => `${name} must be a text that is not empty`),
    ...moments.map((it) => `time and expiresAt must be milliseconds since 1970 or a Date, not ${it}`),
  ]
}
